"""What exact resets cost in a step in which no episode ends: the ratio to no auto-reset at all.

    python experiments/reset_cost/run.py

Times a rollout of `VecEnv` against the same steps without any reset, for a toy whose reset is
costly and for environments of gymnax in which no episode ends within the rollout, interleaved, in
one process. Ratios of medians; the target is at most 1.10. For scale: the same with a reset for
every environment at every step, as `gymnax.Environment.step` does it.
"""

import argparse
import json
import statistics
import sys
import time
from functools import partial
from pathlib import Path

import jaxrl
from jaxrl.summary import commit, device, versions

import jax  # isort: skip
import jax.numpy as jnp  # isort: skip

import gymnax

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.toy_envs import CostlyReset, CounterParams  # noqa: E402

STEPS = 200


def rollout(step, num_envs, env, params, key):
    """STEPS steps of a batch; returns a number that depends on all of them."""
    venv = jaxrl.VecEnv(env, num_envs)
    obs, state = venv.reset(key, params)
    actions = jax.vmap(env.action_space(params).sample)(jax.random.split(key, num_envs))

    def body(carry, key):
        return step(venv, key, *carry, actions, params)

    (obs, _), reward = jax.lax.scan(body, (obs, state), jax.random.split(key, STEPS))
    return jnp.sum(obs), jnp.sum(reward)


def exact(venv, key, obs, state, action, params):
    """VecEnv."""
    obs, state, reward, terminated, truncated, _ = venv.step(key, state, action, params)
    return (obs, state), reward


def none(venv, key, obs, state, action, params):
    """The rules alone, with the same book-keeping of returns and flags."""
    keys = jax.random.split(key, venv.num_envs)
    obs, env_state, reward, terminated, _ = jax.vmap(venv.env.step_env, (0, 0, 0, None))(
        keys, state.env_state, action, params
    )
    truncated = jax.vmap(venv.env.is_truncated, (0, None))(env_state, params) & ~terminated
    ended = terminated | truncated
    state = state.replace(
        env_state=env_state,
        episode_return=jnp.where(ended, 0.0, state.episode_return + reward),
        episode_length=jnp.where(ended, 0, state.episode_length + 1),
    )
    return (obs, state), reward


def always(venv, key, obs, state, action, params):
    """A reset for everyone at every step, as gymnax has it."""
    keys = jax.random.split(key, venv.num_envs)
    obs, env_state, reward, _, _, _ = jax.vmap(venv.env.step, (0, 0, 0, None))(
        keys, state.env_state, action, params
    )
    return (obs, state.replace(env_state=env_state)), reward


def seconds(program, *args):
    """Wall seconds of one call."""
    start = time.perf_counter()
    jax.block_until_ready(program(*args))
    return time.perf_counter() - start


def measure(env, params, num_envs, repeats):
    """Median seconds of each way, run in turn, and ratios to no reset."""
    key = jax.random.key(0)
    programs = {
        way.__name__: jax.jit(partial(rollout, way, num_envs, env)) for way in (none, exact, always)
    }
    for program in programs.values():
        seconds(program, params, key)
    times = {name: [] for name in programs}
    for _ in range(repeats):
        for name, program in programs.items():
            times[name].append(seconds(program, params, key))
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
    record = {
        "command": "python experiments/reset_cost/run.py",
        "commit": commit(),
        "device": device(),
        "versions": versions(),
        "steps": STEPS,
        "repeats": repeats,
        "results": {
            f"{name}, {num_envs} environments": measure(env, params, num_envs, repeats)
            for name, (env, params) in cases.items()
            for num_envs in (64, 2048)
        },
    }
    path = Path(__file__).parent / "results" / "reset_cost.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record["results"], indent=2))


if __name__ == "__main__":
    main()
