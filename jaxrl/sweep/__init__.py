"""Sweeps: many settings x seeds in one compiled program, resumable, on one machine or many."""

from jaxrl.sweep.launch import Launch
from jaxrl.sweep.points import Range
from jaxrl.sweep.run import make_plan, run_sweep
from jaxrl.sweep.table import SweepResult

__all__ = ["Launch", "Range", "SweepResult", "make_plan", "run_sweep"]
