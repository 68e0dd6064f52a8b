"""Exact probabilities: by hand, by closed form, against frequencies, and that they sum to one."""

import collections
import math

import jax
import numpy as np
import pytest

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo import rules as rule_sets
from jaxrl.envs.crafter_oo.draws import BalanceDraws, ObjectDraws, TapeDraws
from jaxrl.envs.crafter_oo.evaluation import arena, mutators
from jaxrl.envs.crafter_oo.evaluation.canonical import fingerprint, fingerprints
from jaxrl.envs.crafter_oo.evaluation.exact import IntractableError, Transitions
from jaxrl.envs.crafter_oo.evaluation.scenarios import scenario
from jaxrl.envs.crafter_oo.evaluation.truth import true_step

RULES = rule_sets.crafter()
NOOP, DO = c.action("noop"), c.action("do")
X, Y = np.meshgrid(np.arange(12), np.arange(12), indexing="ij")
FROM_CENTRE = abs(X - 8) + abs(Y - 8)  # of the cells of the first chunk


@pytest.fixture(scope="module")
def exact():
    return Transitions(RULES)


def start(name):
    state, actions = scenario(name).build(jax.random.key(0))
    return state, int(actions[0])


def spread(exact, state, action, fact):
    """Probability of each value of `fact(next state)`."""
    found = collections.defaultdict(float)
    outcomes = exact.outcomes(state, action)
    assert math.fsum(p for p, _ in outcomes) == pytest.approx(1, abs=1e-12)
    assert all(p > 0 for p, _ in outcomes)
    for probability, state in outcomes:
        found[fact(state)] += probability
    return dict(found)


def cell(state, slot=0):
    return int(state.objects.x[slot]), int(state.objects.y[slot])


def test_a_cow_moves_half_the_time(exact):
    state = arena.built([arena.thing("cow", (4, 4)), arena.cells("water", (3, 4))])
    # 1/8 for each direction; the one into the water leaves it where it is.
    assert spread(exact, state, NOOP, cell) == pytest.approx(
        {(4, 4): 5 / 8, (5, 4): 1 / 8, (4, 3): 1 / 8, (4, 5): 1 / 8}
    )


def test_cows_act_in_turn(exact):
    # In a corridor the second finds the cell free that the first has left.
    state = arena.built(
        [
            arena.rectangle("path", (3, 4), (6, 4)),
            arena.thing("cow", (4, 4)),
            arena.thing("cow", (5, 4)),
        ],
        ground="water",
    )
    first, second = {-1: 1 / 8, 0: 7 / 8}, {-1: 1 / 8, 0: 3 / 4, 1: 1 / 8}
    # The first can go left only. Then the second can go either way, else right only.
    expected = {
        ((3, 4), (4, 4)): first[-1] * second[-1],
        ((3, 4), (5, 4)): first[-1] * second[0],
        ((3, 4), (6, 4)): first[-1] * second[1],
        ((4, 4), (5, 4)): first[0] * 7 / 8,
        ((4, 4), (6, 4)): first[0] * 1 / 8,
    }
    got = spread(exact, state, NOOP, lambda s: (cell(s, 0), cell(s, 1)))
    assert got == pytest.approx(expected)


def test_a_zombie_comes_nearer(exact):
    state, action = start("zombie_approaches")
    # Four to the right, two down: the long axis is the horizontal one.
    assert spread(exact, state, action, cell) == pytest.approx(
        {
            (5, 6): 0.9 * 0.8 + 0.1 / 4,
            (4, 7): 0.9 * 0.2 + 0.1 / 4,
            (3, 6): 0.1 / 4,
            (4, 5): 0.1 / 4,
        },
        rel=1e-6,
    )


def test_a_zombie_bites_unless_it_wanders_off(exact):
    state, action = start("death_by_zombie")
    # It cannot come nearer; three of four random directions lead away from the player.
    got = spread(exact, state, action, lambda s: int(s.player.items[0]))
    assert got == pytest.approx({0: 0.9 + 0.1 / 4, 2: 0.1 * 3 / 4}, rel=1e-6)


def test_a_skeleton_shoots_comes_or_waits(exact):
    state, action = start("skeleton_shoots")
    got = spread(exact, state, action, lambda s: (cell(s), int((s.objects.kind == 4).sum())))
    comes = 0.5 * 0.3 * 0.6 + 0.5 * 0.7 * 0.2 / 4
    expected = {((8, 4), 1): 0.5, ((8, 5), 0): comes, ((8, 4), 0): 0.5 - comes}
    assert got == pytest.approx(expected, rel=1e-6)


def test_a_sapling_one_time_in_ten(exact):
    state, action = start("collect_sapling")
    got = spread(exact, state, action, lambda s: int(s.player.items[c.item("sapling")]))
    assert got == pytest.approx({1: 0.1, 0: 0.9}, rel=1e-6)


def test_spawning_at_night(exact):
    # It is darkest: up to 3 zombies in a chunk of grass, and one cow; both must keep away.
    state, action = start("zombie_spawns_at_night")
    nobody = true_step(jax.random.key(5), state, action, RULES)
    assert not nobody.objects.kind.any()
    zombie = 0.3 * (FROM_CENTRE >= 6).sum() / 144
    cow = 0.01 * (FROM_CENTRE >= 5).sum() / 144
    got = math.exp(exact.log_prob(state, action, nobody))
    assert got == pytest.approx((1 - zombie) * (1 - cow), rel=1e-6)
    came = arena.thing("zombie", (1, 2))(nobody)
    got = math.exp(exact.log_prob(state, action, came))
    assert got == pytest.approx(0.3 / 144 * (1 - 0.01 * ((FROM_CENTRE >= 5).sum() - 1) / 144))
    near = arena.thing("zombie", (8, 4))(nobody)
    assert exact.log_prob(state, action, near) == -math.inf


def test_despawning_by_day(exact):
    state, action = start("zombie_leaves_by_day")
    got = spread(exact, state, action, lambda s: int((s.objects.kind == c.kind("zombie")).sum()))
    assert got == pytest.approx({1: 0.4, 2: 0.6}, rel=1e-6)


def test_certain_despawning():
    # Probability 1 leaves nothing to the other side of the threshold, also of what moved before.
    always = rule_sets.named(RULES, "balance.despawn_probability", np.ones(3, np.float32))
    state, action = start("zombie_leaves_by_day")

    def left(state):
        (slot,) = np.flatnonzero(state.objects.kind == c.kind("zombie"))
        return int(state.objects.id[slot]), *cell(state, slot)

    long, short, astray = 0.9 * 0.8 + 0.1 / 4, 0.9 * 0.2 + 0.1 / 4, 0.1 / 4
    expected = {
        (2, 2, 7): long / 2,
        (2, 1, 8): short / 2,
        (2, 0, 7): astray / 2,
        (2, 1, 6): astray / 2,
        (3, 4, 9): long / 2,
        (3, 3, 8): short / 2,
        (3, 2, 9): astray / 2,
        (3, 3, 10): astray / 2,
    }
    assert spread(Transitions(always), state, action, left) == pytest.approx(expected, rel=1e-6)


def test_a_skeleton_comes_to_a_tunnel(exact):
    state, action = start("skeleton_spawns")
    # 16 cells of path, of which the arrow takes one.
    got = spread(exact, state, action, lambda s: int((s.objects.kind == c.kind("skeleton")).sum()))
    assert got == pytest.approx({1: 0.1 * 15 / 16, 0: 1 - 0.1 * 15 / 16}, rel=1e-6)


def crowd(seed):
    """Some creatures close together around the player, weak and strong ones."""
    random = np.random.default_rng(seed)
    edits = [arena.rectangle("path", (5, 5), (9, 9))]
    free = [(x, y) for x in range(6, 11) for y in range(6, 11) if (x, y) != arena.CENTRE]
    places = random.permutation(len(free))
    kinds = ("skeleton", "zombie", "arrow", "cow")
    for kind, place in zip(random.permutation(kinds)[:3], places, strict=False):
        health, counter = int(random.integers(0, 4)), int(random.integers(0, 3))
        facing = int(random.integers(4)) if kind == "arrow" else 0
        edits.append(arena.thing(str(kind), free[place], health, counter, facing))
    return arena.built(edits)


@pytest.mark.parametrize("seed", range(5))
def test_as_frequent_as_likely(exact, seed):
    """Chi-square of 5,120 steps with draws from NumPy, at the 0.1% level over all seeds."""
    state, num, random = crowd(seed), 5120, np.random.default_rng(seed)
    shape = (num, state.objects.capacity)
    uniforms = (random.random(shape, np.float32) for _ in ObjectDraws._fields[:-1])
    tape = TapeDraws(
        collected=random.random(num, np.float32),
        by_slot=ObjectDraws(*uniforms, random.integers(0, 4, shape).astype(np.uint8)),
        balanced=BalanceDraws(*random.random((2, num, 4, 3), np.float32)),
    )
    seen = collections.Counter(fingerprints(exact._run(tape, state, DO)))
    expected = {fingerprint(s): p * num for p, s in exact.outcomes(state, DO)}
    assert seen.keys() <= expected.keys()
    common = [digest for digest, count in expected.items() if count >= 5]
    chi = sum((seen[digest] - expected[digest]) ** 2 / expected[digest] for digest in common)
    # Wilson and Hilferty's approximation of the 99.98% quantile.
    freedom = len(common)
    assert chi < freedom * (1 - 2 / (9 * freedom) + 3.54 * math.sqrt(2 / (9 * freedom))) ** 3


@pytest.mark.parametrize("seed", range(3))
def test_one_next_state_is_as_likely_as_among_all(exact, seed):
    state = crowd(seed)
    for probability, next_state in exact.outcomes(state, DO)[:6]:
        assert exact.log_prob(state, DO, next_state) == pytest.approx(math.log(probability))


def test_slots_are_no_fact(exact):
    state = arena.built([arena.thing("cow", (4, 4)), arena.thing("cow", (10, 10))])
    next_state = true_step(jax.random.key(0), state, NOOP, RULES)
    turned = next_state.replace(objects=jax.tree.map(lambda f: f[::-1], next_state.objects))
    want = exact.log_prob(state, NOOP, next_state)
    assert exact.log_prob(state, NOOP, turned) == want > -math.inf


def test_distractors_are_impossible(exact):
    state, action = start("craft_iron_pickaxe_no_furnace")
    for wrong in mutators.distractors(jax.random.key(1), state, action, RULES):
        assert exact.log_prob(state, action, wrong) == -math.inf


def test_other_rules_are_other_odds(exact):
    lazy = rule_sets.named(RULES, "creatures.cow_move_probability", 0.0)
    state = arena.built([arena.thing("cow", (4, 4))])
    assert [p for p, _ in Transitions(lazy).outcomes(state, NOOP)] == [1.0]
    assert len(exact.outcomes(state, NOOP)) == 5


def test_too_many_branches_are_an_error_not_a_guess():
    state = arena.built([arena.thing("cow", (4, 4))])
    few = Transitions(RULES, limit=4)
    with pytest.raises(IntractableError, match="more than 4 ways"):
        few.outcomes(state, NOOP)
    with pytest.raises(ValueError, match="at least 1"):
        Transitions(RULES, limit=0)


def test_bad_input_is_named(exact):
    state = arena.arena()
    with pytest.raises(ValueError, match="action must be in"):
        exact.log_prob(state, -1, state)
    small = state.replace(materials=state.materials[:8])
    with pytest.raises(ValueError, match=r"materials is \[16, 16\], got \[8, 16\]"):
        exact.log_prob(state, NOOP, small)
    lost = state.replace(player=state.player.replace(hunger=np.float32(np.nan)))
    with pytest.raises(ValueError, match=r"player\.hunger is not finite"):
        exact.log_prob(state, NOOP, lost)
    many = state.replace(time=np.int64(2**40))
    with pytest.raises(ValueError, match="time is int32, which cannot hold"):
        exact.log_prob(state, NOOP, many)
    with pytest.raises(ValueError, match="must be a WorldState, got dict"):
        exact.log_prob(state, NOOP, {})
