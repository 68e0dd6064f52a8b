"""PPO here and in PureJaxRL, the same work in the same run: wall time, compilation included.

    git clone https://github.com/luchris429/purejaxrl /tmp/purejaxrl
    python experiments/speed/run.py --peer /tmp/purejaxrl

Both train the same network on the same environment with the same numbers of environments, steps,
epochs and minibatches. Every measurement is a process of its own without a compile cache; the two
sides take turns.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent


class Study(NamedTuple):
    """PureJaxRL's settings for one environment, by the names of its configuration.

    `total_steps` is the environment steps of each seed, by the number of seeds; `None` is any.
    """

    total_steps: dict[int | None, int]
    num_envs: int
    num_minibatches: int
    lr: float
    activation: str

    def steps(self, seeds: int) -> int:
        """Environment steps of each of so many seeds."""
        return self.total_steps.get(seeds, self.total_steps[None])

    def config(self, spec: Any) -> Any:
        """The same as a configuration of our PPO."""
        from jaxrl.networks import NetworkConfig

        return spec.config(
            num_envs=self.num_envs,
            num_steps=NUM_STEPS,
            num_epochs=NUM_EPOCHS,
            num_minibatches=self.num_minibatches,
            network=NetworkConfig(hidden=(64, 64), activation=self.activation),
        )


# purejaxrl/ppo.py and examples/brax_minatar.ipynb. Breakout's 1e7 steps are cut to 1e6, and for 16
# seeds to 2.5e5: PureJaxRL returns records of every step, 25 GB of them for 16 seeds of 1e6 steps.
STUDIES = {
    "CartPole-v1": Study({None: 500_000}, 4, 4, 2.5e-4, "tanh"),
    "Breakout-MinAtar": Study({None: 1_000_000, 16: 250_000}, 64, 8, 5e-3, "relu"),
}
NUM_STEPS, NUM_EPOCHS = 128, 4
PEER_COMMIT = "31756b197773a52db763fdbe6d635e4b46522a73"


def main() -> None:
    """Measures what the command line asks for and writes results/speed.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", type=Path, required=True, help="a clone of PureJaxRL")
    parser.add_argument("--envs", nargs="+", default=list(STUDIES), choices=list(STUDIES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 16])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "speed.json")
    args = parser.parse_args()
    records = []
    for env_id in args.envs:
        for seeds in args.seeds:
            records.append(compare(env_id, seeds, args.repeats, args.peer))
            print(json.dumps(records[-1]), flush=True)
    from jaxrl.benchmark import write_record

    command = "python experiments/speed/run.py --peer PUREJAXRL"
    write_record(args.out, command, {"peer_commit": PEER_COMMIT, "studies": records})


def compare(env_id: str, seeds: int, repeats: int, peer: Path) -> dict[str, Any]:
    """Both sides in turn, `repeats` times; medians, and the ratio of the median wall times."""
    runs: dict[str, list[dict[str, Any]]] = {"jaxrl": [], "purejaxrl": []}
    for _ in range(repeats):
        for side in runs:
            runs[side].append(measure(side, env_id, seeds, peer))
    medians = {side: median_of(rows) for side, rows in runs.items()}
    steps = STUDIES[env_id].steps(seeds)
    return {
        "env": env_id,
        "seeds": seeds,
        "steps_of_each_seed": steps,
        "wall_ratio": round(medians["jaxrl"]["wall_s"] / medians["purejaxrl"]["wall_s"], 3),
        "run_ratio": round(medians["jaxrl"]["run_s"] / medians["purejaxrl"]["run_s"], 3),
        "medians": medians,
        "env_steps_per_s": {
            side: round(steps * seeds / row["run_s"]) for side, row in medians.items()
        },
        "all": runs,
    }


def measure(side: str, env_id: str, seeds: int, peer: Path) -> dict[str, Any]:
    """One side in a process of its own."""
    command = [sys.executable, str(HERE / "one.py"), side, env_id, str(seeds), str(peer)]
    settings = {"JAXRL_COMPILATION_CACHE": "off", "PYTHONPATH": str(HERE.parents[1])}
    done = subprocess.run(
        command, env=os.environ | settings, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def median_of(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Medians of the seconds in some measurements."""
    names = [name for name in rows[0] if name.endswith("_s")]
    return {name: round(statistics.median(row[name] for row in rows), 3) for name in names}


if __name__ == "__main__":
    main()
