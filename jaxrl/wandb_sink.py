"""Rows of a run to Weights & Biases: off unless asked for, and wandb is imported only then.

Every seed is a W&B run of its own, in one group, so that W&B's grouped charts show the spread over
seeds; the horizontal axis is environment steps. The ids of these runs are in the run folder
(wandb.json): `jaxrl resume --wandb` continues them; what a killed process had logged after its last
checkpoint is then there twice. Mode "offline" writes files under RUN/wandb and
touches no network; `wandb sync` uploads them later.

Source: https://docs.wandb.ai (0.21 or newer, several runs in one process).
"""

import dataclasses
import json
import math
import uuid
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from jaxrl.config import RunConfig
from jaxrl.logging import Row
from jaxrl.run_folder import WANDB_IDS, write_json


@dataclasses.dataclass(frozen=True)
class WandbOptions:
    """Where the runs go.

    Attributes:
        project: of W&B.
        name: of the group; the run folder's name if None.
        mode: "online", "offline", or None for what wandb's own settings say (WANDB_MODE).
    """

    project: str = "jaxrl"
    name: str | None = None
    mode: str | None = None


def require_wandb() -> Any:
    """The module; ValueError, naming the extra, where it is not installed."""
    try:
        return import_module("wandb")
    except ImportError:
        raise ValueError("--wandb needs wandb: pip install 'jaxrl[wandb]'") from None


class Wandb:
    """A sink (see `jaxrl.logging`)."""

    def __init__(self, folder: Path, run: RunConfig, options: WandbOptions) -> None:
        """Begins, or continues, a W&B run for each seed.

        Raises:
            ValueError: wandb is not installed, or refuses (no login, no network): says why.
        """
        wandb = require_wandb()
        group = options.name or folder.resolve().name
        ids = _ids(folder / WANDB_IDS, run.seed_numbers)
        self._runs: dict[int, Any] = {}
        try:
            for seed in run.seed_numbers:
                started = wandb.init(
                    project=options.project,
                    group=group,
                    name=f"{group} seed {seed}",
                    id=ids[seed],
                    resume="allow",
                    mode=options.mode,
                    dir=str(folder),
                    config={**run.to_json(), "this_seed": seed},
                    reinit="create_new",
                )
                self._runs[seed] = started
                started.define_metric("*", step_metric="env_steps")
        except Exception as error:
            self.close()
            reason = " ".join(str(error).split())
            raise ValueError(f"W&B cannot be used ({reason}); see --wandb-mode offline") from error

    def write(self, rows: Sequence[Row]) -> None:
        """Logs the finite numbers of each seed."""
        for row in rows:
            numbers = {
                name: value
                for name, value in row.items()
                if name != "seed" and math.isfinite(value)
            }
            self._runs[int(row["seed"])].log(numbers)

    def close(self) -> None:
        """Finishes every run."""
        for started in self._runs.values():
            started.finish()


def _ids(path: Path, seeds: range) -> dict[int, str]:
    """The id of each seed's run: those of the file, or new ones, which are then in the file."""
    saved: dict[str, str] = {}
    if path.exists():
        try:
            saved = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            raise ValueError(f"{path} is damaged; remove it to begin new W&B runs") from None
    ids = {seed: saved.get(str(seed)) or uuid.uuid4().hex[:12] for seed in seeds}
    write_json(path, {str(seed): name for seed, name in ids.items()})
    return ids
