"""The environments of ARCLE: options, protocols, rewards, and what is refused."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrl
from jaxrl.adapters import to_gymnasium_vector
from jaxrl.envs.arcle import evaluation, planes
from jaxrl.envs.arcle.operations import O2ARC
from jaxrl.envs.arcle.protocols import PROTOCOLS
from jaxrl.envs.arcle.tasks import Task, TaskSet
from jaxrl.evaluation import random_act
from tests.unoptimised import jit

N = 4
SUBMIT, RESET = O2ARC.number("Submit"), O2ARC.number("ResetGrid")


def grid(*rows):
    return np.asarray([[int(colour) for colour in row] for row in rows], np.int8)


# Two demonstrations and two tests; one of a single pair of each, of another size.
TWO = Task(
    "two",
    ((grid("12", "34"), grid("12", "35")), (grid("00"), grid("07"))),
    ((grid("1", "1"), grid("2", "1")), (grid("111"), grid("111"))),
)
ONE = Task("one", ((grid("9"), grid("8")),), ((grid("4444"), grid("4444")),))
TASKS = TaskSet("mine", (TWO, ONE))


def make(env_id="ARCLE-O2ARC-v2", **options):
    return jaxrl.make(env_id, **({"dataset": TASKS, "canvas": N} | options))


@functools.cache
def compiled(**options):
    """An environment, its params and compiled `begin` and `step_env`: cheap to step by hand."""
    env, params = make(**options)
    return env, params, jit(env.begin), jit(env.step_env)


@pytest.fixture
def paint():
    return compiled(observe="grid,answer", reward="mismatch")


def play(bundle, task, pair, *actions):
    """The rewards, the last state and info after actions (operation, x0, y0, x1, y1)."""
    env, params, begin, step = bundle
    obs, state = begin(params, jnp.int32(task), jnp.int32(pair))
    rewards, ends, info = [], [], {}
    for action in actions:
        obs, state, reward, terminated, info = step(
            jax.random.key(0), state, jnp.asarray(action, jnp.int32), params
        )
        rewards.append(float(reward))
        ends.append(bool(terminated))
    return obs, state, rewards, ends, info


def test_painting_the_answer_and_submitting_it(paint):
    # 34 -> 35 in one cell of four; a wrong colour first, then a cell that was right is spoilt.
    obs, state, rewards, ends, info = play(
        paint,
        0,
        0,
        (6, 1, 1, 1, 1),
        (6, 0, 0, 0, 0),
        (1, 0, 0, 0, 0),
        (5, 1, 1, 1, 1),
        (SUBMIT, 0, 0, 0, 0),
    )
    assert rewards == [-0.25, -0.5, -0.25, 1.0, 1.0]
    assert ends == [False] * 4 + [True]
    assert bool(info["correct"]) and bool(info["solved"]) and float(info["discount"]) == 0
    expected = np.zeros((N, N), np.int8)
    expected[:2, :2] = [[1, 2], [3, 5]]
    np.testing.assert_array_equal(obs["grid"], expected)
    np.testing.assert_array_equal(obs["answer"], expected)
    assert obs["grid"].dtype == jnp.int8 and int(state.time) == 5


def test_corners_come_in_any_order(paint):
    one = play(paint, 0, 0, (7, 0, 1, 1, 0))[0]["grid"]
    other = play(paint, 0, 0, (7, 1, 0, 0, 1))[0]["grid"]
    np.testing.assert_array_equal(one, other)
    assert (np.asarray(one)[:2, :2] == 7).all() and np.asarray(one).sum() == 28


def test_a_grid_of_another_size_is_not_solved(paint):
    # The answer "07" within a grid of one row; ResetGrid keeps the size, ResizeGrid to 1 x 1 not.
    resize = O2ARC.number("ResizeGrid")
    *_, rewards, _, info = play(paint, 0, 1, (resize, 0, 0, 0, 0), (7, 0, 1, 0, 1))
    assert rewards == [-0.5, -0.5] and not bool(info["solved"])
    assert float(info["right_share"]) == 0.5


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sparse", [0, 0, 0, 1]),
        ("progress", [-0.25, 0.25, 0.25, 1]),
        ("mismatch", [-0.5, -0.25, 1, 1]),
    ],
)
def test_rewards(name, expected):
    steps = ((9, 0, 0, 0, 0), (1, 0, 0, 0, 0), (5, 1, 1, 1, 1), (SUBMIT, 0, 0, 0, 0))
    assert play(compiled(observe="grid,answer", reward=name), 0, 0, *steps)[2] == expected


def test_progress_adds_up_to_what_was_gained():
    env, params, begin, step = compiled(observe="grid,answer", reward="progress")
    _, state = begin(params, jnp.int32(0), jnp.int32(0))
    rng, gains, shares = np.random.default_rng(3), [], []
    for _ in range(40):
        action = rng.integers(0, [SUBMIT, N, N, N, N])  # no submission
        _, state, reward, _, info = step(
            jax.random.key(0), state, jnp.asarray(action, jnp.int32), params
        )
        gains.append(float(reward) - float(info["correct"]))
        shares.append(float(info["right_share"]))
    assert len(set(shares)) > 3
    np.testing.assert_allclose(np.cumsum(gains), np.asarray(shares) - 0.75, atol=1e-5)


def test_resets_draw_tasks_and_pairs_evenly():
    for protocol, first in (("adaptation", 0), ("test", 2)):
        env, params = make(protocol=protocol, observe="grid")
        keys = jax.random.split(jax.random.key(1), 600)
        _, state = jit(jax.vmap(env.reset_env, (0, None)))(keys, params)
        found = list(zip(state.task.tolist(), state.pair.tolist(), strict=True))
        counts = {pair: found.count(pair) for pair in set(found)}
        # The first task has two pairs, the second one: 1/4, 1/4, 1/2.
        assert set(counts) == {(0, first), (0, first + 1), (1, first)}
        assert abs(counts[0, first] - 150) < 45 and abs(counts[1, first] - 300) < 55


ALL_OF_A_TEST = "grid,grid_dim,input,trials_remain,test"


def test_the_first_grid_is_the_input():
    obs, *_ = play(compiled(protocol="test", observe=ALL_OF_A_TEST), 0, 3)
    np.testing.assert_array_equal(obs["grid"][0], [1, 1, 1, 0])
    np.testing.assert_array_equal(obs["grid_dim"], [1, 3])
    np.testing.assert_array_equal(obs["grid"], obs["input"])
    assert obs["trials_remain"].tolist() == [3] and obs["test"].tolist() == [1]


def test_three_wrong_submissions_end_a_test():
    bundle = compiled(protocol="test", observe=ALL_OF_A_TEST)
    *_, rewards, ends, info = play(bundle, 0, 2, *[(SUBMIT, 0, 0, 0, 0)] * 3)
    assert rewards == [0, 0, 0] and ends == [False, False, True]
    assert int(info["submits"]) == 3 and not bool(info["correct"])


def test_meta_goes_through_the_demonstrations_to_a_test():
    bundle = compiled(protocol="meta", observe="grid,test", demonstration_steps=3)
    # The first pair is solved in two steps, the second left after three, then a test is begun.
    actions = [(5, 1, 1, 1, 1), (SUBMIT, 0, 0, 0, 0)] + [(RESET, 0, 0, 0, 0)] * 3
    obs, state, rewards, ends, info = play(bundle, 0, 0, *actions)
    assert rewards == [0, 1, 0, 0, 0] and not any(ends)
    assert int(info["pair"]) == 1 and not bool(info["test"]), "info is of the pair acted on"
    assert int(state.pair) in (2, 3) and obs["test"].tolist() == [1]
    assert int(state.begun) == 5 and int(state.time) == 5
    assert obs["grid"].tolist()[0][:1] == [1], "the input of the test"
    actions += [(SUBMIT, 0, 0, 0, 0)] * 3
    *_, ends, info = play(bundle, 0, 0, *actions)
    # One of the tests is solved as it is.
    assert ends[-3:] == ([False, False, True] if int(info["submits"]) == 3 else [True] * 3)
    assert bool(info["test"])


def test_wrong_submissions_do_not_end_a_demonstration():
    bundle = compiled(protocol="meta", observe="grid,test", demonstration_steps=3)
    obs, state, rewards, _, info = play(bundle, 0, 0, *[(SUBMIT, 0, 0, 0, 0)] * 2)
    assert rewards == [0, 0] and int(state.pair) == 0 and int(info["submits"]) == 2
    assert state.game.trials_remain.tolist() == -1
    *_, state = play(bundle, 0, 2, (RESET, 0, 0, 0, 0))[:2]
    assert state.game.trials_remain.tolist() == 3, "a test has three"


def test_meta_episodes_are_long_enough_for_every_demonstration():
    env, params = make(protocol="meta")
    assert int(params.max_steps_in_episode) == 200 + 2 * 50
    assert int(make()[1].max_steps_in_episode) == 200


def test_the_time_limit_truncates():
    env, _, *programs = compiled(observe="grid,answer", reward="sparse")
    params = make(max_steps_in_episode=2)[1]
    bundle = (env, params, *programs)
    _, state, _, ends, _ = play(bundle, 0, 0, (1, 0, 0, 0, 0))
    assert not bool(env.is_truncated(state, params))
    _, state, _, ends, _ = play(bundle, 0, 0, *[(1, 0, 0, 0, 0)] * 2)
    assert bool(env.is_truncated(state, params)) and ends == [False, False]


def test_tasks_are_leaves_of_params():
    env, params = make(observe="grid")
    # Every task alone: three environments in one program, each knows one task.
    alone = jax.tree.map(lambda leaf: leaf[:, None], params.tasks)
    many = params.replace(tasks=alone)
    axes = jax.tree.map(lambda _: None, params).replace(tasks=jax.tree.map(lambda _: 0, alone))
    obs, _ = jit(jax.vmap(env.reset_env, (None, axes)))(jax.random.key(0), many)
    assert obs["grid"].shape == (2, N, N) and int(obs["grid"][1, 0, 0]) == 9


def test_params_may_be_traced():
    def limit(steps):
        return make(observe="grid", max_steps_in_episode=steps)[1].max_steps_in_episode

    assert jax.vmap(limit)(jnp.asarray([3, 9], jnp.int32)).tolist() == [3, 9]


def test_a_subset_of_operations_has_its_own_numbers():
    bundle = compiled(operations="Color3,Submit", observe="grid", reward="sparse")
    env, params, *_ = bundle
    assert env.action_space(params).nvec == (2, N, N, N, N)
    obs, *_ = play(bundle, 0, 0, (0, 0, 0, 0, 0))
    assert int(obs["grid"][0, 0]) == 3
    *_, info = play(bundle, 0, 0, (1, 0, 0, 0, 0))
    assert int(info["submits"]) == 1


def test_pass_at_k_of_a_policy_that_only_submits():
    env, params = make(protocol="test", observe="grid")

    def submit(policy, obs, carry, key):
        count = obs["grid"].shape[0]
        return jnp.tile(jnp.asarray([SUBMIT, 0, 0, 0, 0], jnp.int32), (count, 1)), carry

    passed = evaluation.pass_at_k(env, params, submit, None, jax.random.key(0), trials=2)
    # Of the three tests, two are solved as they are: "111" and "4444".
    assert passed.ids == ("two", "two", "one") and passed.test.tolist() == [0, 1, 0]
    assert passed.trial.tolist() == [0, 1, 1] and passed.submits.tolist() == [2, 1, 1]
    assert passed.steps.tolist() == [2, 1, 1]
    assert passed.score(1) == pytest.approx({"tests": 2 / 3, "score": 0.75, "tasks": 0.5})


def test_pass_at_k_counts_the_trial():
    env, params = make(protocol="test", observe="grid", max_steps_in_episode=20)

    def paint_later(policy, obs, carry, key):
        """Submits, paints the first cell 2, submits."""
        first = jnp.where(carry == 1, jnp.int32(2), jnp.int32(SUBMIT))
        zero = jnp.zeros_like(first)
        return jnp.stack([first, zero, zero, zero, zero], axis=-1), carry + 1

    carry = jnp.zeros(3, jnp.int32)
    run = evaluation.pass_at_k(
        env, params, paint_later, None, jax.random.key(0), trials=3, carry=carry
    )
    assert run.trial.tolist() == [2, 1, 1] and run.steps.tolist() == [3, 1, 1]
    assert run.score(1)["tests"] == pytest.approx(2 / 3) and run.score(2)["tests"] == 1


def test_pass_at_k_wants_hidden_answers():
    env, params = make(observe="grid")
    with pytest.raises(ValueError, match="protocol='test'"):
        evaluation.pass_at_k(env, params, random_act(env, params), None, jax.random.key(0))


def test_generated_tasks_differ_and_are_kept_by_the_state():
    env, params = make(dataset="generated/recolor", protocol="meta", observe="grid,demo_input")
    keys = jax.random.split(jax.random.key(0), 8)
    obs, state = jit(jax.vmap(env.reset_env, (0, None)))(keys, params)
    assert len({np.asarray(x).tobytes() for x in obs["grid"]}) == 8
    np.testing.assert_array_equal(obs["grid"], obs["demo_input"][:, 0])
    step = jit(env.step_env)
    first = jax.tree.map(lambda x: x[0], state)
    action = jnp.asarray([1, 0, 0, 0, 0], jnp.int32)
    after, *_ = step(jax.random.key(1), first, action, params)
    np.testing.assert_array_equal(after["demo_input"], obs["demo_input"][0])


def test_augmented_tasks_are_those_of_the_set_with_other_colors():
    env, params = make(augment="colors", observe="input,answer")
    keys = jax.random.split(jax.random.key(0), 64)
    obs, state = jax.jit(jax.vmap(env.reset_env, (0, None)))(keys, params)
    tasks = (TWO, ONE)
    renamings = set()
    for task, pair, shown, answer in zip(
        state.task.tolist(), state.pair.tolist(), obs["input"], obs["answer"], strict=True
    ):
        of_input, of_answer = tasks[task].demos[pair]
        rows, columns = of_input.shape
        pairs = list(
            zip(of_input.ravel().tolist(), shown[:rows, :columns].ravel().tolist(), strict=True)
        )
        pairs += zip(
            of_answer.ravel().tolist(), answer[:rows, :columns].ravel().tolist(), strict=True
        )
        renaming = dict(pairs)
        assert all(renaming[old] == new for old, new in pairs), "one colour became two"
        assert renaming.get(0, 0) == 0 and len(set(renaming.values())) == len(renaming)
        renamings.add((task, pair, tuple(sorted(renaming.items()))))
    assert len(renamings) > 30


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dataset": "arc1-trainng"}, "arc1-training"),
        ({"dataset": "generated/flop"}, "generated/flip"),
        ({"dataset": 7}, "dataset must be a name"),
        ({"dataset": "random", "ids": "two"}, "not for 'random'"),
        ({"dataset": "random", "augment": "all"}, "not for 'random'"),
        ({"augment": "colours"}, "augment must be 'colors', 'all' or empty"),
        ({"ids": "tow"}, "two"),
        ({"canvas": 3}, "1 of 2 tasks do not fit a canvas of 3 x 3"),
        ({"canvas": 0}, "canvas must be"),
        ({"canvas": 33}, "1 to 32"),
        ({"canvas": 4.0}, "canvas must be"),
        ({"max_size": "ten"}, "max_size must be a whole number"),
        ({"ids": 40853293}, "quote what looks like a number"),
        ({"ids": (40853293, 576224)}, "ids must be names"),
        ({"observe": 5}, "observe must be names"),
        ({"mask_actions": "no"}, "mask_actions must be true or false"),
        ({"reset_on_submit": "false"}, "reset_on_submit must be true or false"),
        ({"reward": ["sparse"]}, "unknown reward"),
        ({"action": {}}, "unknown action encoding"),
        ({"max_steps_in_episode": 0}, "max_steps_in_episode must be at least 1"),
        ({"demonstration_steps": -1}, "demonstration_steps must be at least 1"),
        ({"rules.max_trials": 500}, "max_trials is -1 or from 1 to 127"),
        ({"dataset": "random", "tasks.colors": 77}, "tasks.colors must be 1 to 9"),
        ({"dataset": "random", "tasks.max_size": 1}, "1 <= min_size <= max_size"),
        ({"protocol": "tset"}, "adaptation, test, meta"),
        ({"preset": "broken"}, "unknown rules"),
        ({"reward": "dense"}, "sparse, mismatch, progress"),
        ({"action": "boxes"}, "box, point, flat, mask"),
        ({"operations": "Color0,Color0"}, "comes twice"),
        ({"operations": "Colour0"}, "Color0"),
        ({"operations": ()}, "at least one"),
        ({"observe": "gird"}, "grid"),
        ({"observe": "answer", "protocol": "test"}, "hidden"),
        ({"max_trials": 0}, "max_trials"),
        ({"dataset": "random", "canvas": 30, "action": "flat"}, "use action='box'"),
    ],
    ids=lambda x: "" if isinstance(x, str) else " ".join(f"{k}={v}" for k, v in x.items()),
)
def test_bad_options_are_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")) as caught:
        make(**options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (ONE._replace(demos=((grid("9"), np.asarray([[12]])),)), "colours are 0 to 9"),
        (ONE._replace(demos=((grid("9"), np.asarray([[1.5]])),)), "whole numbers"),
        (ONE._replace(tests=((np.zeros((0, 0), np.int8), grid("1")),)), "at least one cell"),
        (ONE._replace(demos=((np.zeros(3, np.int8), grid("1")),)), "rows, columns"),
        (ONE._replace(demos=()), "one, train: needs 1 to 127 pairs, got 0"),
        (ONE._replace(demos=ONE.demos * 128), "needs 1 to 127 pairs, got 128"),
        (TWO, "comes twice"),
    ],
)
def test_a_task_set_made_by_hand_is_checked(task, message):
    with pytest.raises(ValueError, match=message):
        make(dataset=TaskSet("mine", (TWO, task)))


def test_an_operation_that_there_is_not_does_nothing():
    env, _ = make(operations="Color3,Submit", observe="grid")
    for number in (2, -1):
        assert int(env.encoding.decode(jnp.asarray([number, 0, 0, 0, 0], jnp.int32))[0]) == -1


def test_pass_at_k_refuses_what_it_cannot_count():
    act = random_act(*make(observe="grid"))
    env, params = make(protocol="test", preset="reference", reset_on_submit=True, observe="grid")
    with pytest.raises(ValueError, match="forgets the trials"):
        evaluation.pass_at_k(env, params, act, None, jax.random.key(0))
    env, params = make(protocol="test", observe="grid")
    with pytest.raises(ValueError, match="whole number of trials"):
        evaluation.pass_at_k(env, params, act, None, jax.random.key(0), trials=1.5)
    fewer = params.replace(tasks=jax.tree.map(lambda leaf: leaf[:1], params.tasks))
    with pytest.raises(ValueError, match="params.tasks are others"):
        evaluation.pass_at_k(env, fewer, act, None, jax.random.key(0))
    passed = evaluation.Passed(("one",), *[np.zeros(1, np.int32)] * 4, trials=2)
    with pytest.raises(ValueError, match="2 trials were played, not 3"):
        passed.score(3)


def test_only_the_set_with_objects_shows_them():
    with pytest.raises(ValueError, match="observe: no 'object'"):
        make("ARCLE-ARC-v0", observe="object")
    env, params = make("ARCLE-Raw-v0")
    assert set(env.observation_space(params).spaces) == {
        *("input", "input_dim", "grid", "grid_dim", "trials_remain", "terminated")
    }
    assert make("ARCLE-ARC-v0")[0].num_actions == 27 and env.num_actions == 12


def test_a_mask_of_another_shape_is_refused():
    env, params = make(action="mask", observe="grid")
    state = play(compiled(observe="grid,answer", reward="sparse"), 0, 0)[1]
    action = {"operation": jnp.int32(0), "selection": jnp.zeros((N, N + 1), jnp.int8)}
    with pytest.raises(ValueError, match=r"a selection is a mask \[4, 4\], got shape \[4, 5\]"):
        env.step_env(jax.random.key(0), state, action, params)


def test_encodings_select_the_same_cells():
    environments = {name: make(action=name, observe="grid")[0] for name in ("box", "point", "mask")}
    box, point, mask = (
        jit(environments[name].encoding.decode) for name in ("box", "point", "mask")
    )
    corner = box(jnp.asarray([3, 1, 2, 2, 3], jnp.int32))
    cells = np.zeros((N, N), np.int8)
    cells[1:3, 2:4] = 1
    by_mask = mask({"operation": jnp.int32(3), "selection": jnp.asarray(cells)})
    np.testing.assert_array_equal(corner[1], by_mask[1])
    assert int(corner[0]) == int(by_mask[0]) == 3
    single = point(jnp.asarray([0, 2, 1], jnp.int32))[1]
    np.testing.assert_array_equal(np.argwhere(planes.unpack_mask(single)), [[2, 1]])


def test_flat_actions_are_all_operations_on_all_boxes():
    env, params = make(action="flat", canvas=2, operations="Color4,Submit", dataset="random")
    space = env.action_space(params)
    assert space.n == 2 * 9  # 3 x 3 boxes of a canvas of 2 x 2
    decode = jit(env.encoding.decode)
    decoded = [decode(jnp.int32(action)) for action in range(space.n)]
    assert [int(operation) for operation, _ in decoded] == [4] * 9 + [SUBMIT] * 9
    selections = {tuple(np.asarray(words).tolist()) for _, words in decoded}
    assert len(selections) == 9 and all(any(words) for words in selections)


def test_protocols_hide_answers_but_for_adaptation():
    assert {name: protocol.hidden for name, protocol in PROTOCOLS.items()} == {
        "adaptation": False,
        "test": True,
        "meta": True,
    }


def test_the_adapter_takes_the_package_s_actions():
    batch = to_gymnasium_vector("ARCLE-O2ARC-v2", 3, dataset=TASKS, canvas=N, action="mask")
    obs, _ = batch.reset(seed=0)
    assert obs["grid"].shape == (3, N, N) and obs["grid"].dtype == np.int8
    selection = np.zeros((3, N, N), np.int8)
    selection[:, 0, 0] = 1
    obs, reward, terminated, truncated, _ = batch.step(
        {"operation": np.asarray([5, 6, RESET]), "selection": selection}
    )
    assert obs["grid"][:2, 0, 0].tolist() == [5, 6] and obs["grid"][2].sum() == 0
    assert reward.tolist() == [0, 0, 0] and not terminated.any() and not truncated.any()
