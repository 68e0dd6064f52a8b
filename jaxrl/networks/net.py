"""The pure functions that algorithms use as a network."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from gymnax.environments import spaces

from jaxrl.networks.actor_critic import ActorCritic, NetworkConfig, RecurrentActorCritic
from jaxrl.networks.heads import ActionHead, action_head

MASK_KEY = "action_mask"


class Net(NamedTuple):
    """An actor-critic as pure functions.

    What a recurrent network remembers is its `carry`, leaves [B, ...]; that of a feed-forward
    network is `()`.

    Attributes:
        init: key -> parameters.
        initial: B -> the carry with which B episodes begin.
        apply: one step, (parameters, observations [B, ...], carry) -> (distribution, values
            float32 [B], carry). Whatever is not used of the result (the policy where only values
            are wanted) is removed by XLA.
        unroll: T steps, (parameters, observations [T, B, ...], carry, start bool [T, B]) ->
            (distribution, values), leaves [T, B, ...]. Where `start` is set an episode begins, with
            the initial carry.
        to_action: raw action [B, ...] -> what the environment takes.
        predict: one pass for training with auxiliary losses, (parameters, observations [B, ...],
            raw actions [B, ...]) -> (distribution, values float32 [B], predictions by name, leaves
            [B, ...]); None where the network predicts nothing.
    """

    init: Callable[[jax.Array], Any]
    initial: Callable[[int], Any]
    apply: Callable[[Any, Any, Any], tuple[Any, jax.Array, Any]]
    unroll: Callable[[Any, Any, Any, jax.Array], tuple[Any, jax.Array]]
    to_action: Callable[[jax.Array], jax.Array]
    predict: Callable[[Any, Any, Any], tuple[Any, jax.Array, dict[str, Any]]] | None = None

    @property
    def recurrent(self) -> bool:
        """Whether there is anything to carry from one step to the next."""
        return bool(jax.tree.leaves(jax.eval_shape(lambda: self.initial(1))))


def split_mask(obs: Any) -> tuple[Any, jax.Array | None]:
    """Separates the mask of legal actions, the key `action_mask` of a dict observation."""
    if isinstance(obs, Mapping) and MASK_KEY in obs:
        return {name: x for name, x in obs.items() if name != MASK_KEY}, obs[MASK_KEY]
    return obs, None


def featurize(space: Any, obs: Any) -> Any:
    """float32 features of observations [B, ...] of `space`, the mask left out.

    Discrete observations become one-hot, uint8 images are scaled to [0, 1], all else is cast.
    """
    if isinstance(space, spaces.Dict):
        keys = [name for name in space.spaces if name != MASK_KEY]
        return {name: featurize(space.spaces[name], obs[name]) for name in keys}
    if isinstance(space, spaces.Tuple):
        return tuple(featurize(s, x) for s, x in zip(space.spaces, obs, strict=True))
    if isinstance(space, spaces.Discrete):
        return jax.nn.one_hot(obs, space.n, dtype=jnp.float32)
    if obs.dtype == jnp.uint8 and obs.ndim == 4:
        return obs.astype(jnp.float32) / 255.0
    return obs.astype(jnp.float32)


def make_net(
    observation_space: Any,
    action_space: Any,
    config: NetworkConfig,
    module: nn.Module | None = None,
) -> Net:
    """The network for a pair of spaces.

    Args:
        observation_space: any space or pytree of spaces (Dict, Tuple).
        action_space: see `action_head`.
        config: shape of the default network, and kinds of action heads.
        module: your own linen module in place of the default torso. Called with the features
            of a batch (see `featurize`), it returns either features [B, F], and heads are
            added to it (and memory before them, if configured), or the pair (policy outputs
            [B, num_outputs], values [B]). A module of the pair may also have a method `predict`,
            called with features and raw actions, which returns (policy outputs, values,
            predictions by name): what `Net.predict` does, for auxiliary losses.

    Raises:
        ValueError: a module that returns neither, or the pair where memory is configured; spaces
            without a network.
    """
    head = action_head(action_space, config.continuous, config.multi_discrete)
    example = zeros_of(observation_space)
    features, _ = split_mask(featurize(observation_space, example))
    module = module or config.torso()
    gives_features = _gives_features(module, features, head)
    if config.recurrent:
        if not gives_features:
            raise ValueError(
                f"memory (network.recurrent = {config.recurrent!r}) goes between features and"
                " heads: the network module must return features [B, F]"
            )
        return _recurrent(observation_space, module, features, head, config)
    if gives_features:
        network: Any = _with_heads(module, head, config)
    else:
        network = _WithFreeParameters(module, head.num_free, config.initial_log_std)
        if hasattr(module, "predict"):
            return _predicting(observation_space, action_space, network, features, head)
    return _feed_forward(observation_space, network, features, head)


def _predicting(space: Any, actions: Any, network: Any, features: Any, head: ActionHead) -> Net:
    """The network of a module with predictions, which may have parameters of their own."""

    def init(key: jax.Array) -> Any:
        return network.init(key, features, zeros_of(actions), method="predict")

    def predict(params: Any, obs: Any, action: Any) -> tuple[Any, jax.Array, dict[str, Any]]:
        _, mask = split_mask(obs)
        outputs, free, value, predictions = network.apply(
            params, featurize(space, obs), action, method="predict"
        )
        return head.distribution(outputs, free, mask), value, predictions

    return _feed_forward(space, network, features, head)._replace(init=init, predict=predict)


def _feed_forward(space: Any, network: Any, features: Any, head: ActionHead) -> Net:
    def init(key: jax.Array) -> Any:
        return network.init(key, features)

    def apply(params: Any, obs: Any, carry: Any) -> tuple[Any, jax.Array, Any]:
        _, mask = split_mask(obs)
        outputs, free, value = network.apply(params, featurize(space, obs))
        return head.distribution(outputs, free, mask), value, carry

    def unroll(params: Any, obs: Any, carry: Any, start: jax.Array) -> tuple[Any, jax.Array]:
        distribution, value, _ = apply(params, _merge(obs), carry)
        return _split((distribution, value), start.shape)

    return Net(init, lambda batch: (), apply, unroll, head.to_action)


def _recurrent(
    space: Any, torso: nn.Module, features: Any, head: ActionHead, config: NetworkConfig
) -> Net:
    memory = config.memory()
    network: Any = RecurrentActorCritic(
        torso, memory, head.num_outputs, head.num_free, config.initial_log_std
    )

    def init(key: jax.Array) -> Any:
        return network.init(key, features, memory.initial(1), jnp.zeros((1, 1), jnp.bool_))

    def run(params: Any, obs: Any, carry: Any, start: jax.Array) -> tuple[Any, jax.Array, Any]:
        """Observations and results with time and batch merged, [T * B, ...]."""
        _, mask = split_mask(obs)
        outputs, free, value, carry = network.apply(params, featurize(space, obs), carry, start)
        return head.distribution(outputs, free, mask), value, carry

    def apply(params: Any, obs: Any, carry: Any) -> tuple[Any, jax.Array, Any]:
        batch = jax.tree.leaves(obs)[0].shape[0]
        return run(params, obs, carry, jnp.zeros((1, batch), jnp.bool_))

    def unroll(params: Any, obs: Any, carry: Any, start: jax.Array) -> tuple[Any, jax.Array]:
        distribution, value, _ = run(params, _merge(obs), carry, start)
        return _split((distribution, value), start.shape)

    return Net(init, memory.initial, apply, unroll, head.to_action)


def _merge(tree: Any) -> Any:
    """[T, B, ...] -> [T * B, ...]."""
    return jax.tree.map(lambda x: x.reshape((-1, *x.shape[2:])), tree)


def _split(tree: Any, shape: tuple[int, ...]) -> Any:
    """[T * B, ...] -> [T, B, ...] with `shape` [T, B]."""
    return jax.tree.map(lambda x: x.reshape((*shape, *x.shape[1:])), tree)


def _gives_features(module: nn.Module, features: Any, head: ActionHead) -> bool:
    """True for a module of features, False for one of the pair; ValueError for any other."""
    out = jax.eval_shape(lambda key: module.init_with_output(key, features)[0], jax.random.key(0))
    if isinstance(out, jax.ShapeDtypeStruct) and out.ndim == 2:
        return True
    shapes = [x.shape for x in jax.tree.leaves(out)]
    if shapes == [(1, head.num_outputs), (1,)]:
        return False
    raise ValueError(
        f"the network module must return features [B, F] or the pair (policy outputs "
        f"[B, {head.num_outputs}], values [B]); for a batch of 1 it returned {shapes}"
    )


def _with_heads(torso: nn.Module, head: ActionHead, config: NetworkConfig) -> ActorCritic:
    critic = None if config.shared_torso else torso.clone()
    return ActorCritic(torso, critic, head.num_outputs, head.num_free, config.initial_log_std)


class _WithFreeParameters(nn.Module):
    """A user's (outputs, value) module with the free parameters of a continuous head."""

    module: nn.Module
    num_free: int
    initial_free: float

    def setup(self):
        init = nn.initializers.constant(self.initial_free)
        self.free = self.param("free", init, (self.num_free,), jnp.float32)

    def __call__(self, obs):
        outputs, value = self.module(obs)
        return outputs, self.free, value

    def predict(self, obs, action):
        outputs, value, predictions = self.module.predict(obs, action)
        return outputs, self.free, value, predictions


def zeros_of(space: Any) -> Any:
    """A batch of one all-zero observation of `space`."""
    if isinstance(space, spaces.Dict):
        return {name: zeros_of(child) for name, child in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(zeros_of(child) for child in space.spaces)
    return jnp.zeros((1, *space.shape), space.dtype)
