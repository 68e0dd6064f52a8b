"""Auxiliary losses: targets and losses by hand, weights, and PPO that learns with them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from jaxrl.algorithm import canonical, train
from jaxrl.algos.on_policy import grid_losses
from jaxrl.algos.on_policy.auxiliary import (
    auxiliary_losses,
    auxiliary_targets,
    check_terms,
)
from jaxrl.algos.on_policy.loop import standardize_minibatch
from jaxrl.algos.on_policy.minibatches import make_minibatches
from jaxrl.algos.on_policy.objectives import ppo_clip
from jaxrl.algos.on_policy.optimise import _make_loss
from jaxrl.algos.on_policy.ppo import PPOHyperparameters, ppo_with
from jaxrl.algos.on_policy.types import Config, State, Trajectory, stateless
from jaxrl.networks import NetworkConfig, make_net
from jaxrl.networks.cells import CellActorCritic, Grid, Operation
from jaxrl.shards import ALONE, Shards
from tests.toy_envs import Paint

TERMS = (grid_losses.previous_reward(), grid_losses.reward(), grid_losses.next_grid())
NAMES = tuple(term.name for term in TERMS)
CONFIG = Config(
    num_envs=64,
    num_steps=4,
    num_epochs=4,
    num_minibatches=2,
    normalize_reward=True,
    network=NetworkConfig(multi_discrete="conditional"),
)
HP = PPOHyperparameters(gamma=0.5, entropy_coef=0.003, lr=3e-3)


def _module(**changes):
    fields = dict(
        choices=(3, 3, 3, 3, 3),
        grids=(Grid("grid"), Grid("answer")),
        equivariant=True,
        operations=tuple(Operation(0, color) for color in range(3)),
        predicts=NAMES,
        num_colors=3,
        dim=16,
        layers=1,
        heads=2,
    )
    return CellActorCritic(**(fields | changes))


def _weights(value):
    return {name: value for name in NAMES}


@pytest.fixture(scope="module")
def paint():
    """The environment, its params, PPO with the three terms, and hyperparameters."""
    env = Paint()
    params = env.default_params
    algo = ppo_with(TERMS).make(env, params, CONFIG, network=_module())
    return env, params, algo, canonical(HP.replace(env=params, auxiliary=_weights(0.3)))


def _trajectory():
    """Three steps of two environments; the second's episode ends with step 1."""
    zeros = jnp.zeros((3, 2))
    grids = np.arange(3 * 2 * 4).reshape((3, 2, 2, 2)) % 5
    return Trajectory(
        obs={"grid": jnp.asarray(grids, jnp.int8), "size": jnp.full((3, 2, 2), 1, jnp.int8)},
        action=jnp.zeros((3, 2), jnp.int32),
        log_prob=zeros,
        value=zeros,
        v_tp1=zeros,
        reward=jnp.asarray([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
        ended=jnp.asarray([[False, False], [False, True], [False, False]]),
        distribution=(),
    ), grids


def test_targets_by_hand():
    trajectory, grids = _trajectory()
    targets = auxiliary_targets(
        (*TERMS, grid_losses.next_grid(size="size", name="part")), trajectory
    )
    before, valid = targets["previous_reward"]
    assert valid.tolist() == [[False, False], [True, True], [True, False]]
    np.testing.assert_array_equal(np.asarray(before)[np.asarray(valid)], [1.0, 2.0, 3.0])
    now, valid = targets["reward"]
    assert valid.all() and now is trajectory.reward
    (following, counts), valid = targets["next_grid"]
    assert valid.tolist() == [[True, True], [True, False], [False, False]]
    np.testing.assert_array_equal(following[:2], grids[1:])
    assert counts.all()
    (_, counts), _ = targets["part"]
    assert counts[0, 0].tolist() == [[True, False], [False, False]]


def test_smoothed_cross_entropy_against_scipy():
    rng = np.random.default_rng(0)
    logits, label = rng.normal(size=(2, 2, 3, 5)), rng.integers(0, 5, (2, 2, 3))
    target = 0.9 * np.eye(5)[label] + 0.1 / 5
    expected = -np.sum(target * scipy.special.log_softmax(logits, axis=-1), axis=-1)
    counts = np.asarray([[[1, 1, 0], [1, 0, 0]], [[0, 0, 0], [0, 0, 0]]], bool)
    term = grid_losses.next_grid()
    loss = term.loss(
        jnp.asarray(logits, jnp.float32), (jnp.asarray(label, jnp.int8), jnp.asarray(counts))
    )
    np.testing.assert_allclose(loss, [expected[0][counts[0]].mean(), 0.0], rtol=1e-5)
    np.testing.assert_allclose(grid_losses.squared_error(jnp.float32(3.0), jnp.float32(1.0)), 2.0)
    with pytest.raises(ValueError, match="smoothing must be"):
        grid_losses.next_grid(smoothing=1.0)


def test_a_term_is_the_mean_over_the_rows_that_have_a_target():
    term = grid_losses.reward()
    prediction = {"reward": jnp.asarray([1.0, 2.0, 9.0, 4.0])}
    target = jnp.zeros(4)

    def loss(valid):
        return auxiliary_losses((term,), prediction, {"reward": (target, valid)}, ALONE)["reward"]

    np.testing.assert_allclose(loss(jnp.asarray([True, True, False, False])), (0.5 + 2.0) / 2)
    assert loss(jnp.zeros(4, bool)) == 0.0


def test_over_env_shards_a_term_is_the_mean_over_all_rows():
    """Three rows in one shard and one in the other: 0.5 (1 + 4 + 9 + 16) / 4."""
    term = grid_losses.reward()
    valid = jnp.asarray([[True, True, True], [True, False, False]])
    prediction = jnp.asarray([[1.0, 2.0, 3.0], [4.0, 7.0, 7.0]])

    def loss(prediction, valid):
        targets = {"reward": (jnp.zeros(3), valid)}
        terms = auxiliary_losses((term,), {"reward": prediction}, targets, Shards(("e",), 2))
        return jax.lax.pmean(terms["reward"], "e")

    losses = jax.vmap(loss, axis_name="e")(prediction, valid)
    np.testing.assert_allclose(losses, [3.75, 3.75], rtol=1e-6)


def test_weights_act_linearly_on_the_gradient(paint):
    """grad(w) = grad(0) + sum_i w_i (grad(e_i) - grad(0))."""
    env, params, algo, hp = paint
    net = make_net(
        env.observation_space(params), env.action_space(params), CONFIG.network, _module()
    )
    state = jax.jit(algo.init)(jax.random.key(0), hp)
    minibatches = make_minibatches(net, CONFIG, predict=True)
    loss = _make_loss(minibatches, stateless(ppo_clip), standardize_minibatch, TERMS, ALONE)

    @jax.jit
    def gradients(state: State):
        obs = state.obs
        distribution, value, _ = net.apply(state.policy.params, obs, ())
        action = distribution.mode()
        ones = jnp.ones_like(value)
        trajectory = Trajectory(
            obs, action, distribution.log_prob(action), value, ones, ones, ones > 0, distribution
        )
        targets = {
            "previous_reward": (ones, ones > 0),
            "reward": (-ones, ones > 0),
            "next_grid": ((obs["answer"], obs["answer"] >= 0), ones > 0),
        }
        batch = trajectory, value, ones, targets

        def gradient(weights):
            weighted = hp.replace(auxiliary=dict(zip(NAMES, weights, strict=True)))
            grads = jax.grad(loss, has_aux=True)(state.policy.params, state, batch, weighted)[0]
            return jax.flatten_util.ravel_pytree(grads)[0]

        points = jnp.concatenate([jnp.zeros((1, 3)), jnp.eye(3), jnp.asarray([[0.5, 2.0, 0.1]])])
        return jax.lax.map(gradient, points)

    zero, *each, mixed = np.asarray(gradients(state), np.float64)
    parts = [one - zero for one in each]
    assert min(np.abs(part).max() for part in parts) > 1e-3
    expected = zero + 0.5 * parts[0] + 2.0 * parts[1] + 0.1 * parts[2]
    np.testing.assert_allclose(mixed, expected, atol=1e-5 * np.abs(mixed).max() + 1e-6)


def test_ppo_learns_to_paint_and_to_predict(paint):
    """Two weights in one program: 0 leaves the predictions as bad as they were."""
    _, _, algo, hp = paint
    points = [hp, canonical(hp.replace(auxiliary=_weights(0.0)))]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *points)
    keys = jnp.stack([jax.random.key(0)] * 2)
    _, metrics = jax.jit(jax.vmap(train(algo, 40)))(keys, stacked)
    returns = np.asarray(metrics["episode_return"])
    # A share of 2/3 of random cells differs, in each of four steps.
    assert (returns[:, :5].mean(axis=1) < -2.5).all()
    assert (returns[:, -5:].mean(axis=1) > -2.2).all()
    for name in NAMES:
        loss = np.asarray(metrics["aux/" + name])
        assert loss[0, -5:].mean() < 0.6 * loss[0, 0], name
        assert loss[0, -5:].mean() < 0.6 * loss[1, -5:].mean(), name


def test_what_does_not_fit_is_refused(paint):
    env, params, algo, hp = paint
    spec = ppo_with(TERMS)
    wrong = hp.replace(auxiliary={"reward": 1.0})
    with pytest.raises(ValueError, match="next_grid, previous_reward, reward, got reward"):
        jax.eval_shape(algo.init, jax.random.key(0), wrong)
    with pytest.raises(ValueError, match="got none"):
        spec.validate(CONFIG, PPOHyperparameters())
    with pytest.raises(ValueError, match="no auxiliary loss, got reward"):
        ppo_with().validate(CONFIG, PPOHyperparameters(auxiliary={"reward": 1.0}))
    with pytest.raises(ValueError, match="hp.auxiliary.reward must be finite and >= 0, got -1.0"):
        spec.validate(CONFIG, PPOHyperparameters(auxiliary=_weights(1.0) | {"reward": -1.0}))
    spec.validate(CONFIG, spec.preset("CartPole-v1").hp)
    with pytest.raises(ValueError, match="needs a network with predictions"):
        spec.make(env, params, CONFIG)
    with pytest.raises(ValueError, match="two auxiliary losses have the name 'reward'"):
        check_terms((TERMS[1], TERMS[1]), None)
    blind = spec.make(env, params, CONFIG, network=_module(predicts=("reward",)))
    state = jax.eval_shape(blind.init, jax.random.key(0), hp)
    with pytest.raises(ValueError, match="does not predict 'previous_reward'; it predicts reward"):
        jax.eval_shape(blind.step, state, hp)
