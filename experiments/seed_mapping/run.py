"""Seeds side by side (vmap) or one after another (lax.map) in one program: which is faster here?

    python experiments/seed_mapping/run.py

Both map the same training over seeds and are timed in turn in one process, compilation apart.
`jaxrl.parallel.map_seeds` follows what this shows for the CPU.
"""

import argparse
import statistics
from pathlib import Path

import jaxrl
from jaxrl.algorithm import canonical, train
from jaxrl.benchmark import compiled, seconds_in_turn, write_record
from jaxrl.parallel import map_seeds

import jax  # isort: skip

STUDIES = {"CartPole-v1": 40, "Breakout-MinAtar": 6}


def measure(env_id: str, updates: int, seeds: int, repeats: int) -> dict:
    """Medians of both mappings, run in turn."""
    spec = jaxrl.registry.algorithm("ppo")
    env, env_params = jaxrl.make(env_id)
    preset = spec.preset(env_id)
    hp = canonical(preset.hp.replace(env=env_params, horizon=float(updates)))
    run = train(spec.make(env, env_params, preset.config), updates)
    keys = jax.random.split(jax.random.key(0), seeds)
    programs, compile_s = {}, {}
    for name, backend in (("lax.map", "cpu"), ("vmap", "gpu")):
        programs[name], took = compiled(map_seeds(lambda key: run(key, hp), backend), keys)
        compile_s[name] = round(took, 2)
    # The first round warms up.
    times = seconds_in_turn(programs, [(keys,)] * (repeats + 1))
    medians = {name: statistics.median(values) for name, values in times.items()}
    steps = preset.config.batch_size * updates * seeds
    return {
        "seeds": seeds,
        "updates": updates,
        "compile_s": compile_s,
        "run_s_median": {name: round(value, 3) for name, value in medians.items()},
        "env_steps_per_s": {name: round(steps / value) for name, value in medians.items()},
        "vmap_over_lax_map": round(medians["vmap"] / medians["lax.map"], 3),
    }


def main() -> None:
    """Measures and writes results/seed_mapping.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    results = {
        f"{env_id}, {seeds} seeds": measure(env_id, updates, seeds, repeats)
        for env_id, updates in STUDIES.items()
        for seeds in (2, 8)
    }
    path = Path(__file__).parent / "results" / "seed_mapping.json"
    write_record(path, "python experiments/seed_mapping/run.py", results, repeats=repeats)


if __name__ == "__main__":
    main()
