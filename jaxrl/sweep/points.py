"""Grid and random specifications, and the points they make.

A grid names values: `hp.lr=1e-4,3e-4`. Several grids make their product. A random axis names a
range: `hp.gamma=0.95:0.999` is uniform, `hp.lr=log:1e-4:1e-2` log-uniform. N samples draw the
random axes N times, together, and each draw is combined with every point of the grid: values of
the grid are compared under the same draws.

A draw depends on the sample seed, the name and its number only. So more samples keep the ones
before, and another axis changes none.
"""

import itertools
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxrl.config import check_seeds
from jaxrl.options import UsageError
from jaxrl.sweep.names import checked, known, parse

DEFAULT_SAMPLES = 4


class Range(NamedTuple):
    """A range to draw from.

    Attributes:
        low: smallest value.
        high: largest value; of an integer setting it can be drawn too.
        log: uniform in the logarithm.
    """

    low: float
    high: float
    log: bool = False


def parse_grid(words: Iterable[str]) -> dict[str, list[str]]:
    """Values by name from `NAME=VALUE,VALUE,...` words; UsageError where one is not."""
    grid: dict[str, list[str]] = {}
    for word in words:
        name, texts = _split(word, "--grid", "NAME=VALUE,VALUE,...")
        values = [text.strip() for text in texts.split(",")]
        if name in grid:
            raise UsageError(f"--grid {name} is given twice")
        if not all(values):
            raise UsageError(f"--grid {word} has an empty value")
        grid[name] = values
    return grid


def parse_random(words: Iterable[str]) -> dict[str, str]:
    """Ranges by name from `NAME=LOW:HIGH` and `NAME=log:LOW:HIGH` words; UsageError else."""
    ranges: dict[str, str] = {}
    for word in words:
        name, text = _split(word, "--random", "NAME=LOW:HIGH or NAME=log:LOW:HIGH")
        if name in ranges:
            raise UsageError(f"--random {name} is given twice")
        ranges[name] = text
    return ranges


def expand(
    table: Mapping[str, Any],
    grid: Mapping[str, Sequence[Any]],
    random: Mapping[str, Any],
    samples: int | None = None,
    sample_seed: int = 0,
) -> list[dict[str, Any]]:
    """Every point as values by name, in order: the last axis of the grid fastest, then samples.

    Args:
        table: types by name, see `names.kinds`.
        grid: values by name.
        random: a `Range`, a tuple (low, high) or a text as of `parse_random`, by name.
        samples: draws of the random axes; by default `DEFAULT_SAMPLES`.
        sample_seed: of the draws.

    Raises:
        ValueError: an unknown name, a value that does not fit, a range that makes no sense, or
            nothing to vary.
    """
    axes: dict[str, list[Any]] = {}
    for given, texts in grid.items():
        name = known(given, table)
        if name in axes:
            raise UsageError(f"{name} is in the grid twice")
        if isinstance(texts, (str, bytes)) or not isinstance(texts, Iterable):
            raise UsageError(f"the grid of {name} must be a list of values, got {texts!r}")
        axes[name] = [checked(table[name], value, name) for value in texts]
        if not axes[name]:
            raise UsageError(f"the grid of {name} has no values")
        if len(set(axes[name])) < len(axes[name]):
            raise UsageError(f"the grid of {name} has a value twice")
    ranges = {known(given, table): value for given, value in random.items()}
    if both := sorted(axes.keys() & ranges.keys()):
        raise UsageError(f"{both[0]} is both in the grid and random")
    if not axes and not ranges:
        raise UsageError("nothing to sweep: give --grid NAME=V1,V2 or --random NAME=LOW:HIGH")
    if samples is not None and (samples < 1 or not ranges):
        reason = "must be at least 1" if samples < 1 else "needs a random axis"
        raise UsageError(f"the number of samples {reason}")
    check_seeds(sample_seed, name="sample_seed")
    count = (samples or DEFAULT_SAMPLES) if ranges else 1
    limits = {name: _range(table[name], value, name) for name, value in ranges.items()}
    drawn = [
        {name: _draw(table[name], limits[name], name, sample_seed, i) for name in ranges}
        for i in range(count)
    ]
    product = itertools.product(*axes.values())
    return [{**dict(zip(axes, chosen, strict=True)), **d} for chosen in product for d in drawn]


def _split(word: str, option: str, form: str) -> tuple[str, str]:
    name, equals, text = word.partition("=")
    if not (name.strip() and equals and text.strip()):
        raise UsageError(f"{option} takes {form}, got {word!r}")
    return name.strip(), text.strip()


def _range(kind: Any, value: Any, name: str) -> Range:
    if kind not in (int, float):
        raise UsageError(f"{name} is not a number, so it cannot be random; use a grid")
    if isinstance(value, str):
        parts = value.split(":")
        log = len(parts) == 3 and parts[0] == "log"
        if not log and len(parts) != 2:
            raise UsageError(f"a range is LOW:HIGH or log:LOW:HIGH, got {name}={value}")
        numbers = [parse(kind, part, name) for part in parts[-2:]]
    else:
        try:
            low, high, *rest = value
        except (TypeError, ValueError):
            raise UsageError(f"a range is (low, high), got {name}: {value!r}") from None
        numbers, log = (
            [checked(kind, number, name) for number in (low, high)],
            bool(rest and rest[0]),
        )
    found = Range(numbers[0], numbers[1], log)
    if not (math.isfinite(found.low) and math.isfinite(found.high) and found.low < found.high):
        raise UsageError(f"{name}: the range {found.low}:{found.high} is empty or not finite")
    if log and found.low <= 0:
        raise UsageError(f"{name}: a log range must be positive, got {found.low}:{found.high}")
    return found


def _draw(kind: Any, limits: Range, name: str, seed: int, index: int) -> Any:
    generator = np.random.default_rng([seed, zlib.crc32(name.encode()), index])
    unit = float(generator.uniform())
    # An integer stands for the interval from it to the next.
    low, high = limits.low, limits.high + (1 if kind is int else 0)
    value = low * (high / low) ** unit if limits.log else low + unit * (high - low)
    if kind is int:
        return min(int(value), int(limits.high))
    return min(max(value, limits.low), limits.high)
