"""What each rule can be: values that mean something, and that the state's small integers can hold.

`check` looks at concrete values only. Under a transformation a rule is a tracer, whose value nobody
knows yet, and is let through.
"""

import fnmatch
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jaxrl.envs.crafter_oo import constants as c

if TYPE_CHECKING:
    from jaxrl.envs.crafter_oo.rules import Rules

_ITEM = 2**7 - 1  # the most of an item that a state holds, and the most health
_FINITE = float(np.finfo(np.float32).max)

# (pattern of names, lowest, highest); the first that fits holds. Flags have no limits. A threshold
# may be infinite, as what never, or always, happens.
LIMITS = (
    ("*_probability", 0, 1),
    ("balance.interval", 1, math.inf),
    ("balance.material", 1, len(c.MATERIALS) - 1),
    ("balance.space", 0, math.inf),
    ("*_distance", 0, math.inf),
    # More than any health is no more, and the sum of many is to stay an int16.
    ("*_damage", 0, _ITEM),
    ("*_damage_asleep", 0, _ITEM),
    ("balance.*", -_FINITE, _FINITE),
    ("recipes.collect_leaves", 0, len(c.MATERIALS) - 1),
    ("recipes.*", 0, math.inf),
    ("life.*", 0, math.inf),
    ("creatures.*", 0, math.inf),
    ("terrain.*", -math.inf, math.inf),
)


def limits_of(path: str) -> tuple[float, float]:
    """The lowest and the highest value of the rule of a dotted name."""
    return next((low, high) for name, low, high in LIMITS if fnmatch.fnmatchcase(path, name))


def check(rules: "Rules", prefix: str = "") -> None:
    """Refuses rules that mean nothing.

    Args:
        rules: the rules; leaves may have leading axes, of a batch.
        prefix: what errors put before the name of a rule.

    Raises:
        ValueError: naming the rule, for a value beyond its limits, or for more of an item than a
            state can hold.
    """
    for path, leaf in _leaves(rules):
        if isinstance(leaf, jax.core.Tracer) or leaf.dtype == np.bool_:
            continue
        values, (low, high) = np.asarray(leaf), limits_of(path)
        wrong = ~((values >= low) & (values <= high))  # a NaN is within no limits
        if wrong.any():
            raise ValueError(f"{prefix}{path} must be {_range(low, high)}, got {values[wrong][0]}")
    _check_room(rules, prefix)


def _check_room(rules: "Rules", prefix: str) -> None:
    """Items are limited at the end of a turn; what is won before must still fit in."""
    life, recipes = rules.life, rules.recipes
    gain = np.zeros(len(c.ITEMS), np.int64)
    gain[[c.item("health"), c.item("energy")]] = 1
    gain[c.item("food")] = max(_most(life.eat_plant, ()), _most(life.eat_cow, ()))
    gain = np.maximum(gain, _most(recipes.collect_receive, gain.shape))
    tools = [c.item(name) for name in c.MAKEABLE]
    gain[tools] = np.maximum(gain[tools], _most(recipes.make_gives, (len(tools),)))
    for name, held in (("maximum", life.maximum), ("initial", life.initial)):
        total = _most(held, gain.shape) + gain
        worst = int(total.argmax())
        if total[worst] > _ITEM:
            raise ValueError(
                f"{prefix}life.{name}: {total[worst] - gain[worst]} of {c.ITEMS[worst]} and"
                f" {gain[worst]} more in a step are more than {_ITEM}"
            )


def _most(leaf: Any, shape: tuple[int, ...]) -> Any:
    """The largest values over the leading axes of a leaf, int64 of `shape`; 0 of a tracer."""
    if isinstance(leaf, jax.core.Tracer):
        return np.zeros(shape, np.int64)
    values = np.asarray(leaf, np.int64)
    return values.reshape(-1, *shape).max(axis=0, initial=0)


def _leaves(rules: "Rules") -> Iterator[tuple[str, Any]]:
    for group, record in vars(rules).items():
        for name, leaf in vars(record).items():
            yield f"{group}.{name}", leaf


def _range(low: float, high: float) -> str:
    if -low == high:
        return "finite" if low > -math.inf else "a number"
    return f"at least {low}" if high == math.inf else f"in {low}..{high}"
