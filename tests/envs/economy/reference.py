"""What the package computed, by name; `record_reference.py` says how it was recorded."""

from pathlib import Path

import numpy as np

with np.load(Path(__file__).with_name("recorded.npz")) as archive:
    RECORDED = {name: archive[name] for name in archive.files}


def under(prefix):
    """The arrays whose names begin with `prefix`, by what follows it."""
    return {k.removeprefix(prefix): v for k, v in RECORDED.items() if k.startswith(prefix)}
