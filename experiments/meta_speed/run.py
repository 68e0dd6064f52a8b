"""One generation against a Python loop over the same 32 jitted trainings, and the size of a group.

    python experiments/meta_speed/run.py

Population 32, 2e5 environment steps of CartPole for each member, LPO's drift network. The loop
calls one compiled training, whose phi is an argument, 32 times: what anybody has without a
population axis. Every measurement is a process of its own; the two sides take turns; medians of the
run time. Compilation is timed apart.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from jaxrl.benchmark import write_record

HERE = Path(__file__).parent
GROUPS = (1, 2, 4, 8, 16)
GROUP_STEPS = 50_000


def one(*words: Any) -> dict[str, Any]:
    """The record of one.py."""
    command = [sys.executable, str(HERE / "one.py"), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def versus(setting: str, repeats: int) -> dict[str, Any]:
    """The loop and a generation in turn."""
    sides: dict[str, list[dict[str, Any]]] = {"loop": [], "generation": []}
    for _ in range(repeats):
        for side, records in sides.items():
            records.append(one(side, "--setting", setting))
    medians = {
        side: statistics.median(second for record in records for second in record["run_s"])
        for side, records in sides.items()
    }
    steps = sides["loop"][0]["env_steps"]
    return {
        "env_steps": steps,
        "run_s_median": medians,
        "run_s": {side: [r["run_s"][0] for r in records] for side, records in sides.items()},
        "compile_s": {side: [r["compile_s"] for r in records] for side, records in sides.items()},
        "env_steps_per_s": {side: round(steps / value) for side, value in medians.items()},
        "loop_over_generation": round(medians["loop"] / medians["generation"], 2),
    }


def groups(setting: str, repeats: int) -> dict[str, Any]:
    """Environment steps a second of a generation by the size of a group."""
    found = {}
    for group in GROUPS:
        record = one(
            "generation", "--setting", setting, "--group", group, "--steps", GROUP_STEPS,
            "--repeats", repeats,
        )  # fmt: skip
        found[str(group)] = round(record["env_steps"] / statistics.median(record["run_s"]))
    return found


def main() -> None:
    """Measures and writes results/meta_speed.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    results = {
        setting: {
            "generation_against_loop": versus(setting, repeats),
            "env_steps_per_s_by_group": groups(setting, repeats),
        }
        for setting in ("small", "preset")
    }
    path = HERE / "results" / "meta_speed.json"
    write_record(path, "python experiments/meta_speed/run.py", results, repeats=repeats)


if __name__ == "__main__":
    main()
