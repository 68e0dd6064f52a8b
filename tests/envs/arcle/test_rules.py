"""Each quirk of `QUIRKS`, kept and mended."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.arcle import planes
from jaxrl.envs.arcle.operations import ARC, O2ARC, RAW
from jaxrl.envs.arcle.rules import PRESETS, QUIRKS, Quirks, fixed, preset, reference
from jaxrl.envs.arcle.step import apply
from tests.envs.arcle.lockstep import Task
from tests.envs.arcle.random_actions import Generator
from tests.envs.arcle.small import NOTHING, SIDE, act, after, box, canvas, grid, seen, start


def submits(count, state, rules, operations=O2ARC):
    """The state after some submits, their rewards and ends."""
    rewards, ends = [], []
    for _ in range(count):
        state, reward, ended = act(state, "Submit", NOTHING, rules, operations)
        rewards.append(reward)
        ends.append(ended)
    return state, rewards, ends


def test_every_quirk_is_listed_kept_and_mended():
    assert list(QUIRKS) == [field.name for field in dataclasses.fields(Quirks)]
    assert all(jax.tree.leaves(reference().quirks))
    assert not any(jax.tree.leaves(fixed().quirks))
    tests = [name for name in globals() if name.startswith("test_quirk_")]
    assert sorted(tests) == sorted(f"test_quirk_{name}" for name in QUIRKS)


def test_bad_rules_are_refused():
    with pytest.raises(ValueError, match="unknown rules 'strict'; known are reference, fixed"):
        preset("strict")
    for trials in (0, -2, 128, 1.0, True, "3"):
        with pytest.raises(ValueError, match="max_trials is -1 or from 1 to 127, got"):
            preset("fixed", max_trials=trials)
    assert int(preset("fixed", max_trials=np.int64(3)).max_trials) == 3
    assert list(PRESETS) == ["reference", "fixed"]


def test_quirk_trials_underflow():
    first = start("1", "2")
    kept = first.replace(trials_remain=jnp.int32(-127))
    state, _, ends = submits(2, kept, reference())
    assert int(state.trials_remain) == 127 and ends == [False, False]
    state, _, ends = submits(255, first, reference())
    assert ends == [False] * 254 + [True]
    assert int(state.trials_remain) == 0 and int(state.submit_count) == 255
    state, _, ends = submits(300, first, fixed())
    assert not any(ends) and int(state.trials_remain) == -1 and int(state.submit_count) == 300


def test_quirk_repeated_reward():
    first = start("1", "1")
    state, rewards, ends = submits(3, first, reference())
    assert rewards == [1.0, 1.0, 1.0] and all(ends) and int(state.submit_count) == 3
    state, rewards, ends = submits(3, first, fixed())
    assert rewards == [1.0, 0.0, 0.0] and all(ends) and int(state.submit_count) == 1
    for rules, pays in ((reference(1), 1.0), (fixed(1), 0.0)):
        state, _, _ = submits(1, start("1", "2", rules), rules)
        state, _, _ = act(state, "Color2", box(0, 0, 0, 0), rules)
        assert act(state, "Submit", NOTHING, rules)[1:] == (pays, True)


@pytest.mark.parametrize("operations", [O2ARC, ARC])
def test_quirk_forgetful_reset(operations):
    rules = reference(1, reset_on_submit=True)
    state, _, _ = act(start("1", "2", rules), "Color2", box(0, 0, 0, 0), rules, operations)
    right, reward, ended = act(state, "Submit", NOTHING, rules, operations)
    assert (reward, ended, bool(right.terminated), int(right.trials_remain)) == (0, False, False, 1)
    np.testing.assert_array_equal(seen(right)["grid"], canvas("1"))
    # The input is the answer: any submit pays, as the grid has become the input.
    state, _, _ = act(start("1", "1", rules), "Color2", box(0, 0, 0, 0), rules, operations)
    assert act(state, "Submit", NOTHING, rules, operations)[1:] == (1.0, False)

    rules = fixed(2, reset_on_submit=True)
    state, _, _ = act(start("1", "2", rules), "Color3", box(0, 0, 0, 0), rules, operations)
    wrong, reward, ended = act(state, "Submit", NOTHING, rules, operations)
    assert (reward, ended, int(wrong.trials_remain)) == (0.0, False, 1)
    np.testing.assert_array_equal(seen(wrong)["grid"], canvas("1"))
    state, _, _ = act(wrong, "Color2", box(0, 0, 0, 0), rules, operations)
    right, reward, ended = act(state, "Submit", NOTHING, rules, operations)
    assert (reward, ended, bool(right.terminated)) == (1.0, True, True)
    np.testing.assert_array_equal(seen(right)["grid"], canvas("2"))
    last, reward, ended = act(wrong, "Submit", NOTHING, rules, operations)
    assert (reward, ended, int(last.trials_remain)) == (0.0, True, 0)
    state, _, _ = act(last, "Color3", box(0, 0, 0, 0), rules, operations)
    state, _, _ = act(state, "Submit", NOTHING, rules, operations)
    np.testing.assert_array_equal(seen(state)["grid"], canvas("3"))


def test_the_forgetful_reset_of_the_raw_operations_pays_and_reports_the_end():
    rules = reference(reset_on_submit=True)
    state, _, _ = act(start("1", "2"), "Color2", box(0, 0, 0, 0), rules, RAW)
    state, reward, ended = act(state, "Submit", NOTHING, rules, RAW)
    assert (reward, ended, bool(state.terminated)) == (1.0, True, False)
    np.testing.assert_array_equal(seen(state)["grid"], canvas("1"))


def test_quirk_position_wrap():
    lifted, _, _ = act(start("1."), "MoveRight", box(0, 0, 0, 0))
    far = lifted.replace(object_pos=jnp.asarray([-128, 127]))
    moved = after(far, "MoveRight", rules=reference())
    assert moved["object_pos"].tolist() == [-128, -128]
    assert after(far, "MoveUp", rules=reference())["object_pos"].tolist() == [127, 127]
    state, _, _ = act(far, "MoveRight", NOTHING, fixed())
    assert state.object_pos.tolist() == [-128, 128]
    # 1 x 1 at (0, -70): twice the centre's column, -140, is 116 in int8, so that the centre is
    # taken to be in column 58; the corner becomes (0 - 58 - 70, 58 - 0 + 0).
    far = lifted.replace(object_pos=jnp.asarray([0, -70]))
    turned = after(far, "RotateCW", rules=reference())
    assert turned["object_pos"].tolist() == [-128, 58]
    assert after(far, "RotateCW", rules=fixed())["object_pos"].tolist() == [0, -70]


def test_quirk_colours_off_grid():
    painted = ("Color5", box(1, 1, 2, 3))
    first = start("11 11")
    kept = np.zeros((6, 6), np.int8)
    kept[:2, :2] = 1
    kept[1:3, 1:4] = 5
    np.testing.assert_array_equal(after(first, painted, rules=reference())["grid"], kept)
    np.testing.assert_array_equal(after(first, painted, rules=fixed())["grid"], canvas("11 15"))
    pasted = [("CopyO", box(0, 0, 1, 1)), ("Paste", box(1, 1, 1, 1))]
    kept = np.zeros((6, 6), np.int8)
    kept[:2, :2] = kept[1:3, 1:3] = 1
    np.testing.assert_array_equal(after(first, *pasted, rules=reference())["grid"], kept)
    np.testing.assert_array_equal(after(first, *pasted, rules=fixed())["grid"], canvas("11 11"))
    # Colours beyond the grid can be brought into it.
    lifted = [painted, ("MoveLeft", box(1, 2, 1, 2))]
    assert after(first, *lifted, rules=reference())["object"][0, 0] == 5
    assert after(first, *lifted, rules=fixed())["object"][0, 0] == 0


def test_quirk_copy_bounds():
    first = start("12 34")
    for name in ("CopyI", "CopyO"):
        for rules, one, two in ((reference(), [3, 2], [0, 0]), (fixed(), [0, 0], [0, 0])):
            for mask, dim in ((box(0, 0, 2, 1), one), (box(0, 0, 3, 1), two)):
                assert after(first, (name, mask), rules=rules)["clip_dim"].tolist() == dim
            sideways = after(first, (name, box(0, 0, 1, 2)), rules=rules)["clip_dim"]
            assert sideways.tolist() == one[::-1]
            assert after(first, (name, box(0, 0, 1, 1)), rules=rules)["clip_dim"].tolist() == [2, 2]


@pytest.fixture(scope="module")
def random_runs():
    """Grids, dims and rewards [B, T, ...] of episodes of random actions under given rules."""
    text, answer = "123. .456", "12 .. 21"
    generator = Generator(O2ARC, Task(grid(text), grid(answer)), SIDE, np.random.default_rng(5))
    actions = [np.stack(x) for x in zip(*(generator.episode(60) for _ in range(60)), strict=True)]

    @jax.jit
    def run(rules):
        def step(state, action):
            state, reward, _ = apply(state, action[0], planes.pack_mask(action[1]), rules, O2ARC)
            return state, (planes.unpack(state.grid), state.grid_dim, reward)

        first = start(text, answer, rules)
        return jax.vmap(lambda actions: jax.lax.scan(step, first, actions)[1])(tuple(actions))

    return lambda rules: jax.tree.map(np.asarray, run(rules))


def test_under_fixed_rules_cells_outside_of_the_grid_are_always_black(random_runs):
    def outside(grids, dims):
        cells, dims = np.arange(SIDE), dims[..., None]
        rows, columns = cells >= dims[..., 0, :], cells >= dims[..., 1, :]
        return (grids != 0) & (rows[..., :, None] | columns[..., None, :])

    grids, dims, _ = random_runs(fixed())
    assert not outside(grids, dims).any()
    assert len(np.unique(dims.reshape(-1, 2), axis=0)) > 5 and (grids != 0).any()
    grids, dims, _ = random_runs(reference())
    assert outside(grids, dims).any()


def test_under_fixed_rules_an_episode_pays_once_at_most(random_runs):
    _, _, rewards = random_runs(fixed())
    assert rewards.sum(axis=1).max() == 1.0
    _, _, rewards = random_runs(reference())
    assert rewards.sum(axis=1).max() > 1.0
