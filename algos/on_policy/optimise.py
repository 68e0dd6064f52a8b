"""Epochs of minibatch gradient steps on one rollout."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxrl.algos.on_policy.auxiliary import (
    PREFIX,
    Auxiliary,
    auxiliary_losses,
    auxiliary_targets,
)
from jaxrl.algos.on_policy.minibatches import Minibatches, make_minibatches
from jaxrl.algos.on_policy.types import Config, Objective, Sample, State, progress
from jaxrl.networks import Net
from jaxrl.permutation import permutations
from jaxrl.shards import ALONE, Shards

Optimiser = Callable[[Any], optax.GradientTransformation]
# (advantages of a minibatch [B], mean over all of it) -> what the objective sees, [B].
ScaleAdvantage = Callable[[jax.Array, Callable[[jax.Array], jax.Array]], jax.Array]


def adam(hp: Any) -> optax.GradientTransformation:
    """Adam (epsilon 1e-5, as all PPO implementations use) after clipping the global norm."""
    return _clipped(optax.scale_by_adam(eps=1e-5), hp)


def rmsprop(hp: Any) -> optax.GradientTransformation:
    """RMSProp (decay 0.99, epsilon 1e-5, as A2C was published) after clipping the global norm."""
    return _clipped(optax.scale_by_rms(decay=0.99, eps=1e-5), hp)


def _clipped(transform: optax.GradientTransformation, hp: Any) -> optax.GradientTransformation:
    """Clipping by the global norm, then `transform`.

    optax's Adam raises a float to an integer power, which strict dtype promotion refuses: it is
    run under standard promotion.
    """
    chain = optax.chain(optax.clip_by_global_norm(hp.max_grad_norm), transform)

    def update(grads, state, params=None):
        with jax.numpy_dtype_promotion("standard"):
            return chain.update(grads, state, params)

    return optax.GradientTransformation(chain.init, update)


def learning_rate(hp: Any, update: jax.Array) -> jax.Array:
    """Linear from `hp.lr` to `hp.lr * hp.lr_final` over `hp.horizon` updates."""
    return hp.lr * (1.0 - (1.0 - hp.lr_final) * progress(update, hp.horizon))


def value_loss(
    value: jax.Array, old_value: jax.Array, target: jax.Array, clip: jax.Array | float
) -> jax.Array:
    """Clipped squared error, 0.5 max((v - G)^2, (v_old + clip(v - v_old, +-c) - G)^2), [B].

    The factor 0.5 stands before the maximum, on both branches. An infinite `clip` is the plain
    squared error.
    """
    clipped = old_value + jnp.clip(value - old_value, -clip, clip)
    return 0.5 * jnp.maximum(jnp.square(value - target), jnp.square(clipped - target))


def make_optimise(
    net: Net,
    objective: Objective,
    scale_advantage: ScaleAdvantage,
    optimiser: Optimiser,
    config: Config,
    shards: Shards = ALONE,
    auxiliary: Sequence[Auxiliary] = (),
) -> Callable:
    """(key, state, trajectory, advantages, targets, hp) -> (state, metrics)."""
    minibatches = make_minibatches(net, config, predict=bool(auxiliary))
    loss = _make_loss(minibatches, objective, scale_advantage, auxiliary, shards)

    def optimise(key, state, trajectory, advantages, targets, hp):
        further = auxiliary_targets(auxiliary, trajectory)
        batch = minibatches.arrange((trajectory, advantages, targets, further))
        transform = optimiser(hp)
        lr = learning_rate(hp, state.update)

        def gradient_step(carry, rows):
            params, optimizer = carry
            minibatch = minibatches.select(batch, rows)
            grads, metrics = jax.grad(loss, has_aux=True)(params, state, minibatch, hp)
            grads = shards.average(grads)
            updates, optimizer = transform.update(grads, optimizer, params)
            params = jax.tree.map(lambda p, u: p - lr * u, params, updates)
            return (params, optimizer), metrics | {"grad_norm": optax.tree.norm(grads)}

        carry = (state.policy.params, state.optimizer)
        shuffles = _shuffles(key, config, minibatches.num_rows)
        (params, optimizer), metrics = jax.lax.scan(gradient_step, carry, shuffles)
        kl_last_epoch = shards.mean(metrics["kl"][-config.num_minibatches :])
        state = state.replace(
            policy=state.policy.replace(params=params),
            optimizer=optimizer,
            objective=objective.update(hp.objective, state.objective, kl_last_epoch),
        )
        return state, shards.average(jax.tree.map(jnp.mean, metrics)) | {"lr": lr}

    return optimise


def _make_loss(
    minibatches: Minibatches,
    objective: Objective,
    scale_advantage: ScaleAdvantage,
    auxiliary: Sequence[Auxiliary],
    shards: Shards,
) -> Callable[[Any, State, Any, Any], tuple[jax.Array, Any]]:
    """(params, state, minibatch, hp) -> (loss [], metrics)."""

    def loss(params: Any, state: State, batch: Any, hp: Any) -> tuple[jax.Array, Any]:
        policy = state.policy.replace(params=params)
        records, distribution, value, predictions = minibatches.evaluate(policy, batch)
        trajectory, advantage, target, further = records
        sample = Sample(
            log_prob=distribution.log_prob(trajectory.action),
            old_log_prob=trajectory.log_prob,
            advantage=scale_advantage(advantage, shards.mean),
            kl=trajectory.distribution.kl(distribution),
            entropy=distribution.entropy(),
            progress=progress(state.update, hp.horizon),
        )
        policy_loss = jnp.mean(objective.loss(hp.objective, state.objective, sample))
        value_error = jnp.mean(value_loss(value, trajectory.value, target, hp.value_clip))
        entropy = jnp.mean(sample.entropy)
        total = policy_loss + hp.value_coef * value_error - hp.entropy_coef * entropy
        terms = auxiliary_losses(auxiliary, predictions, further, shards)
        for name, term in terms.items():
            total = total + hp.auxiliary[name] * term
        log_ratio = sample.log_ratio
        metrics = {
            "loss": total,
            "policy_loss": policy_loss,
            "value_loss": value_error,
            "entropy": entropy,
            "kl": jnp.mean(sample.kl),
            # Schulman's low-variance estimate of KL(old || new), http://joschu.net/blog/kl-approx
            "approx_kl": jnp.mean(jnp.expm1(log_ratio) - log_ratio),
            **{PREFIX + name: term for name, term in terms.items()},
        }
        return total, metrics

    return loss


def _shuffles(key: jax.Array, config: Config, num_rows: int) -> jax.Array:
    """Row indices of every minibatch, int32 [epochs * minibatches, rows / minibatches]."""
    order = permutations(key, config.num_epochs, num_rows)
    return order.reshape((config.num_epochs * config.num_minibatches, -1))
