"""What the peers do: Craftax-Classic and `crafter`, timed. Run by the peers' Python, not by ours.

    python experiments/crafter_oo/peer.py craftax|craftax-pixels|craftax-worlds|crafter

Prints one line of JSON. Raw steps without any reset for Craftax, whose own reset in the step would
cost a thousandfold; `crafter` with its resets.
"""

import json
import statistics
import sys
import time
from typing import Any


def craftax_steps(name: str, batch: int, steps: int, repeats: int) -> dict[str, Any]:
    """Random actions, jitted and vmapped, a scan over steps: steps per second."""
    import jax
    from craftax.craftax_env import make_craftax_env_from_name

    env = make_craftax_env_from_name(name, auto_reset=False)
    params = env.default_params

    def body(state: Any, key: Any) -> Any:
        key_action, key_step = jax.random.split(key)
        actions = jax.random.randint(key_action, (batch,), 0, 17)
        step = jax.vmap(env.step, in_axes=(0, 0, 0, None))
        obs, state, reward, _, _ = step(jax.random.split(key_step, batch), state, actions, params)
        return state, (obs.sum(), reward.sum())

    rollout = jax.jit(lambda state, key: jax.lax.scan(body, state, jax.random.split(key, steps)))
    reset = jax.jit(jax.vmap(env.reset, in_axes=(0, None)))
    _, state = reset(jax.random.split(jax.random.key(0), batch), params)
    started = time.perf_counter()
    jax.block_until_ready(rollout(state, jax.random.key(1)))
    compile_s = time.perf_counter() - started
    rates = []
    for repeat in range(repeats):
        started = time.perf_counter()
        jax.block_until_ready(rollout(state, jax.random.key(repeat)))
        rates.append(batch * steps / (time.perf_counter() - started))
    return {"median": statistics.median(rates), "all": rates, "first_call_s": compile_s}


def craftax_worlds(batch: int, repeats: int) -> dict[str, Any]:
    """Milliseconds a world."""
    import jax
    from craftax.craftax_env import make_craftax_env_from_name

    env = make_craftax_env_from_name("Craftax-Classic-Symbolic-v1", auto_reset=False)
    reset = jax.jit(jax.vmap(env.reset, in_axes=(0, None)))
    took = []
    for repeat in range(repeats + 1):
        started = time.perf_counter()
        keys = jax.random.split(jax.random.key(repeat), batch)
        jax.block_until_ready(reset(keys, env.default_params))
        took.append(1e3 * (time.perf_counter() - started) / batch)
    return {"median": statistics.median(took[1:]), "all": took[1:]}


def crafter_steps(steps: int) -> dict[str, Any]:
    """Random actions with the resets that they need: steps per second."""
    import crafter
    import numpy as np

    env = crafter.Env(seed=0)
    env.reset()
    random = np.random.RandomState(0)
    started = time.perf_counter()
    for _ in range(steps):
        if env.step(random.randint(17))[2]:
            env.reset()
    return {"median": steps / (time.perf_counter() - started), "steps": steps}


MEASURES = {
    "craftax": lambda: craftax_steps("Craftax-Classic-Symbolic-v1", 1024, 50, 3),
    "craftax-128": lambda: craftax_steps("Craftax-Classic-Symbolic-v1", 128, 400, 3),
    "craftax-pixels": lambda: craftax_steps("Craftax-Classic-Pixels-v1", 256, 50, 3),
    "craftax-worlds": lambda: craftax_worlds(1024, 1),
    "crafter": lambda: crafter_steps(2000),
}

if __name__ == "__main__":
    print(json.dumps(MEASURES[sys.argv[1]]()))
