"""The transformer over cells: shapes, cells outside, exact equivariance, what it predicts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.distributions import ConditionalCategorical, MultiCategorical
from jaxrl.networks import NetworkConfig, make_net
from jaxrl.networks.cells import CellActorCritic, Grid, Operation
from jaxrl.spaces import Box, Dict, Discrete, MultiDiscrete

HEIGHT, WIDTH, COLORS, BATCH = 2, 3, 4, 5
GRID = Box(0, COLORS - 1, (HEIGHT, WIDTH), jnp.int8)
SIZE = Box(0, 3, (2,), jnp.int8)
SPACE = Dict(
    {
        "grid": GRID,
        "answer": GRID,
        "grid_dim": SIZE,
        "selected": Box(0, 1, (HEIGHT, WIDTH), jnp.int8),
        "trials": Box(0, 9, (), jnp.int8),
    }
)
# Every colour painted, every colour flooded, and an operation without a colour.
OPERATIONS = (
    *(Operation(0, color) for color in range(COLORS)),
    *(Operation(1, color) for color in range(COLORS)),
    Operation(2),
)
ACTIONS = MultiDiscrete((len(OPERATIONS), HEIGHT, WIDTH))
ALL = ("previous_reward", "reward", "next_grid")
MADE = {}


def _module(**changes):
    fields = dict(
        choices=ACTIONS.nvec,
        grids=(Grid("grid", "grid_dim"), Grid("answer")),
        operations=OPERATIONS,
        marks=("selected",),
        features=("trials",),
        predicts=ALL,
        num_colors=COLORS,
        dim=8,
        heads=2,
    )
    return CellActorCritic(**(fields | changes))


def _net(equivariant, conditional, grids=None):
    """A net, its parameters away from the start, and compiled `apply` and `predict`."""
    key = (equivariant, conditional, grids)
    if key not in MADE:
        kind = "conditional" if conditional else "independent"
        changes = {} if grids is None else {"grids": grids}
        module = _module(equivariant=equivariant, conditional=conditional, **changes)
        net = make_net(SPACE, ACTIONS, NetworkConfig(multi_discrete=kind), module)
        params = jax.jit(net.init)(jax.random.key(0))
        rng = np.random.default_rng(0)
        params = jax.tree.map(
            lambda x: x + jnp.asarray(rng.normal(0.0, 0.3, x.shape), x.dtype), params
        )
        MADE[key] = net, params, jax.jit(net.predict)
    return MADE[key]


def _obs(seed=0, rows=HEIGHT, columns=WIDTH):
    rng = np.random.default_rng(seed)
    shape = (BATCH, HEIGHT, WIDTH)
    return {
        "grid": jnp.asarray(rng.integers(0, COLORS, shape), jnp.int8),
        "answer": jnp.asarray(rng.integers(0, COLORS, shape), jnp.int8),
        "grid_dim": jnp.asarray([[rows, columns]] * BATCH, jnp.int8),
        "selected": jnp.asarray(rng.integers(0, 2, shape), jnp.int8),
        "trials": jnp.asarray(rng.integers(0, 9, BATCH), jnp.int8),
    }


ACTION = jnp.asarray([[0, 0, 1], [5, 1, 2], [8, 0, 0], [3, 1, 1], [2, 0, 2]], jnp.int32)


def _close(a, b, tolerance=1e-5):
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance), a, b
    )


@pytest.mark.parametrize("equivariant", [False, True])
@pytest.mark.parametrize("conditional", [False, True])
def test_shapes_for_both_heads(equivariant, conditional):
    net, params, predict = _net(equivariant, conditional)
    policy, value, predictions = predict(params, _obs(), ACTION)
    assert isinstance(policy, ConditionalCategorical if conditional else MultiCategorical)
    assert value.shape == (BATCH,)
    shapes = {name: x.shape for name, x in predictions.items()}
    grid = (BATCH, HEIGHT, WIDTH, COLORS)
    assert shapes == {"previous_reward": (BATCH,), "reward": (BATCH,), "next_grid": grid}
    action = policy.sample(jax.random.key(0))
    assert bool(jax.vmap(ACTIONS.contains)(action).all())
    # One pass for training gives what acting sees; the marks and features are seen.
    acting = jax.jit(lambda params, obs: net.apply(params, obs, ())[:2])
    _close(acting(params, _obs()), (policy, value), 1e-4)
    for name in ("selected", "trials", "grid", "answer"):
        other = _obs() | {name: _obs(1)[name]}
        assert not np.allclose(predict(params, other, ACTION)[1], value, atol=1e-3), name


@pytest.mark.parametrize("equivariant", [False, True])
def test_cells_outside_their_grid_have_no_influence(equivariant):
    """The last column is outside: of all grids it is not read, of one grid its colours are not."""
    both = (Grid("grid", "grid_dim"), Grid("answer", "grid_dim"))
    for grids, names in ((None, ("grid",)), (both, ("grid", "answer", "selected"))):
        _, params, predict = _net(equivariant, True, grids)
        obs = _obs(rows=2, columns=2)
        policy, value, predictions = predict(params, obs, ACTION)
        changed = obs | {name: obs[name].at[:, :, 2].set(1 - obs[name][:, :, 2]) for name in names}
        changed = {name: jnp.abs(x) for name, x in changed.items()}
        assert any(not np.array_equal(changed[name], obs[name]) for name in names)
        after = predict(params, changed, ACTION)
        _close((policy, value), after[:2], 1e-6)
        _close(predictions["reward"], after[2]["reward"], 1e-6)
        # The same change inside is seen.
        wide = {**changed, "grid_dim": jnp.full((BATCH, 2), 3, jnp.int8)}
        assert not np.allclose(value, predict(params, wide, ACTION)[1], atol=1e-3)


@pytest.mark.parametrize("conditional", [False, True])
def test_permuting_the_colours_permutes_the_operations_exactly(conditional):
    _, params, predict = _net(True, conditional)
    obs, permutation = _obs(), np.asarray([2, 0, 3, 1])
    moved = obs | {
        name: jnp.asarray(permutation[np.asarray(obs[name])], jnp.int8)
        for name in ("grid", "answer")
    }
    order = np.concatenate([permutation, COLORS + permutation, [2 * COLORS]])
    before = predict(params, obs, ACTION)
    after = predict(params, moved, ACTION.at[:, 0].set(order[np.asarray(ACTION[:, 0])]))
    if conditional:
        logits, moved_logits = before[0].first, after[0].first
        _close(before[0].rest, after[0].rest[:, order])
        assert np.std(np.asarray(before[0].rest[:, :, 0, :2]), axis=1).min() > 1e-3
    else:
        logits, moved_logits = before[0].logits[:, 0], after[0].logits[:, 0]
        _close(before[0].logits[:, 1:], after[0].logits[:, 1:])
    _close(logits, moved_logits[:, order])
    # It says something: operations differ, and the permutation is not without effect.
    assert np.std(np.asarray(logits[:, :COLORS]), axis=1).min() > 1e-3
    assert not np.allclose(logits, moved_logits, atol=1e-2)
    _close(before[1], after[1])
    for name in ("previous_reward", "reward"):
        _close(before[2][name], after[2][name])
    _close(before[2]["next_grid"], after[2]["next_grid"][..., permutation])


def test_embedded_colours_are_not_equivariant():
    """The test above can fail."""
    _, params, predict = _net(False, True)
    permutation = np.asarray([2, 0, 3, 1])
    obs = _obs()
    moved = obs | {
        name: jnp.asarray(permutation[np.asarray(obs[name])], jnp.int8)
        for name in ("grid", "answer")
    }
    values = [predict(params, x, ACTION)[1] for x in (obs, moved)]
    assert not np.allclose(*values, atol=1e-2)


def test_predictions_know_the_action():
    for equivariant in (False, True):
        _, params, predict = _net(equivariant, True)
        made = predict(params, _obs(), ACTION)[2]
        for component in range(3):
            other = ACTION.at[:, component].set((ACTION[:, component] + 1) % 2)
            after = predict(params, _obs(), other)[2]
            assert not np.allclose(made["reward"], after["reward"], atol=1e-4)
            assert not np.allclose(made["next_grid"], after["next_grid"], atol=1e-4)
            np.testing.assert_array_equal(made["previous_reward"], after["previous_reward"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grids": ()}, "a grid and a layer"),
        ({"layers": 0}, "a grid and a layer"),
        ({"choices": (9,)}, "two choices or more"),
        ({"heads": 3}, "3 heads do not divide a width of 8"),
        ({"equivariant": True, "operations": OPERATIONS[1:]}, "9 operations, got 8"),
        ({"equivariant": True, "operations": (Operation(0, 4),) * 9}, "a colour below 4"),
        ({"marks": ("clip",)}, "no 'clip'; it has answer, grid"),
        ({"grids": (Grid("grid"), Grid("trials"))}, "one shape"),
        ({"choices": (9, 2)}, r"policy outputs \[B, 63\]"),
    ],
)
def test_what_cannot_be_built_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        make_net(SPACE, ACTIONS, NetworkConfig(multi_discrete="conditional"), _module(**changes))


def test_unknown_predictions_and_plain_observations_are_refused():
    config = NetworkConfig(multi_discrete="conditional")
    net = make_net(SPACE, ACTIONS, config, _module(predicts=("value",)))
    with pytest.raises(ValueError, match="one of previous_reward, reward, next_grid"):
        jax.eval_shape(net.init, jax.random.key(0))
    with pytest.raises(ValueError, match="needs a Dict observation"):
        make_net(GRID, ACTIONS, config, _module())
    with pytest.raises(ValueError, match=r"policy outputs \[B, 3\]"):
        make_net(SPACE, Discrete(3), config, _module())


def test_an_equivariant_next_grid_has_the_colours_at_hand():
    """Logits of colours that neither a grid nor the operation has at a cell are 0, others not."""
    _, params, predict = _net(True, True)
    obs = _obs()
    logits = np.asarray(predict(params, obs, ACTION)[2]["next_grid"])
    colors = np.arange(COLORS)
    there = [np.asarray(obs[name])[..., None] == colors for name in ("grid", "answer")]
    painted = [[OPERATIONS[i].color == color for color in colors] for i in np.asarray(ACTION)[:, 0]]
    painted = np.broadcast_to(np.asarray(painted)[:, None, None], logits.shape)
    np.testing.assert_array_equal(logits != 0, there[0] | there[1] | painted)
