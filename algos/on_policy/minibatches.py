"""How a rollout is cut into minibatches: single steps, or whole sequences where there is memory."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.algos.on_policy.rollout import merge_time, observe
from jaxrl.algos.on_policy.types import Config, Policy
from jaxrl.networks import Net


class Minibatches(NamedTuple):
    """A way to cut a rollout; `records` is a tuple that begins with the trajectory.

    Attributes:
        num_rows: what is shuffled, a multiple of `config.num_minibatches`.
        arrange: records, leaves [T, N, ...] -> a batch.
        select: (batch, row indices) -> a minibatch.
        evaluate: (policy, minibatch) -> (its records, distribution, values, predictions), leaves
            [B, ...]; the predictions are those of `Net.predict` if wanted, and else empty.
    """

    num_rows: int
    arrange: Callable[[Any], Any]
    select: Callable[[Any, jax.Array], Any]
    evaluate: Callable[[Policy, Any], tuple[Any, Any, jax.Array, dict[str, Any]]]


def make_minibatches(net: Net, config: Config, predict: bool = False) -> Minibatches:
    """Single steps for a feed-forward network, sequences for a recurrent one.

    Args:
        net: the actor-critic.
        config: sizes.
        predict: whether predictions are wanted; the network must then have `Net.predict`.

    Raises:
        ValueError: the environments of a recurrent policy do not divide into the minibatches.
    """
    return _sequences(net, config) if net.recurrent else _steps(net, config, predict)


def _steps(net: Net, config: Config, predict: bool) -> Minibatches:
    """Rows are a shard's steps in any order."""

    def select(batch: Any, rows: jax.Array) -> Any:
        return jax.tree.map(lambda x: x[rows], batch)

    def evaluate(policy: Policy, minibatch: Any) -> tuple[Any, Any, jax.Array, dict[str, Any]]:
        obs = observe(policy, minibatch[0].obs)
        distribution, value, _ = net.apply(policy.params, obs, ())
        return minibatch, distribution, value, {}

    def evaluate_and_predict(
        policy: Policy, minibatch: Any
    ) -> tuple[Any, Any, jax.Array, dict[str, Any]]:
        trajectory = minibatch[0]
        assert net.predict is not None
        obs = observe(policy, trajectory.obs)
        return minibatch, *net.predict(policy.params, obs, trajectory.action)

    chosen = evaluate_and_predict if predict else evaluate
    return Minibatches(config.shard_batch, merge_time, select, chosen)


def _sequences(net: Net, config: Config) -> Minibatches:
    """Rows are a shard's environments, each with its T steps in order.

    Every gradient step runs the network from the carry with which the rollout began. It was made
    by the parameters of earlier updates and is not made again, and no gradient flows into it:
    truncated backpropagation through time from a stale carry, as is usual (the "stored state" of
    Kapturowski et al. 2019, R2D2; CleanRL, PureJaxRL). Episodes that begin within the rollout begin
    with the initial carry, which is never stale.
    """
    num_envs, count = config.shard_envs, config.num_minibatches
    if num_envs % count:
        raise ValueError(
            "minibatches of a recurrent policy are whole environments: a shard's num_envs = "
            f"{num_envs} does not divide into config.num_minibatches = {count}"
        )

    def arrange(records: Any) -> Any:
        trajectory, *rest = records
        ended = trajectory.ended
        start = jnp.concatenate([jnp.zeros_like(ended[:1]), ended[:-1]])
        return trajectory.carry, (trajectory._replace(carry=()), *rest), start

    def select(batch: Any, rows: jax.Array) -> Any:
        carry, *sequences = batch
        carry = jax.tree.map(lambda x: x[rows], carry)
        return carry, *jax.tree.map(lambda x: x[:, rows], sequences)

    def evaluate(policy: Policy, minibatch: Any) -> tuple[Any, Any, jax.Array, dict[str, Any]]:
        carry, records, start = minibatch
        obs = jax.vmap(lambda obs: observe(policy, obs))(records[0].obs)
        distribution, value = net.unroll(policy.params, obs, carry, start)
        return *merge_time((records, distribution, value)), {}

    return Minibatches(num_envs, arrange, select, evaluate)
