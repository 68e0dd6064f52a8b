"""What exact resets cost in a step in which no episode ends: the ratio to no auto-reset at all.

    python experiments/reset_cost/run.py

Times a rollout of `VecEnv` against the same steps without any reset, for a toy whose reset is
costly and for environments of gymnax in which no episode ends within the rollout, interleaved, in
one process. Ratios of medians; the target is at most 1.10. For scale: the same with a reset for
every environment at every step, as `gymnax.Environment.step` does it.
"""

import argparse
import statistics
import sys
from functools import partial
from pathlib import Path

import jaxrl
from jaxrl.benchmark import (
    compiled,
    exact_resets,
    fixed_actions,
    no_resets,
    rollout,
    seconds_in_turn,
    write_record,
)

import jax  # isort: skip

import gymnax

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.toy_envs import CostlyReset, CounterParams  # noqa: E402

STEPS = 200


def always(venv, key, obs, state, action, params):
    """A reset for everyone at every step, as gymnax has it."""
    keys = jax.random.split(key, venv.num_envs)
    obs, env_state, reward, _, _, _ = jax.vmap(venv.env.step, (0, 0, 0, None))(
        keys, state.env_state, action, params
    )
    return (obs, state.replace(env_state=env_state)), reward


def measure(env, params, num_envs, repeats):
    """Median seconds of each way, run in turn, and ratios to no reset."""
    ways = {"none": no_resets, "exact": exact_resets, "always": always}
    keys = jax.random.split(jax.random.key(0), repeats + 1)
    programs = {
        name: compiled(partial(rollout, way, fixed_actions, num_envs, STEPS, env), params, keys[0])[
            0
        ]
        for name, way in ways.items()
    }
    times = seconds_in_turn(programs, [(params, key) for key in keys])
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {
        "num_envs": num_envs,
        "microseconds_per_step": {k: round(v / STEPS * 1e6, 2) for k, v in medians.items()},
        "ratio_to_no_reset": {k: round(v / medians["none"], 4) for k, v in medians.items()},
    }


def main():
    """Measures and writes results/reset_cost.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=31)
    repeats = parser.parse_args().repeats
    endless = CounterParams(min_length=10**6, max_length=10**6 + 1, max_steps_in_episode=10**7)
    cartpole, cartpole_params = gymnax.make("CartPole-v1")
    # Thresholds no pole reaches, and no time limit: nobody ends.
    cartpole_params = cartpole_params.replace(
        x_threshold=1e9, theta_threshold_radians=1e9, max_steps_in_episode=10**9
    )
    cases = {
        "toy with a costly reset": (CostlyReset(cost=16), endless),
        "CartPole-v1 without limits": (cartpole, cartpole_params),
        "Pendulum-v1, limit 1000": jaxrl.make("Pendulum-v1", max_steps_in_episode=1000),
        "Freeway-MinAtar": jaxrl.make("Freeway-MinAtar"),
    }
    results = {
        f"{name}, {num_envs} environments": measure(env, params, num_envs, repeats)
        for name, (env, params) in cases.items()
        for num_envs in (64, 2048)
    }
    path = Path(__file__).parent / "results" / "reset_cost.json"
    command = "python experiments/reset_cost/run.py"
    write_record(path, command, results, steps=STEPS, repeats=repeats)


if __name__ == "__main__":
    main()
