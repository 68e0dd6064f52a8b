"""A learnt drift in two numbers: the DPO that comes nearest to it, and how near that is.

Lu et al. 2022 (arXiv 2210.05639, sec. 5) looked at a learnt drift and wrote down DPO. Here a
computer does the same: least squares over a grid of (r, A) between f and DPO's f(alpha, beta). Of
DPO's drift the half A >= 0 depends on alpha only and the half A < 0 on beta only, so these are two
problems in one positive number each, solved in its logarithm: a grid finds the valley, bisection
of the slope its bottom.

The grid, unless another is given: r from 0.5 to 1.5 in 101 even steps, |A| from 0.05 to 3 in 60
even steps. Advantages are standardised, so that |A| <= 3 is nearly all there is; PPO's clipping
keeps most ratios within 1 +- 0.2. Every point of the grid weighs the same.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.algorithm import LearntObjective
from jaxrl.algos.on_policy.objectives import DPOParameters, dpo_drift, ppo_drift

# (log ratio, advantage) -> f, elementwise.
Drift = Callable[[jax.Array, jax.Array], jax.Array]

RATIO: tuple[float, float, int] = (0.5, 1.5, 101)
ADVANTAGE: tuple[float, float, int] = (0.05, 3.0, 60)
# Where alpha and beta are looked for: beyond either end DPO's drift no longer changes visibly.
LOWEST, HIGHEST = 1e-2, 1e2
# Where training is looked at for drifts that see its progress.
PROGRESS = (0.0, 0.5, 1.0)
_COARSE, _BISECTIONS = 185, 30
_CLIP = 0.2


class Grid(NamedTuple):
    """Where drifts are compared: every ratio with every advantage, of either sign.

    Attributes:
        ratio: r > 0, float32 [R].
        advantage: |A| > 0, float32 [M].
    """

    ratio: np.ndarray[Any, Any]
    advantage: np.ndarray[Any, Any]


class Residual(NamedTuple):
    """How far a drift is from a learnt one over half of the grid.

    Attributes:
        rms: root of the mean squared difference, in units of the drift (as r A).
        unexplained: squared differences as a part of the learnt drift's variance: 0 is a perfect
            description, 1 one as good as a constant; NaN where the learnt drift does not vary.
    """

    rms: float
    unexplained: float


class HalfFit(NamedTuple):
    """The nearest DPO of one sign of A.

    Attributes:
        parameter: alpha (A >= 0) or beta (A < 0).
        at_bound: no minimum was found between `LOWEST` and `HIGHEST`: DPO fits badly, or the drift
            vanishes (where alpha would be infinite).
        residual: of this DPO.
        ppo: of PPO's drift, for comparison.
        dpo: of DPO as published, alpha = 2 and beta = 0.6.
    """

    parameter: float
    at_bound: bool
    residual: Residual
    ppo: Residual
    dpo: Residual


class Fit(NamedTuple):
    """The nearest DPO.

    Attributes:
        progress: part of training n / N at which the drift was taken; None for one that does not
            depend on it.
        positive: where A > 0: alpha.
        negative: where A < 0: beta.
    """

    progress: float | None
    positive: HalfFit
    negative: HalfFit

    @property
    def phi(self) -> DPOParameters:
        """Parameters to train with."""
        return DPOParameters(self.positive.parameter, self.negative.parameter)

    def to_json(self) -> dict[str, Any]:
        """JSON values; null for what is not a number."""
        halves = {"positive": self.positive, "negative": self.negative}
        return {
            "progress": self.progress,
            "alpha": self.positive.parameter,
            "beta": self.negative.parameter,
            **{name: _half_json(half) for name, half in halves.items()},
        }


def default_grid() -> Grid:
    """The grid of the module's docstring."""
    return Grid(*(np.linspace(*axis, dtype=np.float32) for axis in (RATIO, ADVANTAGE)))


def fit(
    drift: Drift,
    grid: Grid | None = None,
    *,
    clip: float = _CLIP,
    progress: float | None = None,
) -> Fit:
    """The DPO nearest to `drift` in squared differences over a grid.

    Args:
        drift: f(log r, A), elementwise.
        grid: where to look; see `default_grid`.
        clip: epsilon of the PPO that it is compared with.
        progress: noted in the result.

    Raises:
        ValueError: the grid is not positive, or the drift is not finite on it.
    """
    grid = grid or default_grid()
    if not (np.min(grid.ratio) > 0 and np.min(grid.advantage) > 0):
        raise ValueError("ratios and sizes of advantages of the grid must be positive")
    positive, negative = (_fit_half(drift, grid, sign, clip) for sign in (1.0, -1.0))
    return Fit(progress, positive, negative)


def summarise(learnt: LearntObjective, phi: Any, grid: Grid | None = None) -> list[Fit]:
    """The nearest DPO of a learnt drift; at several values of progress where it depends on that.

    Args:
        learnt: what kind of drift it is.
        phi: its parameters.
        grid: see `fit`.
    """
    clip = float(getattr(phi, "clip", _CLIP))
    return [
        fit(drift, grid, clip=clip, progress=progress)
        for progress, drift in at_progress(learnt, phi)
    ]


def at_progress(learnt: LearntObjective, phi: Any) -> list[tuple[float | None, Drift]]:
    """A learnt drift as functions of (log r, A): at each of `PROGRESS` if that makes a difference.

    Whether it does is found out on the default grid.
    """

    def at(progress: float) -> Drift:
        return lambda log_ratio, advantage: learnt.drift(
            log_ratio, advantage, phi, jnp.float32(progress)
        )

    drifts = [at(progress) for progress in PROGRESS]
    points = [_points(default_grid(), sign) for sign in (1.0, -1.0)]
    first, *others = [np.stack([drift(*half) for half in points]) for drift in drifts]
    if all(np.array_equal(first, other) for other in others):
        return [(None, drifts[0])]
    return list(zip(PROGRESS, drifts, strict=True))


def describe(name: str, fits: Sequence[Fit]) -> Iterator[str]:
    """Fits in lines for a reader, at most 100 characters wide."""
    for found in fits:
        when = "" if found.progress is None else f" at n/N = {found.progress:g}"
        alpha, beta = _number(found.positive), _number(found.negative)
        yield f"{name}{when}: nearest DPO alpha = {alpha}, beta = {beta}"
        for sign, half in ((">", found.positive), ("<", found.negative)):
            nearer = half.ppo.rms < half.residual.rms
            yield (
                f"  A {sign} 0: rms {half.residual.rms:.3g}, {_percent(half.residual)} of"
                f" variance unexplained; PPO: {_percent(half.ppo)}; DPO(2, 0.6):"
                f" {_percent(half.dpo)}{'; PPO is nearer' if nearer else ''}"
            )


def _fit_half(drift: Drift, grid: Grid, sign: float, clip: float) -> HalfFit:
    log_ratio, advantage = _points(grid, sign)
    target = drift(log_ratio, advantage)
    if not bool(jnp.all(jnp.isfinite(target))):
        raise ValueError("the drift is not finite everywhere on the grid")
    parameter, at_bound = _nearest(target, log_ratio, advantage)

    def residual(other: jax.Array) -> Residual:
        wanted = np.asarray(target, np.float64)
        squares = np.mean(np.square(wanted - np.asarray(other, np.float64)))
        spread = np.var(wanted)
        return Residual(math.sqrt(squares), float(squares / spread) if spread > 0 else math.nan)

    def dpo(phi: DPOParameters) -> Residual:
        return residual(dpo_drift(log_ratio, advantage, phi))

    return HalfFit(
        float(parameter),
        bool(at_bound),
        dpo(DPOParameters(parameter, parameter)),
        residual(ppo_drift(log_ratio, advantage, clip)),
        dpo(DPOParameters()),
    )


@jax.jit
def _nearest(
    target: jax.Array, log_ratio: jax.Array, advantage: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """(alpha or beta, whether it is at an end of its range) of points [P] of one sign of A."""

    def cost(x: jax.Array) -> jax.Array:
        number = jnp.exp(x)  # as both: only one of them counts for this sign
        drift = dpo_drift(log_ratio, advantage, DPOParameters(number, number))
        return jnp.mean(jnp.square(drift - target))

    coarse = jnp.linspace(math.log(LOWEST), math.log(HIGHEST), _COARSE)
    best = jnp.argmin(jax.lax.map(cost, coarse))
    low = coarse[jnp.maximum(best - 1, 0)]
    high = coarse[jnp.minimum(best + 1, _COARSE - 1)]

    def bisect(_: int, bracket: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = bracket
        middle = 0.5 * (low + high)
        rising = jax.grad(cost)(middle) > 0
        return jnp.where(rising, low, middle), jnp.where(rising, middle, high)

    low, high = jax.lax.fori_loop(0, _BISECTIONS, bisect, (low, high))
    return jnp.exp(0.5 * (low + high)), (best == 0) | (best == _COARSE - 1)


def _points(grid: Grid, sign: float) -> tuple[jax.Array, jax.Array]:
    """(log r, A) of half of the grid, float32 [R * M] each."""
    log_ratio, advantage = np.meshgrid(np.log(grid.ratio), sign * grid.advantage)
    return (
        jnp.asarray(log_ratio.ravel(), jnp.float32),
        jnp.asarray(advantage.ravel(), jnp.float32),
    )


def _half_json(half: HalfFit) -> dict[str, Any]:
    record: dict[str, Any] = {"at_bound": half.at_bound}
    for name in ("residual", "ppo", "dpo"):
        found: Residual = getattr(half, name)
        share = found.unexplained if math.isfinite(found.unexplained) else None
        record[name] = {"rms": found.rms, "unexplained": share}
    return record


def _number(half: HalfFit) -> str:
    if not half.at_bound:
        return f"{half.parameter:.4g}"
    return f"{half.parameter:.4g} (the end of its range)"


def _percent(found: Residual) -> str:
    if not math.isfinite(found.unexplained):
        return "-"
    # Where a drift is next to nothing, any other is many times its variance away.
    return f"{100 * found.unexplained:.3g}%" if found.unexplained < 10 else "over 1000%"
