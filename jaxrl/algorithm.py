"""What an algorithm is, and the only training loop."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from jaxrl.dtypes import strong
from jaxrl.shards import EnvShards


def no_carry(batch: int) -> tuple[()]:
    """The carry of a policy without memory, `()`."""
    del batch
    return ()


class Algorithm(NamedTuple):
    """An algorithm as pure functions, like optax's GradientTransformation.

    Attributes:
        init: (key, hp) -> state, a flax.struct dataclass with the fields `policy` (what `act`
            needs) and `update` (int32 [], updates done).
        step: (state, hp) -> (state, metrics), one update; metrics is a flat dict of scalars.
        act: (policy, observations [B, ...], carry, key) -> (actions [B, ...], carry). A key of
            None means the greedy action. Of a game everything is by role (`jaxrl.multi_agent`).
        value: (policy, observations [B, ...], carry) -> estimated values float32 [B], where the
            algorithm has a value function; in units of the normalised reward where rewards are
            normalised. `carry` is what `act` would get, and may be left out where it is `()`.
        initial_carry: B -> the carry with which B episodes begin, leaves [B, ...]; `()` for a
            policy without memory. `jaxrl.networks.reset_where` puts it where episodes ended.
        shards: how one run is divided among devices, where the algorithm can be and the
            configuration says so.
    """

    init: Callable[[jax.Array, Any], Any]
    step: Callable[[Any, Any], tuple[Any, dict[str, jax.Array]]]
    act: Callable[[Any, Any, Any, jax.Array | None], tuple[Any, Any]]
    value: Callable[..., jax.Array] | None = None
    initial_carry: Callable[[int], Any] = no_carry
    shards: EnvShards | None = None


class Preset(NamedTuple):
    """Settings known to work.

    Attributes:
        config: static configuration.
        hp: hyperparameters.
        total_steps: environment steps to train for.
    """

    config: Any
    hp: Any
    total_steps: int


class LearntObjective(NamedTuple):
    """An objective with parameters phi that can be learnt, as `hp.objective`.

    Attributes:
        start: (key, hidden units) -> phi where learning begins; `hidden` may be left out.
        weights: phi -> the pytree of arrays that learning changes.
        replace: (phi, weights) -> phi with these instead.
        drift: (log ratio, advantage, phi, progress) -> f(r, A), elementwise.
        load: (path) -> phi; raises ValueError in one line.
        save: (path, phi, provenance) -> None.
    """

    start: Callable[..., Any]
    weights: Callable[[Any], Any]
    replace: Callable[[Any, Any], Any]
    drift: Callable[..., jax.Array]
    load: Callable[..., Any]
    save: Callable[..., None]


class AlgorithmSpec(NamedTuple):
    """What the command line and the conformance tests need to know of an algorithm.

    Attributes:
        name: its id.
        summary: one line.
        config: type of the static configuration, a frozen dataclass.
        hyperparameters: type of the hyperparameters, a flax.struct dataclass.
        make: (env, env_params, config, network=None) -> Algorithm.
        validate: (config, hp) -> None; raises ValueError in one line.
        steps_per_update: (config) -> environment steps of one update.
        preset: (env_id) -> Preset.
        learnt: what can be learnt of the objective, where something can.
        for_games: whether it trains games (`jaxrl.multi_agent`) and not a single agent.
    """

    name: str
    summary: str
    config: type
    hyperparameters: type
    make: Callable[..., Algorithm]
    validate: Callable[[Any, Any], None]
    steps_per_update: Callable[[Any], int]
    preset: Callable[[str], Preset]
    learnt: LearntObjective | None = None
    for_games: bool = False


def train(algorithm: Algorithm, num_updates: int) -> Callable[[jax.Array, Any], tuple[Any, Any]]:
    """Training as one pure function.

    Args:
        algorithm: what to train.
        num_updates: static number of updates.

    Returns:
        (key, hp) -> (state, metrics), metrics with a leading axis [num_updates]. It may be
        jitted, and vmapped over keys and over any leaf of hp.
    """
    if num_updates < 1:
        raise ValueError(f"num_updates must be at least 1, got {num_updates}")

    def run(key: jax.Array, hp: Any) -> tuple[Any, Any]:
        state = algorithm.init(key, hp)
        return jax.lax.scan(
            lambda state, _: algorithm.step(state, hp), state, None, length=num_updates
        )

    return run


def canonical(hp: Any) -> Any:
    """Hyperparameters with every leaf a strongly typed array (float32, int32 or bool).

    Python numbers would otherwise be weakly typed in one call and strongly typed after a
    checkpoint, which compiles anew.
    """
    return strong(hp)
