"""How fast environments step and algorithms train here, what resets cost and what memory it takes.

What is measured: a compiled program over all its work, from its call until its results are there.
Compilation is timed apart, one call warms up, every repeat has keys of its own, and what a program
returns depends on every step of it, so that no part of the work can be optimised away.

Numbers of one machine under one load: compare what was measured in one process, side by side.
"""

import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from jaxrl import chunks, driver, registry
from jaxrl.config import RunConfig, check_seeds
from jaxrl.memory import program_bytes
from jaxrl.summary import commit, device, versions
from jaxrl.vector import VecEnv

# (venv, key, obs, state, action, params) -> ((obs, state), reward [N])
Step = Callable[..., tuple[tuple[Any, Any], jax.Array]]
# (action space, N, key) -> (key of a step -> actions [N, ...])
Actions = Callable[[Any, int, jax.Array], Callable[[jax.Array], Any]]

_RESET_COST_IS = "time with exact resets over time without any, same actions, medians"
_RESET_STEPS = 200
# No step's key is derived from its parent by this number.
_ACTION_STREAM = 0x616374


def random_actions(space: Any, num_envs: int, key: jax.Array) -> Callable[[jax.Array], Any]:
    """The random policy: actions drawn anew in every step. It heeds no mask of legal actions."""
    del key

    def act(key: jax.Array) -> Any:
        keys = jax.random.split(jax.random.fold_in(key, _ACTION_STREAM), num_envs)
        return jax.vmap(space.sample)(keys)

    return act


def fixed_actions(space: Any, num_envs: int, key: jax.Array) -> Callable[[jax.Array], Any]:
    """Actions drawn once, so that a step costs what the environment costs and no more."""
    actions = jax.vmap(space.sample)(jax.random.split(key, num_envs))
    return lambda key: actions


def exact_resets(venv: Any, key: Any, obs: Any, state: Any, action: Any, params: Any) -> Any:
    """`VecEnv.step`: resets what ended and nothing else."""
    obs, state, reward, _, _, _ = venv.step(key, state, action, params)
    return (obs, state), reward


def no_resets(venv: Any, key: Any, obs: Any, state: Any, action: Any, params: Any) -> Any:
    """The rules alone, with the same book-keeping of returns and flags."""
    keys = jax.random.split(key, venv.num_envs)
    obs, env_state, reward, terminated, _ = jax.vmap(venv.env.step_env, (0, 0, 0, None))(
        keys, state.env_state, action, params
    )
    truncated = jax.vmap(venv.env.is_truncated, (0, None))(env_state, params) & ~terminated
    ended = terminated | truncated
    state = state.replace(
        env_state=env_state,
        episode_return=jax.tree.map(partial(_continued, ended), state.episode_return, reward),
        episode_length=jnp.where(ended, 0, state.episode_length + 1),
    )
    return (obs, state), reward


def rollout(
    step: Step, actions: Actions, num_envs: int, steps: int, env: Any, params: Any, key: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """`steps` steps of a batch.

    Returns:
        Three float32 [] that depend on all of them: sums of the last observations, of all rewards
        and of the returns of the episodes that are running at the end.
    """
    venv = VecEnv(env, num_envs)
    key_reset, key_actions, key_steps = jax.random.split(key, 3)
    start = venv.reset(key_reset, params)
    act = actions(env.action_space(params), num_envs, key_actions)

    def body(carry: Any, key: jax.Array) -> Any:
        return step(venv, key, *carry, act(key), params)

    (obs, state), reward = jax.lax.scan(body, start, jax.random.split(key_steps, steps))
    return _total(obs), _total(reward), _total(state.episode_return)


def _total(tree: Any) -> jax.Array:
    """The sum of all numbers, float32 []."""
    sums = [jnp.sum(leaf.astype(jnp.float32)) for leaf in jax.tree.leaves(tree)]
    return jnp.asarray(sum(sums))


def _continued(ended: jax.Array, total: jax.Array, reward: jax.Array) -> jax.Array:
    """Returns with a reward added, zero where `ended`; `total` [N] or [N, members]."""
    return jnp.where(ended.reshape((-1, *(1,) * (total.ndim - 1))), 0.0, total + reward)


def compiled(fn: Callable[..., Any], *args: Any) -> tuple[Any, float]:
    """`fn` compiled for arguments like these, and the seconds of tracing and compiling it."""
    start = time.perf_counter()
    program = jax.jit(fn).lower(*args).compile()
    return program, time.perf_counter() - start


def seconds(program: Callable[..., Any], *args: Any) -> float:
    """Wall seconds of one call, until its results are there."""
    start = time.perf_counter()
    jax.block_until_ready(program(*args))
    return time.perf_counter() - start


def seconds_in_turn(
    programs: Mapping[str, Callable[..., Any]], inputs: Sequence[tuple[Any, ...]]
) -> dict[str, list[float]]:
    """Seconds of every program on every input, the programs in turn.

    In turn, so that a machine that slows down slows all of them. The first input only warms up.
    """
    times: dict[str, list[float]] = {name: [] for name in programs}
    for number, args in enumerate(inputs):
        for name, program in programs.items():
            took = seconds(program, *args)
            if number:
                times[name].append(took)
    return times


def bench_env(
    env_id: str,
    *,
    overrides: Mapping[str, Any] | None = None,
    batch: int = 2048,
    steps: int = 1000,
    repeats: int = 5,
    seed: int = 0,
) -> dict[str, Any]:
    """Environment steps per second of a batch under the random policy; the record of a line.

    Args:
        env_id: an environment.
        overrides: of its parameters, as of `jaxrl.make`.
        batch: environments stepped at once, spread over as many devices as divide it.
        steps: steps of each in one repeat.
        repeats: timed calls, each with a key of its own.
        seed: of the keys.

    Raises:
        ValueError: no such environment, parameter or seed, or a count is not positive.
    """
    _check_counts(batch=batch, steps=steps, repeats=repeats)
    check_seeds(seed, name="seed")
    env, params = registry.make(env_id, **(overrides or {}))
    devices = max(n for n in range(1, jax.device_count() + 1) if batch % n == 0)
    programs, compile_s, times = _with_and_without_resets(
        env, params, batch, steps, repeats, seed, devices
    )
    return {
        "benchmark": "env",
        "env": env_id,
        "env_overrides": dict(overrides or {}),
        "policy": "random",
        "batch": batch,
        "devices": devices,
        "steps": steps,
        "repeats": repeats,
        "compile_s": round(compile_s, 3),
        **_rates("steps_per_s", batch * steps, times["exact"]),
        "reset_cost": _reset_cost(times),
        "peak_memory": _peak_memory([programs["exact"]]),
        **_where(),
    }


def bench_train(run: RunConfig, repeats: int = 5) -> dict[str, Any]:
    """Environment steps per second of training, as the driver trains; the record of a line.

    Every repeat trains `run.seeds` fresh seeds for the updates that fit into `run.total_steps`;
    logging and checkpoints are not part of it. The reset cost is that of the environment under the
    random policy, in the batch of one seed.

    Raises:
        ValueError: whatever is wrong with `run`, or a count is not positive.
    """
    _check_counts(repeats=repeats)
    setup = driver.set_up(run)
    first = chunks.seed_keys(run.seed_numbers)
    lowered = driver.lower(setup, driver.Options())
    programs = lowered.compile()

    def updates(states: Any, count: int) -> Any:
        metrics = None
        while count:
            done = min(count, chunks.CAPACITY)
            states, metrics = programs.advance(states, setup.hp, jnp.int32(done))
            count -= done
        return states, metrics

    jax.block_until_ready(updates(programs.init(first, setup.hp), 1))
    times = []
    for repeat in range(1, repeats + 1):
        start = run.seed + repeat * run.seeds
        keys = chunks.seed_keys(range(start, start + run.seeds))
        states = jax.block_until_ready(programs.init(keys, setup.hp))
        times.append(seconds(updates, states, setup.num_updates))
    batch = getattr(run.config, "num_envs", None)
    resets = None
    if batch:
        resets = _reset_cost(
            _with_and_without_resets(
                setup.env, setup.env_params, batch, _RESET_STEPS, repeats, run.seed
            )[2]
        )
    env_steps = setup.num_updates * setup.steps_per_update * run.seeds
    return {
        "benchmark": "train",
        "algorithm": run.algorithm,
        "env": run.env,
        "env_overrides": dict(run.env_overrides),
        "config": run.to_json()["config"],
        "batch": batch,
        "seeds": run.seeds,
        "updates": setup.num_updates,
        "env_steps_per_seed": setup.num_updates * setup.steps_per_update,
        "repeats": repeats,
        "compile_s": round(programs.compile_s, 3),
        **_rates("steps_per_s", env_steps, times),
        "reset_cost": resets,
        "mesh": dict(lowered.where.shape),
        "peak_memory": _peak_memory(programs.executables),
        **_where(),
    }


def write_record(path: Path, command: str, results: Any, **settings: Any) -> None:
    """Writes what a study measured, with command, commit, device and versions, and prints it."""
    record = {"command": command, **_where(), **settings, "results": results}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(results, indent=2))


def _with_and_without_resets(
    env: Any, params: Any, batch: int, steps: int, repeats: int, seed: int, devices: int = 1
) -> tuple[dict[str, Any], float, dict[str, list[float]]]:
    """Programs, seconds to compile the exact one, and seconds of each repeat of both.

    The batch is spread evenly over `devices`, which share nothing.
    """
    keys = jax.random.split(jax.random.key(seed), repeats + 1)
    programs, compile_s = {}, {}
    for name, step in (("exact", exact_resets), ("none", no_resets)):
        run = partial(rollout, step, random_actions, batch // devices, steps, env)
        spread = run if devices == 1 else _on_devices(devices, run)
        programs[name], compile_s[name] = compiled(spread, params, keys[0])
    times = seconds_in_turn(programs, [(params, key) for key in keys])
    return programs, compile_s["exact"], times


def _on_devices(count: int, run: Callable[..., Any]) -> Callable[..., Any]:
    """`run(params, key)` on each of the first devices with a key of its own: results [count]."""
    mesh = Mesh(np.asarray(jax.devices()[:count]), ("device",))

    def one(params: Any, keys: jax.Array) -> Any:
        return jax.tree.map(lambda x: x[None], run(params, keys[0]))

    everywhere = jax.shard_map(
        one,
        mesh=mesh,
        in_specs=(PartitionSpec(), PartitionSpec("device")),
        out_specs=PartitionSpec("device"),
        check_vma=False,
    )
    return lambda params, key: everywhere(params, jax.random.split(key, count))


def _reset_cost(times: Mapping[str, list[float]]) -> dict[str, Any]:
    ratio = statistics.median(times["exact"]) / statistics.median(times["none"])
    return {"ratio": round(ratio, 4), "is": _RESET_COST_IS}


def _rates(name: str, steps: int, times: Sequence[float]) -> dict[str, Any]:
    rates = [round(steps / took, 1) for took in times]
    return {name: statistics.median(rates), f"{name}_all": rates}


def _peak_memory(programs: Sequence[Any]) -> dict[str, Any]:
    """The most memory that was in use, in bytes, as well as this backend can tell."""
    stats = jax.devices()[0].memory_stats() or {}
    if "peak_bytes_in_use" in stats:
        return {"device_peak_bytes_in_use": stats["peak_bytes_in_use"]}
    sizes = [size for size in map(program_bytes, programs) if size is not None]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "largest_program_bytes": max(sizes) if sizes else None,
        "process_peak_rss_bytes": peak if sys.platform == "darwin" else peak * 1024,
    }


def _where() -> dict[str, Any]:
    return {
        "device": device(),
        "host_cpus": os.cpu_count(),
        "compile_cache": jax.config.values["jax_compilation_cache_dir"] is not None,
        "commit": commit(),
        "versions": versions(),
    }


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} must be at least 1, got {count}")
