"""What an episode is made of: which pairs of a task are worked on, and whether the answer is known.

    protocol      an episode                                              answers
    "adaptation"  one demonstration of a task, drawn at random            may be observed
    "test"        one test of a task, drawn at random, k trials           hidden
    "meta"        all demonstrations of a task in order, then one test    hidden

What is hidden is the answer of the pair that is worked on; demonstrations as a whole, with their
outputs, are observed on request (`demo_output`), as ARC gives them. `ResizeToAnswer`, of the 12
operations, tells the size of an answer.

Pairs of a task are numbered: 0..D-1 are its demonstrations, D..D+K-1 its tests, with D and K what
there is room for.

Source: Lee et al. (2024), arXiv 2407.20806, for adaptation and test; demonstrations before a test
in one episode as in Duan et al. (2016), RL^2, arXiv 1611.02779.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.envs.arcle.tasks import Tasks


class Protocol(NamedTuple):
    """How an episode goes through a task.

    Attributes:
        first: (key, task) -> the number of the first pair, int32 [].
        following: (key, pair, task) -> (the number of the next pair int32 [], whether there is
            one bool []); None where an episode has one pair.
        hidden: whether answers are hidden from the agent.
        trials: submissions of an answer to a test, -1 without limit; demonstrations have no limit.
    """

    first: Callable[[jax.Array, Tasks], jax.Array]
    following: Callable[[jax.Array, jax.Array, Tasks], tuple[jax.Array, jax.Array]] | None
    hidden: bool
    trials: int


def make_protocol(name: str) -> Protocol:
    """The protocol `name`; `ValueError` for an unknown one."""
    if not isinstance(name, str) or name not in PROTOCOLS:
        raise ValueError(f"unknown protocol {name!r}; one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def room(task: Tasks) -> tuple[int, int]:
    """D and K, what there is room for."""
    return task.demos.input.shape[-3], task.tests.input.shape[-3]


def is_test(pair: jax.Array, task: Tasks) -> jax.Array:
    """Whether a pair is a test, bool []."""
    return pair >= room(task)[0]


def _below(key: jax.Array, count: jax.Array) -> jax.Array:
    """An evenly drawn number below `count`, int8 [] and positive: int32 []."""
    return jax.random.randint(key, (), 0, count.astype(jnp.int32), jnp.int32)


def _a_demonstration(key: jax.Array, task: Tasks) -> jax.Array:
    return _below(key, task.demos.count)


def _a_test(key: jax.Array, task: Tasks) -> jax.Array:
    return room(task)[0] + _below(key, task.tests.count)


def _in_order(key: jax.Array, pair: jax.Array, task: Tasks) -> tuple[jax.Array, jax.Array]:
    more = pair + 1 < task.demos.count.astype(jnp.int32)
    return jnp.where(more, pair + 1, _a_test(key, task)), ~is_test(pair, task)


PROTOCOLS: dict[str, Protocol] = {
    "adaptation": Protocol(_a_demonstration, None, hidden=False, trials=-1),
    "test": Protocol(_a_test, None, hidden=True, trials=3),
    "meta": Protocol(lambda key, task: jnp.int32(0), _in_order, hidden=True, trials=3),
}
