"""Training in games: optima, schedules, critics, memory, seeds; and one agent as with PPO."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrl
from jaxrl import registry
from jaxrl.algorithm import canonical, train
from jaxrl.algos.multi_agent import RoleConfig, records_of
from jaxrl.algos.on_policy import Config as AloneConfig
from jaxrl.algos.on_policy import ppo
from jaxrl.evaluation import evaluate
from jaxrl.networks import NetworkConfig
from jaxrl.parallel import map_seeds
from tests.toy_envs import CostlyReset, CounterParams
from tests.toy_games import Alone, Pricing
from tests.unoptimised import jit

GAME = Pricing()
PARAMS = canonical(GAME.default_params)
ConfigOf, HyperparametersOf = records_of(("followers", "leader"))
NETWORK = NetworkConfig(hidden=(16,))


def _config(num_envs=8, num_steps=4, env_shards=1, **role):
    mine = RoleConfig(**{"num_epochs": 2, "num_minibatches": 2, "network": NETWORK} | role)
    return ConfigOf(
        num_envs=num_envs, num_steps=num_steps, env_shards=env_shards, followers=mine, leader=mine
    )


def _hp(**changes):
    """Hyperparameters; `followers` and `leader` change those of a role."""
    hp = HyperparametersOf(env=PARAMS, horizon=100.0)
    for role, values in changes.items():
        hp = hp.replace(**{role: getattr(hp, role).replace(**values)})
    return canonical(hp)


def _make(name="ippo", config=None, network=None):
    return registry.algorithm(name).make(GAME, PARAMS, config or _config(), network)


def _equal(a, b):
    def same(x, y):
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        np.testing.assert_array_equal(x, y)

    jax.tree.map(same, a, b)


@pytest.fixture(scope="module")
def ippo():
    """Algorithm with normalisation and a compiled step of it."""
    algo = _make(config=_config(normalize_observation=True, normalize_reward=True))
    return algo, jit(algo.init), jit(algo.step)


@pytest.mark.parametrize("name", ["ippo", "mappo"])
def test_leader_and_followers_learn_the_optimum(name):
    """Followers buy below their worth; the price is 0.8, sold to one, and not 0.2, sold to both."""
    updates = 150
    algo = _make(name, _config(num_envs=64, num_steps=4, num_epochs=4))
    hp = _hp(
        followers=dict(lr=1e-2, lr_final=0.1, gamma=1.0, entropy_coef=0.01),
        # The leader learns when the followers have learned to answer any price.
        leader=dict(lr=1e-2, lr_final=0.1, gamma=1.0, entropy_coef=0.01, start_update=50),
    ).replace(horizon=float(updates))
    keys = jax.random.split(jax.random.key(0), 2)
    states, metrics = jax.jit(map_seeds(lambda key: train(algo, updates)(key, canonical(hp))))(keys)
    for seed in range(2):
        policy = jax.tree.map(lambda x, seed=seed: x[seed], states.policy)
        played = evaluate(GAME, PARAMS, algo.act, policy, jax.random.key(1), 4, greedy=True)
        np.testing.assert_allclose(played.metrics["leader/return"], [0.8] * 4, rtol=1e-5)
        np.testing.assert_allclose(played.metrics["followers/return"], [0.05] * 4, rtol=1e-4)
        # What was answered to every price, also to those that were not asked in the end.
        for price in range(GAME.prices):
            state = GAME.reset_env(None, PARAMS)[1]
            state = state.replace(price=jnp.float32(price / 5), time=jnp.int32(1))
            obs = jax.tree.map(lambda x: x[None], GAME.observe(None, state, None, PARAMS))
            bought = algo.act(policy, obs, (), None)[0]["followers"][0]
            np.testing.assert_array_equal(bought, [price / 5 < 0.3, price / 5 < 0.9])
        value = algo.value(policy, obs)
        assert value["followers"].shape == (1, 2) and value["leader"].shape == (1,)
    last = {name: np.asarray(x)[:, -1] for name, x in metrics.items()}
    assert (last["episode/leader/return"] > 0.6).all()
    np.testing.assert_allclose(last["episode_return"], last["episode/followers/return"])
    assert (last["episode_length"] == 2).all() and (last["leader/learnt"] == 1).all()


@pytest.mark.parametrize("shape", [(), (1,)])
@pytest.mark.parametrize("recurrent", ["", "gru"])
def test_a_game_of_one_is_trained_as_by_ppo(shape, recurrent):
    """The same draws and episodes; numbers up to how XLA fuses and orders sums.

    In a game observations are standardised once for an update, and not in each minibatch.
    """
    env, params = CostlyReset(cost=1), CounterParams(4, 6, 5)
    network = NetworkConfig(hidden=(8,), recurrent=recurrent, recurrent_size=4)
    mine = dict(num_epochs=2, num_minibatches=2, network=network)
    mine |= dict(normalize_observation=True, normalize_reward=True)
    own = dict(lr=1e-2, gamma=0.9, entropy_coef=0.1, lr_final=0.5)
    config = AloneConfig(num_envs=6, num_steps=8, **mine)
    alone = ppo.SPEC.make(env, params, config)
    hp = canonical(ppo.PPOHyperparameters(**own, env=params, horizon=10.0))
    of_one, hp_of_one = records_of(("agents",))
    game = registry.algorithm("ippo").make(
        Alone(env, shape), params, of_one(num_envs=6, num_steps=8, agents=RoleConfig(**mine))
    )
    base = hp_of_one(env=params, horizon=10.0)
    hp_game = canonical(base.replace(agents=base.agents.replace(**own)))
    state, metrics = jit(train(alone, 4))(jax.random.key(0), hp)
    state_game, metrics_game = jit(train(game, 4))(jax.random.key(0), hp_game)
    for name in ("episode_return", "episode_length", "episodes"):
        np.testing.assert_array_equal(metrics_game[name], metrics[name])
    for name in metrics.keys() - {"episode_return", "episode_length", "episodes"}:
        found = metrics_game[f"agents/{name}"]
        np.testing.assert_allclose(found, metrics[name], rtol=1e-5, atol=1e-6, err_msg=name)
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6),
        state_game.policy["agents"].params,
        state.policy.params,
    )
    _equal(state_game.key, state.key)
    _equal(state_game.env.env_state, state.env.env_state)


def test_a_role_learns_when_it_is_its_turn_and_else_stays_exactly(ippo):
    """Every third update from the second on, and no more from the eighth on."""
    _, init, step = ippo
    hp = _hp(leader=dict(lr=1e-2, start_update=1, stop_update=8, update_every=3))
    state = init(jax.random.key(0), hp)
    learnt = []
    for update in range(10):
        before, (state, metrics) = state, step(state, hp)
        learns = update in (1, 4, 7)
        assert bool(metrics["leader/learnt"]) == learns and bool(metrics["followers/learnt"])
        learnt.append(bool(metrics["leader/grad_norm"] > 0))
        for name in ("policy", "optimizer", "objective"):
            old, new = getattr(before, name)["leader"], getattr(state, name)["leader"]
            if not learns:
                _equal(new, old)  # moments of observations too
            elif name != "objective":
                assert not _same(new, old)
            assert name == "objective" or not _same(
                getattr(state, name)["followers"], getattr(before, name)["followers"]
            )
    assert learnt == [update in (1, 4, 7) for update in range(10)]
    assert step._cache_size() == 1, "a schedule is not compiled in"


def test_who_does_not_act_yet_does_nothing(ippo):
    """Before `acts_from` the price is 0 in every step, drawn or greedy, and nothing is learned."""
    algo, init, step = ippo
    hp = _hp(leader=dict(acts_from=2, lr=1e-2))
    state = init(jax.random.key(0), hp)
    obs = jax.tree.map(lambda x: jnp.concatenate([x] * 8), state.obs)
    for update in range(4):
        drawn = algo.act(state.policy, obs, (), jax.random.key(update))[0]["leader"]
        assert (drawn == 0).all() == (update < 2)
        idle = state.policy["leader"].idle
        assert idle == (update < 2)
        if update < 2:
            assert (algo.act(state.policy, obs, (), None)[0]["leader"] == 0).all()
        before, (state, metrics) = state, step(state, hp)
        paid = metrics["episode/leader/return"]
        assert paid == 0 if update < 2 else paid > 0
        params = [x.policy["leader"].params for x in (before, state)]
        assert _same(*params) == (update < 2)
        assert bool(metrics["leader/learnt"]) == (update >= 2)
    assert step._cache_size() == 1


def _same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True))


def test_a_state_holds_everything(ippo):
    """Through NumPy and back (what a checkpoint does) training goes on bit for bit."""
    _, init, step = ippo
    hp = _hp(leader=dict(update_every=2))
    state, _ = step(init(jax.random.key(0), hp), hp)
    through, metrics = step(state, hp)
    key = jax.random.wrap_key_data(jnp.asarray(np.asarray(jax.random.key_data(state.key))))
    plain = jax.tree.map(lambda x: jnp.asarray(np.array(x)), state.replace(key=()))
    resumed, metrics_resumed = step(plain.replace(key=key), hp)
    _equal(metrics, metrics_resumed)
    _equal(through, resumed)
    assert step._cache_size() == 1


def test_seeds_together_equal_seeds_alone(ippo):
    """Also where the leader learns in some of the updates only, and with rates of their own."""
    algo, init, step = ippo
    hp = _hp(leader=dict(update_every=2, start_update=1))
    keys = jax.random.split(jax.random.key(0), 2)
    together, metrics = jit(jax.vmap(train(algo, 3), in_axes=(0, None)))(keys, hp)
    for i, key in enumerate(keys):
        state = init(key, hp)
        for update in range(3):
            state, alone = step(state, hp)
            for name, value in alone.items():
                both = metrics[name][i, update]
                np.testing.assert_allclose(both, value, rtol=2e-4, atol=1e-5, err_msg=name)
    assert not np.array_equal(
        metrics["followers/param_norm"][0], metrics["followers/param_norm"][1]
    )


def test_members_share_parameters_and_moments():
    """The network of a role is that of one member; its moments are of all of them."""
    algo = _make(config=_config(normalize_observation=True))
    state = jax.eval_shape(algo.init, jax.random.key(0), _hp())
    size = 3 + GAME.prices
    followers = state.policy["followers"]
    assert followers.params["params"]["actor"]["MLP_0"]["Dense_0"]["kernel"].shape == (size, 16)
    assert [x.shape for x in followers.observation.mean] == [(size,)]
    state, _ = jit(algo.step)(algo.init(jax.random.key(0), _hp()), _hp())
    moments = state.policy["followers"].observation
    assert moments.count == 8 * 4 * GAME.followers
    # The last feature is the worth, 0.3 and 0.9 equally often.
    np.testing.assert_allclose(moments.mean[0][-1], 0.6, rtol=1e-5)
    np.testing.assert_allclose(moments.m2[0][-1] / moments.count, 0.09, rtol=1e-4)


def _jacobians(name, recurrent=""):
    """d value[b, i] / d obs and d logits / d obs of the followers, in a batch of two."""
    network = dataclasses.replace(NETWORK, recurrent=recurrent, recurrent_size=4)
    algo = _make(name, _config(network=network))
    policy = jit(algo.init)(jax.random.key(0), _hp()).policy
    carry = algo.initial_carry(2)
    # The policy's last layer begins near zero: values large enough to be told from it.
    obs = jax.tree.map(
        lambda x: jax.random.uniform(jax.random.key(1), (2, *x.shape)),
        GAME.reset_env(None, PARAMS)[0],
    )

    def value(obs):
        return algo.value(policy, obs, carry)["followers"]

    def logits(obs):
        net = registry.load("jaxrl.algos.multi_agent.networks:" + _NETS[name])(
            GAME, PARAMS, "followers", network, None
        )
        mine = carry["followers"] if recurrent else ()
        return net.apply(policy["followers"].params, obs, mine)[0].logits

    return jit(jax.jacobian(value))(obs), jit(jax.jacobian(logits))(obs)


_NETS = {"ippo": "independent", "mappo": "centralised"}


@pytest.mark.parametrize(("name", "recurrent"), [("ippo", ""), ("mappo", ""), ("mappo", "gru")])
def test_what_values_and_policies_see(name, recurrent):
    """MAPPO's values see other members and roles, its policies do not; IPPO's values neither."""
    value, logits = _jacobians(name, recurrent)
    central = name == "mappo"
    # value["followers"]: [batch, member, batch', member', feature]; logits: [b, i, n, b', j, f].
    by_member = np.abs(value["followers"]).max(axis=-1)
    policy = np.abs(logits["followers"]).max(axis=(2, -1))
    assert by_member.shape == policy.shape == (2, 2, 2, 2)
    for b, i, other_b, j in np.ndindex(by_member.shape):
        seen = b == other_b and (i == j or central)
        assert (by_member[b, i, other_b, j] > 1e-6) == seen
        assert (policy[b, i, other_b, j] > 1e-9) == (b == other_b and i == j)
    leader = np.abs(value["leader"]).max(axis=-1)
    assert (leader[[0, 1], :, [0, 1]] > 1e-6).all() == central
    assert leader[0, :, 1].max() == 0
    assert np.abs(logits["leader"]).max() == 0


@pytest.mark.parametrize("name", ["ippo", "mappo"])
def test_first_minibatch_of_memory_sees_the_policy_that_acted(name):
    """Carries of members, starts and stored carry give r = 1 exactly where it is taken."""
    network = NetworkConfig(hidden=(8,), recurrent="gru", recurrent_size=4)
    config = _config(num_steps=5, num_epochs=1, num_minibatches=1, network=network)
    # The leader has no memory, the followers do.
    config = dataclasses.replace(config, leader=dataclasses.replace(config.leader, network=NETWORK))
    algo = _make(name, config)
    assert jax.tree.leaves(algo.initial_carry(3)["leader"]) == []
    assert [x.shape for x in jax.tree.leaves(algo.initial_carry(3)["followers"])] == [(3, 2, 4)]
    state, metrics = jit(train(algo, 3))(jax.random.key(0), _hp(followers=dict(lr=1e-2)))
    for role in ("followers", "leader"):
        np.testing.assert_allclose(metrics[f"{role}/approx_kl"], np.zeros(3), atol=1e-9)
        np.testing.assert_allclose(metrics[f"{role}/kl"], np.zeros(3), atol=1e-6)
    assert np.abs(state.carry["followers"][0]).max() > 1e-3
    with pytest.raises(ValueError, match=r"begin episodes with algorithm\.initial_carry"):
        algo.act(state.policy, state.obs, (), None)


def test_environments_in_shards():
    """Two shards of four environments: parameters are shared, the environments are not."""
    algo = _make(config=_config(env_shards=2, normalize_reward=True, normalize_observation=True))
    state, metrics = jit(train(algo, 2))(jax.random.key(0), _hp())
    assert state.obs["followers"].shape == (2, 4, 2, 8)
    assert state.reward["leader"][1].shape == (2, 4) and state.reward["leader"][0].count.shape == ()
    assert state.update == 2 and metrics["episodes"].tolist() == [16, 16]
    assert np.isfinite(metrics["followers/loss"]).all()


class _Own(nn.Module):
    @nn.compact
    def __call__(self, obs):
        return nn.tanh(nn.Dense(5, name="mine")(obs))


@pytest.mark.parametrize("name", ["ippo", "mappo"])
def test_own_networks_by_role(name):
    algo = _make(name, network={"followers": _Own()})
    policy = jax.eval_shape(algo.init, jax.random.key(0), _hp()).policy
    paths = {
        role: [jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(policy[role])]
        for role in policy
    }
    own = [path for path in paths["followers"] if "mine" in path]
    assert len(own) == 4 and not any("mine" in path for path in paths["leader"])
    with pytest.raises(
        ValueError, match="role 'buyers', which Pricing lacks; its roles: followers"
    ):
        _make(name, network={"buyers": _Own()})


def test_mistakes_in_one_line():
    spec = registry.algorithm("ippo")
    env, params = jaxrl.make("CartPole-v1")
    with pytest.raises(ValueError, match="CartPole-v1 is for one agent and ippo is for games"):
        spec.make(env, params, spec.preset("*").config)
    with pytest.raises(ValueError, match="no role 'followers'; its roles: agents, planner"):
        spec.make(GAME, PARAMS, spec.preset("*").config)
    with pytest.raises(
        ValueError, match="followers: a batch .* does not divide into num_minibatches"
    ):
        _config(num_minibatches=5)
    with pytest.raises(ValueError, match="a role cannot be called 'num_envs'"):
        records_of(("num_envs",))
    for changes, message in [
        (dict(gamma=1.5), r"leader: hp\.gamma must be in \[0, 1\]"),
        (dict(update_every=0), r"hp\.leader\.update_every must be at least 1"),
        (dict(start_update=-1), r"hp\.leader\.start_update must be >= 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            spec.validate(_config(), _hp(leader=changes))
    with pytest.raises(ValueError, match=r"hp\.horizon must be positive"):
        spec.validate(_config(), _hp().replace(horizon=0.0))
    spec.validate(_config(), _hp())
