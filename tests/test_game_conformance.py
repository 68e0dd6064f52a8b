"""What `jaxrl.multi_agent` promises, checked on every registered game.

A game is made with the smallest arguments of `SMALL`; one program steps a batch of episodes, with
random actions, through `VecEnv`, so that episodes end and begin again.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrl
from jaxrl import episodes, registry
from jaxrl.environment import Environment
from jaxrl.envs.economy.economy import Economy
from jaxrl.multi_agent import Game, stacked
from jaxrl.networks import action_head
from jaxrl.roles import is_game
from jaxrl.spaces import contains, describe, dtypes
from jaxrl.vector import VecEnv
from tests.registered_games import GAMES
from tests.unoptimised import jit

# Arguments that make a game small, and let taxes be paid twice in an episode.
_FIELD = {"layout": ".SS.;....;.W.W;....", "reach": 1, "rules.PeriodicBracketTax.period": 2}
SMALL: dict[str, dict] = {"GatherTradeBuild-v1": _FIELD, "GatherTradeBuild-Open-v1": _FIELD}
BATCH, STEPS, LIMIT = 3, 9, 4


def _make(env_id):
    return jaxrl.make(env_id, **SMALL.get(env_id, {}), max_steps_in_episode=LIMIT)


def test_there_are_games():
    assert "OneStepEconomy-v1" in GAMES
    assert "OneStepEconomy-Planner-v1" not in GAMES


@pytest.mark.parametrize("env_id", GAMES)
def test_contract_of_games(env_id):
    env, params = _make(env_id)
    _check_declarations(env, params, env_id)
    venv = VecEnv(env, BATCH, 1)
    run = jit(_rollout(venv, params))
    out = jax.device_get(run(jax.random.key(0)))
    again = jax.device_get(run(jax.random.key(0)))
    for x, y in zip(jax.tree.leaves(out), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(x, y)
    other = jax.device_get(run(jax.random.key(1)))
    assert not np.array_equal(other["drawn"], out["drawn"])

    assert out["inside"].all() and out["final_inside"].all() and out["start_inside"].all()
    assert out["action_inside"].all() and out["obs_of_state"].all()
    ended = out["terminated"] | out["truncated"]
    assert not (out["terminated"] & out["truncated"]).any()
    assert (ended.sum(axis=0) >= 2).all(), "episodes end by themselves or by the limit"
    assert (out["length"] <= LIMIT).all() and (out["length"][out["truncated"]] == LIMIT).all()
    assert out["same"][~ended].all(), "an episode that goes on shows one observation to act on"
    _check_returns(env, out, ended)
    _check_counters(env, out, ended)


def _check_declarations(env, params, env_id):
    """Roles, spaces, and types that do not change from reset to step; nothing is compiled."""
    assert isinstance(env, Game) and isinstance(env, Environment) and is_game(env)
    assert env.name == env_id
    assert env.roles and all(shape == () or len(shape) == 1 for shape in env.roles.values())
    key = jax.random.key(0)
    for kind, of_role in (
        (env.observation_space(params), env.role_observation_space),
        (env.action_space(params), env.role_action_space),
    ):
        assert set(kind.spaces) == set(env.roles)
        for role, shape in env.roles.items():
            member = of_role(role, params)
            assert describe(kind.spaces[role]) == describe(stacked(member, shape))
            drawn, of_all = (
                jax.eval_shape(space.sample, key) for space in (member, kind.spaces[role])
            )
            assert jax.tree.structure(drawn) == jax.tree.structure(of_all)
            for x, y in zip(jax.tree.leaves(drawn), jax.tree.leaves(of_all), strict=True):
                assert (y.shape, y.dtype) == ((*shape, *x.shape), x.dtype)
    for role in env.roles:  # there is a policy for it
        action_head(env.role_action_space(role, params))

    begin = jax.eval_shape(env.reset_env, key, params)
    action = jax.eval_shape(env.action_space(params).sample, key)
    obs, state, reward, terminated, info = jax.eval_shape(
        env.step_env, key, begin[1], action, params
    )
    assert jax.tree.structure((obs, state)) == jax.tree.structure(begin)
    _same_types((obs, state), begin)
    assert jax.tree.map(lambda x: jnp.dtype(x.dtype), obs) == dtypes(env.observation_space(params))
    assert {role: (x.shape, x.dtype) for role, x in reward.items()} == {
        role: (shape, jnp.float32) for role, shape in env.roles.items()
    }
    assert (terminated.shape, terminated.dtype) == ((), jnp.bool_)
    limit = jax.eval_shape(env.is_truncated, state, params)
    assert (limit.shape, limit.dtype) == ((), jnp.bool_)
    assert isinstance(info, dict)
    for leaf in jax.tree.leaves((begin, reward, info)):
        assert not leaf.weak_type
    if hasattr(env, "next_episode"):
        _same_types(jax.eval_shape(env.next_episode, key, state, params), begin)
    # Parameters that are Python numbers, weakly typed, do not make the results so.
    raw = env.default_params
    _same_types(jax.eval_shape(env.reset_env, key, raw), begin)
    _same_types(jax.eval_shape(env.step_env, key, begin[1], action, raw)[:2], begin)


def _same_types(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert (x.shape, x.dtype, x.weak_type) == (y.shape, y.dtype, y.weak_type)


def _rollout(venv, params):
    """Key -> what a batch saw in `STEPS` steps of random actions, leaves [STEPS, BATCH, ...]."""
    env = venv.env
    space, actions = env.observation_space(params), env.action_space(params)
    inside = jax.vmap(lambda x: contains(space, x))

    def shown(state):
        """The observation computed from the state alone."""
        return jax.vmap(lambda state: env.observe(jax.random.key(9), state, None, params))(state)

    def run(key):
        key_reset, key_steps = jax.random.split(key)
        obs, state = venv.reset(key_reset, params)
        start_inside = inside(obs)

        def body(carry, key):
            _, state = carry
            key_action, key_step = jax.random.split(key)
            action = jax.vmap(actions.sample)(jax.random.split(key_action, BATCH))
            obs, state, reward, terminated, truncated, info = venv.step(
                key_step, state, action, params
            )
            final = info["final_observation"]
            record = {
                "inside": inside(obs),
                "final_inside": inside(final),
                "action_inside": jax.vmap(lambda x: contains(actions, x))(action),
                "obs_of_state": _all_near(obs, shown(state.env_state), 1e-5),
                "same": _all_near(obs, final, 0.0),
                "reward": reward,
                "return": info["episode_return"],
                "running": state.episode_return,
                "terminated": terminated,
                "truncated": truncated,
                "length": info["episode_length"],
                "counters": _counters(env, state.env_state),
                "measured": episodes.measured(env, info["env"]),
                "drawn": sum(
                    jnp.sum(x.reshape((BATCH, -1)), axis=1, dtype=jnp.int32)
                    for x in jax.tree.leaves(action)
                ),
            }
            return (obs, state), record

        _, out = jax.lax.scan(body, (obs, state), jax.random.split(key_steps, STEPS))
        return out | {"start_inside": start_inside}

    return run


def _counters(env, state):
    """What an economy counts from episode to episode, and the day of its tax period."""
    if not isinstance(env, Economy):
        return {}
    day = state.own["PeriodicBracketTax"].position
    return {"completions": state.completions, "day": day}


def _check_counters(env, out, ended):
    """Of economies: every end of an episode counts once, and every second day is a tax day."""
    if not isinstance(env, Economy):
        return
    counters = out["counters"]
    np.testing.assert_array_equal(counters["completions"], np.cumsum(ended, axis=0))
    # Episodes are whole periods, so that the days of the period are those of the rollout.
    days = 1 + np.arange(1, STEPS + 1) % 2
    np.testing.assert_array_equal(counters["day"], np.tile(days[:, None], BATCH))


def _all_near(a, b, tolerance):
    """Whether rows are the same up to a tolerance, bool [BATCH]."""

    def near(x, y):
        x, y = x.astype(jnp.float32), y.astype(jnp.float32)
        return jnp.abs(x - y) <= tolerance * (1 + jnp.abs(y))

    rows = [
        jnp.all(near(x, y).reshape((BATCH, -1)), axis=1)
        for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    ]
    return jnp.all(jnp.stack(rows), axis=0)


def _check_returns(env, out, ended):
    """Returns are sums of rewards since the episode began, by role and member."""
    for role, shape in env.roles.items():
        reward = out["reward"][role]
        assert reward.shape == (STEPS, BATCH, *shape) and np.isfinite(reward).all()
        total = np.zeros((BATCH, *shape), np.float32)
        for t in range(STEPS):
            total = total + reward[t]
            np.testing.assert_allclose(out["return"][role][t], total, rtol=1e-5, atol=1e-5)
            total[ended[t]] = 0
            np.testing.assert_allclose(out["running"][role][t], total, rtol=1e-5, atol=1e-5)
    for values in out["measured"].values():
        assert np.isfinite(values[ended]).all()


@pytest.mark.parametrize("env_id", GAMES)
def test_every_game_has_a_preset_for_its_roles(env_id):
    env, params = _make(env_id)
    for name in registry.algorithms():
        spec = registry.algorithm(name)
        if spec.for_games:
            preset = spec.preset(env_id)
            spec.validate(preset.config, preset.hp)
            algorithm = spec.make(env, params, preset.config)
            obs = jax.eval_shape(VecEnv(env, 2).reset, jax.random.key(0), params)[0]
            state = jax.eval_shape(algorithm.init, jax.random.key(0), preset.hp.replace(env=params))
            carry = jax.eval_shape(lambda algorithm=algorithm: algorithm.initial_carry(2))
            action, after = jax.eval_shape(
                algorithm.act, state.policy, obs, carry, jax.random.key(0)
            )
            _same_types(after, carry)
            assert set(action) == set(env.roles)
