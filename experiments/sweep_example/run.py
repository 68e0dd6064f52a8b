"""Which learning rate and discount suit PPO on CartPole? A sweep in ten lines.

    python experiments/sweep_example/run.py

Killed and started again it computes only what is missing; `rm -r runs/sweep_example` starts anew.
"""

import shutil
from pathlib import Path

import jaxrl
from jaxrl.parallel import use_cpu_cores

if __name__ == "__main__":
    use_cpu_cores()
    result = jaxrl.run_sweep(
        "ppo",
        "CartPole-v1",
        grid={"hp.lr": [1e-4, 3e-4, 1e-3], "hp.gamma": [0.9, 0.99]},
        seeds=4,
        total_steps=50_000,
        out="runs/sweep_example",
        say=print,
    )
    print("best:", result.best())
    for name in ("table.json", "sweep.png"):
        shutil.copy(result.folder / name, Path(__file__).parent / "results" / name)
