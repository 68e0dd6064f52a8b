"""Masks of actions that would change nothing, against trying every action."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrl
from jaxrl.envs.arcle import masks, selection
from jaxrl.envs.arcle.encodings import boxes
from jaxrl.envs.arcle.operations import O2ARC, OperationSet
from jaxrl.envs.arcle.rules import preset
from jaxrl.envs.arcle.state import State, initial_state, view
from jaxrl.envs.arcle.step import apply
from tests.unoptimised import jit

SIDE, STEPS, EPISODES = 3, 12, 10


@pytest.fixture(scope="module", params=["fixed", "reference"])
def played(request):
    """States on the way of random episodes, and after each of all operations on all boxes."""
    rules = preset(request.param)
    corners = jnp.asarray(boxes(SIDE))
    words = jax.vmap(lambda box: selection.from_box(box, SIDE))(corners)

    @jax.jit
    @jax.vmap
    def episode(key):
        key_grids, key_steps = jax.random.split(key)
        grids = jax.random.randint(key_grids, (2, SIDE, SIDE), 0, 3, jnp.int32).astype(jnp.int8)
        # Half of the grids are of one colour, so that much of what can be done changes nothing.
        flat = jnp.full_like(grids[0], grids[0, 0, 0])
        grid = jnp.where(jax.random.bernoulli(key_grids), flat, grids[0])
        dim = jnp.asarray([2, 3], jnp.int32)
        inside = (jnp.arange(SIDE, dtype=jnp.int32) < 2)[:, None]
        grid = jnp.where(inside, grid, jnp.int8(0))
        start = initial_state(grid, dim, jnp.where(inside, grids[1], jnp.int8(0)), dim, rules)

        def step(state: State, key):
            key_operation, key_box = jax.random.split(key)
            number = jax.random.randint(key_operation, (), 0, len(O2ARC.names) - 1, jnp.int32)
            box = words[jax.random.randint(key_box, (), 0, len(words), jnp.int32)]
            after, _, _ = apply(state, number, box, rules, O2ARC)
            return after, state

        return jax.lax.scan(step, start, jax.random.split(key_steps, STEPS))[1]

    states = episode(jax.random.split(jax.random.key(0), EPISODES))
    states = jax.tree.map(lambda x: x.reshape((-1, *x.shape[2:])), states)

    @jax.jit
    @jax.vmap
    def tried(state):
        def one(number, box):
            after, _, _ = apply(state, number, box, rules, O2ARC)
            return view(after, O2ARC) | {"submits": after.submit_count}

        operations = jnp.arange(len(O2ARC.names), dtype=jnp.int32)
        before = view(state, O2ARC) | {"submits": state.submit_count}
        after = jax.vmap(lambda n: jax.vmap(functools.partial(one, n))(words))(operations)
        different = jax.tree.map(
            lambda x, y: jnp.any((x != y[None, None]).reshape((*x.shape[:2], -1)), axis=-1),
            after,
            before,
        )
        return functools.reduce(jnp.logical_or, jax.tree.leaves(different))

    # bool [S, 35, 36]: in NumPy's sense, by the int8 arrays that the package shows.
    return rules, states, np.asarray(tried(states))


def test_the_flat_mask_is_exact(played):
    rules, states, changed = played
    env, _ = jaxrl.make("ARCLE-O2ARC-v2", dataset="random", canvas=SIDE, action="flat")
    flat = masks.make_mask(env.encoding, env.operations, O2ARC)
    found = np.asarray(jax.jit(jax.vmap(flat, (0, None)))(states, rules))
    np.testing.assert_array_equal(found, changed.reshape(len(changed), -1))
    assert 0.02 < 1 - found.mean() < 0.6, "both kinds of actions occur"


def test_an_operation_is_masked_only_if_nothing_it_does_changes_anything(played):
    rules, states, changed = played
    may = np.asarray(
        jax.jit(jax.vmap(functools.partial(masks.operation_mask, known=O2ARC), (0, None)))(
            states, rules
        )
    )
    does = changed.any(axis=-1)
    assert not (does & ~may).any(), "a useful operation is masked"
    # Colours, flood fills, CopyFromInput and ResetGrid are masked exactly when they do nothing.
    exact = [O2ARC.names.index(name) for name in O2ARC.names if masked_exactly(name)]
    np.testing.assert_array_equal(may[:, exact], does[:, exact])
    assert (~may[:, exact]).sum() > 10


def masked_exactly(name):
    return name.startswith(("Color", "FloodFill")) or name in ("CopyFromInput", "ResetGrid")


def test_the_mask_of_single_cells_is_exact(played):
    rules, states, changed = played
    corners = boxes(SIDE)
    single = (corners[:, :2] == corners[:, 2:]).all(axis=1)
    numbers = [O2ARC.number(name) for name in ("Color1", "FloodFill0", "MoveUp", "CopyO")]
    few = jax.tree.map(lambda leaf: leaf[::7], states)

    def masked(state, number):
        return masks.selection_mask(state, number, rules, O2ARC)

    each = jax.vmap(jax.vmap(masked, (None, 0)), (0, None))
    found = np.asarray(jit(each)(few, jnp.asarray(numbers, jnp.int32)))
    expected = np.zeros_like(found)
    for place, (x, y, _, _) in zip(np.nonzero(single)[0], corners[single], strict=True):
        expected[:, :, x, y] = changed[::7][:, numbers, place]
    np.testing.assert_array_equal(found, expected)
    assert found.any() and not found.all()


def test_submit_is_never_masked(played):
    _, _, changed = played
    assert changed[:, O2ARC.number("Submit")].all()


def test_masks_in_observations():
    env, params = jaxrl.make(
        "ARCLE-Raw-v0", dataset="random", canvas=2, operations="Color0,Color1", mask_actions=True
    )
    obs, state = env.reset_env(jax.random.key(0), params)
    space = env.observation_space(params).spaces["action_mask"]
    assert obs["action_mask"].shape == (5, 2) == space.shape
    assert isinstance(env.operation_set, OperationSet)
    black = state.replace(game=state.game.replace(grid=jnp.zeros_like(state.game.grid)))
    mask = env.observe(jax.random.key(0), black, None, params)["action_mask"]
    assert mask.tolist() == [[False, True]] + [[True, True]] * 4
