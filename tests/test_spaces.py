"""MultiDiscrete against its definition, `contains` and `describe` over nested spaces."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxrl.spaces import (
    Box,
    Dict,
    Discrete,
    MultiDiscrete,
    Space,
    Tuple,
    contains,
    describe,
    dtypes,
)

BOX = Box(jnp.array([-1.0, 0.0]), jnp.array([1.0, 5.0]), (2,), jnp.float32)
NESTED = Dict({"pair": Tuple([Discrete(3), BOX]), "mask": Box(False, True, (4,), jnp.bool_)})


def _nested(choice=2, box=(0.5, 5.0), mask=(True, False, True, True)):
    box = jnp.array(box, jnp.float32)
    return {"pair": (jnp.int32(choice), box), "mask": jnp.array(mask)}


def test_multi_discrete_describes_itself():
    space = MultiDiscrete(np.array([2, 3, 7]))
    assert space.nvec == (2, 3, 7)
    assert (space.n, space.shape, space.dtype) == (7, (3,), jnp.int32)
    assert repr(space) == "MultiDiscrete((2, 3, 7))"


def test_multi_discrete_samples_each_component_uniformly():
    space = MultiDiscrete((2, 5))
    keys = jax.random.split(jax.random.key(0), 4000)
    samples = np.asarray(jax.jit(jax.vmap(space.sample))(keys))
    assert samples.shape == (4000, 2)
    assert samples.dtype == np.int32
    for component, size in enumerate(space.nvec):
        counts = np.bincount(samples[:, component])
        assert len(counts) == size
        assert stats.chisquare(counts).pvalue > 1e-3
    joint = np.bincount(samples[:, 0] * 5 + samples[:, 1])
    assert stats.chisquare(joint).pvalue > 1e-3, "components depend on each other"


@pytest.mark.parametrize(
    ("action", "inside"),
    [((0, 0), True), ((1, 2), True), ((2, 0), False), ((0, 3), False), ((-1, 0), False)],
)
def test_multi_discrete_contains(action, inside):
    action = jnp.array(action, jnp.int32)
    assert bool(MultiDiscrete((2, 3)).contains(action)) is inside
    assert bool(jax.jit(lambda x: contains(MultiDiscrete((2, 3)), x))(action)) is inside


@pytest.mark.parametrize("nvec", [(), (2, 0), (-1,), (2.5, 1.0), 3, ((2, 3), (4, 5))])
def test_multi_discrete_rejects(nvec):
    with pytest.raises(ValueError, match="positive ints"):
        MultiDiscrete(nvec)


@pytest.mark.parametrize(
    ("x", "inside"),
    [
        (_nested(), True),
        (_nested(choice=3), False),
        (_nested(box=(-1.1, 0.0)), False),
        (_nested(box=(0.0, 5.1)), False),
        (_nested(box=(0.0, float("nan"))), False),
        (_nested(mask=(True, True, True)), False),
        ({**_nested(), "extra": jnp.int32(0)}, False),
        ({"mask": _nested()["mask"]}, False),
        ({**_nested(), "mask": jnp.ones(4, jnp.float32)}, False),
        ({**_nested(), "pair": _nested()["pair"][:1]}, False),
        (_nested()["pair"], False),
        (jnp.int32(0), False),
    ],
)
def test_contains_checks_structure_shape_dtype_and_values(x, inside):
    assert bool(contains(NESTED, x)) is inside
    assert bool(jax.jit(lambda x: contains(NESTED, x))(x)) is inside


def test_contains_checks_the_dtype_of_leaves():
    assert contains(Discrete(3), 2)
    assert not contains(Discrete(3), jnp.float32(2))
    assert not contains(Discrete(3), jnp.ones(1, jnp.int32))
    assert not contains(Discrete(3), {"a": jnp.int32(0)})
    assert not contains(BOX, jnp.zeros(2, jnp.int32))
    assert contains(Box(0, 255, (2,), jnp.uint8), jnp.array([0, 255], jnp.uint8))


def test_contains_maps_over_a_batch():
    batch = jnp.array([[0.0, 0.0], [1.0, 5.0], [2.0, 0.0]])
    inside = jax.vmap(lambda x: contains(BOX, x))(batch)
    np.testing.assert_array_equal(inside, [True, True, False])


def test_contains_takes_bounds_that_are_traced():
    inside = jax.vmap(lambda high: contains(Box(0.0, high, (2,), jnp.float32), jnp.ones(2)))
    np.testing.assert_array_equal(inside(jnp.array([0.5, 1.0])), [False, True])


def test_samples_of_nested_spaces_are_contained():
    keys = jax.random.split(jax.random.key(0), 50)

    def check(key):
        return contains(Dict({"a": NESTED.spaces["pair"], "b": MultiDiscrete((2, 3))}), sample(key))

    def sample(key):
        return Dict({"a": NESTED.spaces["pair"], "b": MultiDiscrete((2, 3))}).sample(key)

    assert jax.vmap(check)(keys).all()


def test_contains_refuses_unknown_spaces():
    class Ball(Space):
        shape, dtype = (2,), jnp.float32

    with pytest.raises(TypeError, match="Ball is not a space"):
        contains(Ball(), jnp.zeros(2))


def test_dtypes_mirror_the_structure():
    assert dtypes(NESTED) == {"pair": (jnp.int32, jnp.float32), "mask": jnp.bool_}


@pytest.mark.parametrize(
    ("space", "text"),
    [
        (Discrete(4), "Discrete(4)"),
        (MultiDiscrete((2, 3)), "MultiDiscrete((2, 3))"),
        (BOX, "Box((2,), float32, -1..5)"),
        (Box(0, 255, (8, 8, 3), jnp.uint8), "Box((8, 8, 3), uint8, 0..255)"),
        (Box(-jnp.inf, jnp.inf, (3,), jnp.float32), "Box((3,), float32, unbounded)"),
        (
            Box(-jnp.finfo(jnp.float32).max, jnp.finfo(jnp.float32).max, (3,), jnp.float32),
            "Box((3,), float32, unbounded)",
        ),
        (
            Box(jnp.array([-1.0, -jnp.inf]), jnp.array([1.0, jnp.inf]), (2,), jnp.float32),
            "Box((2,), float32, partly unbounded)",
        ),
        (
            NESTED,
            "Dict(pair: Tuple(Discrete(3), Box((2,), float32, -1..5)), "
            "mask: Box((4,), bool, 0..1))",
        ),
    ],
)
def test_describe_is_one_short_line(space, text):
    assert describe(space) == text
