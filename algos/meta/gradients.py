"""Meta-gradients: how the outcome of a training changes with phi.

phi is an argument of training, so what comes of a training can be differentiated by it. There are
two ways:

- Through the loop that trains everywhere else (`make_outcome`), forwards only. `VecEnv` resets in a
  `lax.while_loop`, and JAX cannot go backwards through one; `meta_gradient` says so. One pass gives
  the derivative in one direction (`directional`), or W passes, many of them side by side, that by
  each of W weights (`forward_gradient`).
- Through a bandit whose expectations are exact (`bandit_outcome`), which goes backwards too: the
  whole derivative costs about as much as a few trainings, whatever the size of phi.

Both are derivatives along the path of one training: random numbers are held fixed. A discrete
action is piecewise constant in its policy's parameters, so that what phi changes about the actions
that are drawn, and so about the data, is not seen. A continuous action is mean + deviation * noise
and moves with both: there the derivative goes through actions, rewards and dynamics.

Nor are jumps seen. Where the drift has a kink the slope of the loss jumps, and with it the outcome
when phi moves a ratio across: PPO's edges r = 1 +- epsilon and the relu of an LPO network, its
inputs' bound. Where |net| <= 1e-4 an LPO network counts as nothing, so the derivative of PPO's
start by every weight is 0: ascend from `random_drift`. DPO's drift has two continuous derivatives
wherever A != 0. None of this is in the way of evolution, which smooths the outcome.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import chex
import jax
import jax.numpy as jnp
from flax import struct
from jax.flatten_util import ravel_pytree

from jaxrl.algorithm import Algorithm, train

Weights = TypeVar("Weights")
# Weights -> what is to be large, [].
Outcome = Callable[[Any], jax.Array]


def make_outcome(
    algorithm: Algorithm,
    num_updates: int,
    outcome: Callable[[Any], jax.Array],
    replace: Callable[[Any], Any] = lambda phi: phi,
) -> Callable[[jax.Array, Any, Any], jax.Array]:
    """What comes of a training as a function of its drift.

    Args:
        algorithm: what to train; its `hp.objective` is phi.
        num_updates: of the training.
        outcome: final state -> []. It must depend on the state in a differentiable way to have a
            derivative other than 0: a log-probability or a value does, a return of discrete actions
            does not.
        replace: weights -> phi; see `LearntObjective.replace`.

    Returns:
        (key, hp, weights) -> []; differentiable by the weights, forwards only.

    Raises:
        ValueError: `num_updates` is not positive.
    """
    run = train(algorithm, num_updates)

    def fn(key: jax.Array, hp: Any, weights: Any) -> jax.Array:
        return outcome(run(key, hp.replace(objective=replace(weights)))[0])

    return fn


def directional(
    outcome: Outcome, weights: Weights, direction: Weights
) -> tuple[jax.Array, jax.Array]:
    """The outcome and its derivative along `direction`, both []; forward mode.

    Args:
        outcome: weights -> [].
        weights: arrays of floats.
        direction: of the same form; it is not normalised.

    Raises:
        ValueError: `direction` has another form than `weights`.
    """
    if not _same_form(weights, direction):
        raise ValueError(
            f"a direction must have the form of the weights, {_form(weights)},"
            f" got {_form(direction)}"
        )
    value, derivative = jax.jvp(outcome, (weights,), (direction,))
    chex.assert_rank((value, derivative), 0)
    return value, derivative


def forward_gradient(outcome: Outcome, weights: Weights, batch: int = 32) -> Weights:
    """The derivative by every weight, of the form of `weights`; forward mode.

    It costs W directional derivatives, W the number of weights, so it is for few of them.

    Args:
        outcome: weights -> [].
        weights: arrays of floats, all of one dtype.
        batch: derivatives that are computed side by side.

    Raises:
        ValueError: `batch` is not positive.
    """
    if batch < 1:
        raise ValueError(f"batch must be at least 1, got {batch}")
    flat, unravel = ravel_pytree(weights)

    def along(direction: jax.Array) -> jax.Array:
        return directional(lambda x: outcome(unravel(x)), flat, direction)[1]

    unit = jnp.eye(flat.size, dtype=flat.dtype)
    slopes: jax.Array = jax.lax.map(along, unit, batch_size=min(batch, flat.size))
    gradient: Weights = unravel(slopes)
    return gradient


def meta_gradient(outcome: Outcome, weights: Weights) -> Weights:
    """The derivative by every weight, of the form of `weights`; reverse mode.

    Raises:
        ValueError: the outcome cannot be differentiated backwards, as `make_outcome`'s cannot.
    """
    try:
        gradient: Weights = jax.grad(outcome)(weights)
    except ValueError as error:
        if "Reverse-mode differentiation does not work" not in str(error):
            raise
        raise ValueError(
            "the training has a while loop (resets of environments), which cannot be"
            " differentiated backwards: use directional or forward_gradient"
        ) from error
    return gradient


class Bandit(struct.PyTreeNode):
    """K actions with known rewards, and how a softmax policy learns about them.

    Attributes:
        rewards: expected reward of each action, [K].
        logits: of the policy at the start, [K].
        lr: step size of the gradient ascent.
    """

    rewards: jax.Array
    logits: jax.Array
    lr: jax.Array | float = 1.0


def surrogate(
    drift: Callable[..., jax.Array],
    phi: Any,
    old: jax.Array,
    logits: jax.Array,
    rewards: jax.Array,
    progress: jax.Array | float,
) -> jax.Array:
    """E_old[r A - f_phi(r, A)], exactly, []: the objective of mirror learning with known rewards.

    A = q - E_old[q] with q the rewards. `old` and `logits` are those of the old and the new
    policy, all [K].

    Args:
        drift: (log ratio, advantage, phi, progress) -> f, as of `LearntObjective`.
        phi: its parameters.
        old: logits before the update.
        logits: logits now.
        rewards: of the actions.
        progress: part of training that is over.
    """
    chex.assert_equal_shape((old, logits, rewards))
    log_old, log_new = jax.nn.log_softmax(old), jax.nn.log_softmax(logits)
    probability = jnp.exp(log_old)
    advantage = rewards - jnp.sum(probability * rewards)
    log_ratio = log_new - log_old
    gain = jnp.exp(log_ratio) * advantage - drift(log_ratio, advantage, phi, progress)
    return jnp.sum(probability * gain)


def bandit_outcome(
    drift: Callable[..., jax.Array], bandit: Bandit, phi: Any, updates: int, steps: int
) -> jax.Array:
    """Expected reward, [], of the policy that `updates` updates of `steps` steps each end with.

    Every update starts from an old policy which its gradient steps leave behind. With a single
    step an update never sees r != 1, where no drift has a slope: the outcome then does not depend
    on phi. It may be differentiated forwards and backwards, by phi and by the bandit.

    Args:
        drift: see `surrogate`.
        bandit: the problem.
        phi: parameters of the drift.
        updates: N, policies that are left behind.
        steps: gradient steps of an update, on all of the exact objective.

    Raises:
        ValueError: `updates` or `steps` is not positive.
    """
    if updates < 1 or steps < 1:
        raise ValueError(f"need updates, steps >= 1, got {updates}, {steps}")
    slope = jax.grad(surrogate, argnums=3)

    def update(old: jax.Array, progress: jax.Array) -> tuple[jax.Array, None]:
        def ascend(logits: jax.Array, _: None) -> tuple[jax.Array, None]:
            step = slope(drift, phi, old, logits, bandit.rewards, progress)
            return logits + bandit.lr * step, None

        return jax.lax.scan(ascend, old, None, length=steps)

    over = jnp.arange(updates, dtype=bandit.logits.dtype) / updates
    logits, _ = jax.lax.scan(update, bandit.logits, over)
    return jnp.sum(jax.nn.softmax(logits) * bandit.rewards)


def _same_form(a: Any, b: Any) -> bool:
    structures: list[Any] = [jax.tree.structure(tree) for tree in (a, b)]
    return bool(structures[0] == structures[1]) and _form(a) == _form(b)


def _form(tree: Any) -> list[tuple[tuple[int, ...], str]]:
    """Shapes and dtypes of the leaves."""
    leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves(tree)]
    return [(leaf.shape, str(leaf.dtype)) for leaf in leaves]
