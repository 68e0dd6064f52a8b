"""Models: that samples and log-probabilities belong together, and what is learnt by counting."""

import math
from collections import Counter

import jax
import numpy as np
import pytest

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo import rules as rule_sets
from jaxrl.envs.crafter_oo.evaluation import arena, exploration, models
from jaxrl.envs.crafter_oo.evaluation.canonical import canonical, same, ticked
from jaxrl.envs.crafter_oo.evaluation.learned import FactoredModel
from jaxrl.envs.crafter_oo.evaluation.scenarios import names, scenario
from jaxrl.envs.crafter_oo.evaluation.truth import true_step
from jaxrl.registry import UnknownIdError

RULES = rule_sets.crafter()
NOOP, DO = c.action("noop"), c.action("do")


def life(state, actions, seed=0):
    """Steps by the true rules."""
    steps = []
    for i, action in enumerate(actions):
        after = true_step(jax.random.key(seed * 1000 + i), state, action, RULES)
        steps.append((state, action, after))
        state = after
    return steps


@pytest.fixture(scope="module")
def world():
    return arena.built([arena.thing("cow", (4, 4)), arena.cells("tree", arena.FRONT)])


@pytest.fixture(scope="module")
def fitted(world):
    random = np.random.default_rng(0)
    return FactoredModel().fit(life(world, random.integers(0, 17, 60).tolist()))


class Checked(FactoredModel):
    """A copy whose every distribution is looked at."""

    def __init__(self, model):
        super().__init__()
        self._counts = model._counts

    def _probabilities(self, contexts, options):
        probabilities = super()._probabilities(contexts, options)
        assert probabilities.sum() == pytest.approx(1)
        assert len(set(options)) == len(options)
        return probabilities


@pytest.mark.parametrize("name", ["random", "fitted"])
def test_every_sample_has_a_probability(name, fitted):
    model = Checked(FactoredModel() if name == "random" else fitted)
    for scene in names()[::4]:
        state, actions = scenario(scene).build(jax.random.key(0))
        for seed in range(3):
            drawn = model.sample(jax.random.key(seed), state, int(actions[0]))
            assert math.isfinite(model.log_prob(state, int(actions[0]), drawn))
            alive = drawn.objects.kind != 0
            taken = [*zip(drawn.objects.x[alive], drawn.objects.y[alive], strict=True)]
            taken.append((int(drawn.player.x), int(drawn.player.y)))
            assert len(set(taken)) == len(taken)


def test_samples_are_as_frequent_as_likely(world):
    # Seen often enough, one next state is likely as a whole, and can be counted.
    step = life(world, [NOOP])[0]
    model = FactoredModel().fit([step] * 8)
    drawn = [model.sample(jax.random.key(seed), world, NOOP) for seed in range(300)]
    share = np.mean([same(state, step[2]) for state in drawn])
    likely = math.exp(model.log_prob(*step))
    assert 0.3 < likely < 0.95
    assert abs(share - likely) < 4 * math.sqrt(likely * (1 - likely) / 300)


@pytest.mark.parametrize("name", ["random", "fitted"])
def test_samples_depend_on_the_action_and_the_key_as_by_hand(world, name):
    # Of five moves (staying, and four free cells) one was seen after each action, once. The general
    # context saw both: (1 + 1/5) / 3 = 0.4 each; then (1 + 0.4) / 2 = 0.7 and (1 + 0.7) / 2 = 0.85
    # for what this action did, 0.4 / 2 / 2 = 0.1 for what the other one did. Unfitted: 1/5 each.
    after = {"move_left": (7, 8), "move_right": (9, 8)}
    steps = [life(world, [c.action(action)])[0] for action in after]
    assert [(int(s.player.x), int(s.player.y)) for _, _, s in steps] == list(after.values())
    model = FactoredModel().fit(steps) if name == "fitted" else FactoredModel()
    num = 200
    for action, cell in after.items():
        drawn = [model.sample(jax.random.key(seed), world, c.action(action)) for seed in range(num)]
        assert {int(s.player.action) for s in drawn} == {c.action(action)}
        counts = Counter((int(s.player.x), int(s.player.y)) for s in drawn)
        other = next(there for there in after.values() if there != cell)
        expected = {cell: 0.85, other: 0.1} if name == "fitted" else {cell: 0.2, other: 0.2}
        for there, likely in expected.items():
            assert abs(counts[there] / num - likely) < 4 * math.sqrt(likely * (1 - likely) / num)
    again, once_more = (model.sample(jax.random.key(5), world, NOOP) for _ in range(2))
    assert same(again, once_more)
    # A state records the action that led to it.
    state, action, left = steps[0]
    assert model.log_prob(state, action, left) > -math.inf == model.log_prob(state, NOOP, left)


def test_smoothing_by_hand():
    model = FactoredModel()
    model._counts = {"general": Counter(a=3, b=1, z=5), "special": Counter(b=2)}
    # Among a, b, c: one third each; (n + p) / (4 + 1); then (n + p) / (2 + 1).
    general = [(3 + 1 / 3) / 5, (1 + 1 / 3) / 5, (1 / 3) / 5]
    got = model._probabilities(["general", "special", "never"], ["a", "b", "c"])
    assert got == pytest.approx([general[0] / 3, (2 + general[1]) / 3, general[2] / 3])


def test_what_was_seen_is_likelier(world, fitted):
    state = arena.built([arena.cells("water", (8, 7))])
    for action, right in ((c.action("move_left"), (7, 8)), (c.action("move_up"), (8, 8))):
        truth = true_step(jax.random.key(0), state, action, RULES)
        assert (int(truth.player.x), int(truth.player.y)) == right
        assert fitted.log_prob(state, action, truth) > 10 + FactoredModel().log_prob(
            state, action, truth
        )


def test_beyond_the_options_is_impossible(world):
    later = ticked(canonical(world), NOOP)
    for edit in (
        arena.player(x=1),  # too far
        arena.cells("water", (0, 0), (1, 1)),  # two cells
        arena.player(hunger=7.0),
    ):
        assert FactoredModel().log_prob(world, NOOP, edit(later)) == -math.inf
    assert FactoredModel().log_prob(world, NOOP, world) == -math.inf  # the clock stands still


def test_no_change_knows_one_state(world):
    model = models.NoChange()
    later = model.sample(jax.random.key(0), world, DO)
    assert int(later.time) == int(world.time) + 1
    assert int(later.player.action) == DO
    assert model.log_prob(world, DO, later) == 0.0
    assert model.log_prob(world, DO, world) == -math.inf


def test_the_oracle_draws_what_it_holds_possible(world):
    oracle = models.make("oracle", RULES, jax.random.key(0))
    drawn = [oracle.sample(jax.random.key(seed), world, NOOP) for seed in range(8)]
    assert len({(int(s.objects.x[0]), int(s.objects.y[0])) for s in drawn}) > 1
    assert {round(math.exp(oracle.log_prob(world, NOOP, s)), 6) for s in drawn} == {0.125, 0.5}
    for action, cell in (("move_left", (7, 8)), ("move_up", (8, 7))):
        moved = oracle.sample(jax.random.key(0), world, c.action(action)).player
        assert (int(moved.x), int(moved.y)) == cell


def test_a_life_ends_with_death_or_in_time():
    state = arena.built([arena.items(health=1, food=0), arena.player(recover=-10)])
    steps = list(exploration.one_life(jax.random.key(0), RULES, state))
    assert int(steps[-1][2].player.items[0]) == 0
    assert all(int(before.player.items[0]) > 0 for before, _, _ in steps)
    for (_, _, after), (before, _, _) in zip(steps, steps[1:], strict=False):
        assert same(after, before)
    for before, action, after in steps:
        assert int(after.time) == int(before.time) + 1
        assert int(after.player.action) == action
    assert len(list(exploration.one_life(jax.random.key(0), RULES, arena.arena(), 70))) == 70
    first, again = (
        [action for _, action, _ in exploration.one_life(jax.random.key(1), RULES, state)]
        for _ in range(2)
    )
    assert first == again


def test_models_by_name():
    with pytest.raises(UnknownIdError, match="unknown model 'orcale'; did you mean oracle"):
        models.factory("orcale")
    with pytest.raises(ValueError, match="cannot import the model 'no.such:thing'"):
        models.factory("no.such:thing")
    with pytest.raises(ValueError, match="cannot import the model 'math:nothing'"):
        models.factory("math:nothing")
    with pytest.raises(ValueError, match="'math:pi' must be a function"):
        models.factory("math:pi")
    with pytest.raises(ValueError, match="without sample and log_prob"):
        models.make("builtins:print", RULES, jax.random.key(0))
