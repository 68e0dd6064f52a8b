"""Somebody else's environments: termination and limit apart, errors that name what is wrong."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrl
from jaxrl import cli, registry, rendering
from jaxrl.adapters import from_gymnax
from jaxrl.adapters.foreign import AdapterError
from jaxrl.algorithm import canonical, train
from jaxrl.algos.on_policy.types import Config
from jaxrl.environment import Environment
from jaxrl.networks import NetworkConfig
from jaxrl.returns import generalized_advantage, next_values
from tests import fake_algorithm
from tests import foreign_envs as foreign

STYLES = (foreign.NewStyle, foreign.OldStyle, foreign.OldStyleOnNewBase, foreign.SixValues)
# Walking or waiting, for nine steps: goal in 3 steps; then the limit in 5; then on the way.
ACTIONS = [1, 1, 1, 0, 0, 1, 0, 0, 1]


def rollout(env, params, actions=ACTIONS):
    """What `VecEnv` makes of one environment: lists over steps, values v(o) = time included."""
    venv = jaxrl.VecEnv(env, 1)
    obs, state = venv.reset(jax.random.key(0), params)
    seen = {name: [] for name in ("obs", "reward", "terminated", "truncated", "final", "discount")}
    step = jax.jit(lambda *args: venv.step(*args, on_end=lambda final, extra: final[:, 1]))
    for action in actions:
        seen["obs"].append(obs[0].tolist())
        obs, state, reward, terminated, truncated, info = step(
            jax.random.key(1), state, jnp.array([action], jnp.int32), params
        )
        seen["reward"].append(float(reward[0]))
        seen["terminated"].append(bool(terminated[0]))
        seen["truncated"].append(bool(truncated[0]))
        seen["final"].append(float(info["on_end"][0]))
        if "discount" in info["env"]:
            seen["discount"].append(float(info["env"]["discount"][0]))
    return seen, obs


@pytest.mark.parametrize("style", STYLES)
def test_every_style_is_one_environment(style):
    env, params = from_gymnax(style())
    assert isinstance(env, Environment) and env.name == style.__name__ and env.num_actions == 2
    assert params.max_steps_in_episode.dtype == jnp.int32
    seen, obs = rollout(env, params)
    assert seen["reward"] == [1, 1, 10, 1, 1, 1, 1, 1, 1]
    assert seen["terminated"] == [False, False, True] + 6 * [False]
    assert seen["truncated"] == 7 * [False] + [True, False]
    assert seen["obs"][3] == [0, 0] and seen["obs"][8] == [0, 0] and obs.tolist() == [[1, 1]]
    assert obs.dtype == jnp.float32
    # 0 after a termination only: the older style's own is 0 at the limit too.
    assert seen["discount"] in ([1, 1, 0, 1, 1, 1, 1, 1, 1], [])


@pytest.mark.parametrize("style", STYLES)
def test_truncation_bootstraps_and_termination_does_not(style):
    """One-step advantages with v(o) = time and gamma 1/2: r + v' / 2 - v, by hand."""
    seen, obs = rollout(*from_gymnax(style()))
    columns = {name: jnp.array(values) for name, values in seen.items()}
    value = columns["obs"][:, 1]
    v_tp1 = next_values(
        value, obs[0, 1], columns["terminated"], columns["truncated"], columns["final"]
    )
    ended = columns["terminated"] | columns["truncated"]
    advantage = generalized_advantage(columns["reward"], value, v_tp1, ended, 0.5, 0.0)
    expected = [
        *(1 + 0.5 - 0, 1 + 1 - 1, 10 + 0 - 2),  # the goal: nothing follows
        *(1 + 0.5 - 0, 1 + 1 - 1, 1 + 1.5 - 2, 1 + 2 - 3, 1 + 2.5 - 4),  # the limit: v = 5
        1 + 0.5 - 0,
    ]
    np.testing.assert_allclose(advantage, expected, rtol=1e-6)


def test_goal_in_the_step_of_the_limit():
    """Only `done` cannot tell them apart; a predicate can."""
    actions = [0, 0, 1, 1, 1]
    for style in STYLES:
        seen, _ = rollout(*from_gymnax(style()), actions)
        assert seen["terminated"][-1] != seen["truncated"][-1]
        assert seen["terminated"][-1] == (style in (foreign.NewStyle, foreign.SixValues)), style
    over = {"is_terminated": lambda state, params: state.position >= foreign.GOAL}
    env, params = from_gymnax(foreign.OldStyle(), **over)
    seen, _ = rollout(env, params, actions)
    assert seen["terminated"] == 4 * [False] + [True] and not any(seen["truncated"])
    assert bool(env.is_terminated(foreign.State(3, 1), params))


def test_limit_in_the_code_needs_to_be_given():
    limit = {"is_truncated": lambda state, params: state.time >= 4}
    seen, _ = rollout(*from_gymnax(foreign.Hidden(), **limit))
    assert seen["terminated"] == [i == 2 for i in range(9)]
    assert seen["truncated"] == [i == 6 for i in range(9)]


def test_the_limit_is_swept_like_any_parameter():
    env, params = from_gymnax(foreign.OldStyle(), foreign.Params(max_steps_in_episode=2))
    seen, _ = rollout(env, params, [0, 0, 0, 0])
    assert seen["truncated"] == [False, True, False, True]
    limits = params.replace(max_steps_in_episode=jnp.array([1, 9]))
    axes = params.replace(max_steps_in_episode=0, scale=None)
    ended = jax.vmap(lambda p: env.is_truncated(foreign.State(0, 4), p), in_axes=(axes,))(limits)
    assert ended.tolist() == [True, False]


def test_ppo_trains_all_styles_alike():
    config = Config(
        num_envs=4, num_steps=8, num_epochs=1, num_minibatches=2, network=NetworkConfig(hidden=(4,))
    )
    spec = registry.algorithm("ppo")
    results = []
    for style in (foreign.NewStyle, foreign.OldStyle):
        env, params = from_gymnax(style())
        hp = canonical(spec.hyperparameters(env=params, horizon=3.0))
        state, metrics = jax.jit(train(spec.make(env, params, config), 3))(jax.random.key(0), hp)
        results.append((state.policy.params, metrics))
    # The goal is never reached in the step of the limit with this key: the same numbers.
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6), *results)
    assert int(results[0][1]["episodes"].sum()) > 10


def test_rendering_sees_the_state_itself():
    env, params = from_gymnax(foreign.SixValues())

    def walk(policy, obs, carry, key):
        return jnp.ones(obs.shape[0], jnp.int32), carry

    episode = rendering.collect(env, params, walk, None, jax.random.key(0))
    assert (episode.length, episode.terminated) == (3, True)
    assert [f[0, 0, 0] for f in map(rendering.Frames(env, params, episode).picture, range(4))] == [
        0, 1, 2, 3,
    ]  # fmt: skip


def broken(**methods):
    """`OldStyle` with other methods."""
    return type("Broken", (foreign.OldStyle,), methods)()


class NoTime(foreign.OldStyle):
    def reset_env(self, key, params):
        return jnp.zeros(2), {"position": jnp.int32(0)}

    def step_env(self, key, state, action, params):
        return jnp.zeros(2), state, jnp.float32(0), jnp.array(False), {}


MISTAKES = [
    (object(), "object is no gymnax-style environment: it has no reset_env, step_env, action_sp"),
    (broken(step_env=None), "Broken is no gymnax-style environment: it has no step_env"),
    (broken(default_params=None), "Broken needs params that are a flax.struct dataclass"),
    (broken(default_params={"a": 1}), r"or given\), got dict"),
    (broken(default_params=foreign.Params("five")), "the params of Broken must be arrays"),
    (broken(reset_env=lambda self, key, params: jnp.zeros(2)), "must return .obs, state., not a"),
    (
        broken(step_env=lambda self, key, state, action: 0),
        "step_env of Broken fails: TypeError: .* takes 4 positional arguments but 5 were given",
    ),
    (
        broken(step_env=lambda self, key, state, action, params: (0, state, 0.0)),
        "step_env of Broken must return .* or six values .* it returned 3 values",
    ),
    (
        broken(step_env=lambda self, k, s, a, p: (jnp.zeros(2), s, jnp.zeros(3), True, {})),
        r"the reward of step_env of Broken has shape \[3\], not \[\]",
    ),
    (
        broken(step_env=lambda self, k, s, a, p: (jnp.zeros(2), 0, jnp.float32(0), True, {})),
        "step_env of Broken returns another kind of state than reset_env",
    ),
    (
        broken(observation_space=lambda self, p: foreign.spaces.Box(0, 1, (3,))),
        r"the observation of reset_env of Broken has shapes \[\(2,\)\], observation_space says "
        r"\[\(3,\)\]",
    ),
    (broken(action_space=lambda self, p: "two"), "str is not a space that jaxrl knows"),
    (NoTime(), "the state of NoTime has no 'time', so its time limit is not known; give is_trunc"),
]


@pytest.mark.parametrize(("env", "message"), MISTAKES)
def test_what_does_not_fit_is_named(env, message):
    with pytest.raises(AdapterError, match=message) as caught:
        from_gymnax(env)
    assert "\n" not in str(caught.value)


def test_spaces_of_other_packages():
    from gymnasium import spaces as gymnasium_spaces

    class Odd(foreign.OldStyle):
        def action_space(self, params):
            return gymnasium_spaces.MultiDiscrete([2, 3])

        def observation_space(self, params):
            return gymnasium_spaces.Box(0.0, 9.0, (2,), np.float32)

        def step_env(self, key, state, action, params):
            return super().step_env(key, state, action[0], params)

    env, params = from_gymnax(Odd())
    assert env.action_space(params).nvec == (2, 3)
    assert jaxrl.spaces.describe(env.observation_space(params)) == "Box((2,), float32, 0..9)"


PLACE = "tests.foreign_envs"


def test_make_by_place():
    env, params = jaxrl.make(f"{PLACE}:OldStyle", max_steps_in_episode=2, scale=3.0)
    assert env.name == f"{PLACE}:OldStyle" and int(params.max_steps_in_episode) == 2
    assert rollout(env, params, [0, 0])[0]["reward"] == [3, 3]
    assert float(jaxrl.make(f"{PLACE}:with_params")[1].scale) == 2.0
    assert jaxrl.make(f"{PLACE}:instance")[0].num_actions == 2
    assert f"{PLACE}:OldStyle" not in registry.environments()


USERS_MODULE = """
from tests.foreign_envs import OldStyle

class Mine(OldStyle):
    pass

class Needy(OldStyle):
    def __init__(self, size):
        pass
"""


@pytest.fixture
def working_folder(tmp_path, monkeypatch):
    """A folder with a module of a user's, which is not on the path of modules."""
    (tmp_path / "my_envs_for_a_test.py").write_text(USERS_MODULE)
    (tmp_path / "broken_module_for_a_test.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", list(__import__("sys").path))
    return tmp_path


def test_command_line_trains_a_users_class(working_folder, capsys, registered_fake_algorithm):
    target = "my_envs_for_a_test:Mine"
    words = ["train", fake_algorithm.NAME, target, "--total-steps", "12", "--no-progress"]
    assert cli.main(words) == 0
    folder = working_folder / "runs" / f"{fake_algorithm.NAME}_my_envs_for_a_test-Mine"
    assert json.loads((folder / "config.json").read_text())["env"] == target
    assert json.loads((folder / "summary.json").read_text())["updates"] == 3
    assert cli.main(["resume", str(folder)]) == 0
    assert "is finished" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("target", "code", "message"),
    [
        ("no_such_module_anywhere:Mine", 1, "there is no module 'no_such_module_anywhere'"),
        ("my_envs_for_a_test:Mime", 1, "has no 'Mime'; did you mean Mine"),
        ("my_envs_for_a_test:Needy", 1, "cannot be made without arguments: missing a required"),
        ("tests.foreign_envs:number", 1, "is no gymnax-style environment: it has no reset_env"),
        ("broken_module_for_a_test:X", 1, "cannot be imported: ZeroDivisionError"),
        (":Mine", 2, "unknown environment ':Mine'"),
    ],
)
def test_wrong_place_is_one_line(working_folder, capsys, target, code, message):
    assert cli.main(["train", "ppo", target]) == code
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1 and not (working_folder / "runs").exists()
