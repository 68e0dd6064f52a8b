"""Names of environments and algorithms, resolved lazily.

Both tables are static strings, "module:attribute", so listing names imports nothing heavy; a module
is loaded when something of it is made. Users add their own with `register` and
`register_algorithm`.
"""

import dataclasses
import difflib
import importlib
import inspect
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from jaxrl.algorithm import AlgorithmSpec, Preset
    from jaxrl.environment import Environment


class UnknownIdError(ValueError):
    """No environment or algorithm has this name; the message names the nearest ones."""


class Entry(NamedTuple):
    """How an environment is constructed.

    Attributes:
        target: a factory returning an `Environment`, or "module:attribute" of one.
        adapter: "module:attribute" of a function (id, target) -> factory, where `target` does not
            make the environment itself; None where it does.
    """

    target: str | Callable[..., Any]
    adapter: str | None = None


_GYMNAX = {
    "CartPole-v1": "classic_control.cartpole:CartPole",
    "Pendulum-v1": "classic_control.pendulum:Pendulum",
    "Acrobot-v1": "classic_control.acrobot:Acrobot",
    "MountainCar-v0": "classic_control.mountain_car:MountainCar",
    "MountainCarContinuous-v0": "classic_control.continuous_mountain_car:ContinuousMountainCar",
    "Asterix-MinAtar": "minatar.asterix:MinAsterix",
    "Breakout-MinAtar": "minatar.breakout:MinBreakout",
    "Freeway-MinAtar": "minatar.freeway:MinFreeway",
    "Seaquest-MinAtar": "minatar.seaquest:MinSeaquest",
    "SpaceInvaders-MinAtar": "minatar.space_invaders:MinSpaceInvaders",
    "Catch-bsuite": "bsuite.catch:Catch",
    "DeepSea-bsuite": "bsuite.deep_sea:DeepSea",
    "DiscountingChain-bsuite": "bsuite.discounting_chain:DiscountingChain",
    "MNISTBandit-bsuite": "bsuite.mnist:MNISTBandit",
    "MemoryChain-bsuite": "bsuite.memory_chain:MemoryChain",
    "SimpleBandit-bsuite": "bsuite.bandit:SimpleBandit",
    "UmbrellaChain-bsuite": "bsuite.umbrella_chain:UmbrellaChain",
    "BernoulliBandit-misc": "misc.bernoulli_bandit:BernoulliBandit",
    "FourRooms-misc": "misc.rooms:FourRooms",
    "FrozenLake-misc": "misc.frozen_lake:FrozenLake",
    "GaussianBandit-misc": "misc.gaussian_bandit:GaussianBandit",
    "MetaMaze-misc": "misc.meta_maze:MetaMaze",
    "PointRobot-misc": "misc.point_robot:PointRobot",
    "Pong-misc": "misc.pong:Pong",
    "Reacher-misc": "misc.reacher:Reacher",
    "Swimmer-misc": "misc.swimmer:Swimmer",
}

_BRAX = {
    "ant": "ant:Ant",
    "halfcheetah": "half_cheetah:Halfcheetah",
    "hopper": "hopper:Hopper",
    "humanoid": "humanoid:Humanoid",
    "humanoidstandup": "humanoidstandup:HumanoidStandup",
    "inverted_double_pendulum": "inverted_double_pendulum:InvertedDoublePendulum",
    "inverted_pendulum": "inverted_pendulum:InvertedPendulum",
    "pusher": "pusher:Pusher",
    "reacher": "reacher:Reacher",
    "swimmer": "swimmer:Swimmer",
    "walker2d": "walker2d:Walker2d",
}

_FOREIGN = "jaxrl.adapters.foreign:factory"

_PROBES = {
    "Probe-Action-v1": "policy:Action",
    "Probe-Constant-v1": "value:Constant",
    "Probe-Continuous-v1": "policy:Continuous",
    "Probe-Discount-v1": "value:Discount",
    "Probe-Mask-v1": "structured:Mask",
    "Probe-Memory-v1": "memory:Memory",
    "Probe-MultiDiscrete-v1": "policy:MultiDiscreteChoice",
    "Probe-MultiDiscreteMask-v1": "structured:MultiDiscreteMask",
    "Probe-Observation-v1": "value:Observation",
    "Probe-ObservationAction-v1": "policy:ObservationAction",
    "Probe-Pytree-v1": "structured:Pytree",
    "Probe-TimeLimit-v1": "value:TimeLimit",
}

_CRAFTER = {
    "CrafterOO-OO-v1": "Structured",
    "CrafterOO-Pixels-v1": "Pixels",
    "CrafterOO-Symbolic-v1": "Symbolic",
}

_ARCLE = {
    "ARCLE-ARC-v0": "ARC",
    "ARCLE-O2ARC-v2": "O2ARC",
    "ARCLE-Raw-v0": "Raw",
}

_ECONOMY = {
    "GatherTradeBuild-Open-v1": "gather_trade_build:OpenGatherTradeBuild",
    "GatherTradeBuild-v1": "gather_trade_build:GatherTradeBuild",
    "OneStepEconomy-Planner-v1": "tax_planner:TaxPlanner",
    "OneStepEconomy-v1": "one_step:OneStepEconomy",
}

_ENVIRONMENTS: dict[str, Entry] = {
    **{
        env_id: Entry(f"gymnax.environments.{target}", "jaxrl.adapters.gymnax:factory")
        for env_id, target in _GYMNAX.items()
    },
    **{
        f"brax/{name}": Entry(f"brax.envs.{target}", "jaxrl.adapters.brax:factory")
        for name, target in _BRAX.items()
    },
    **{env_id: Entry(f"jaxrl.envs.probes.{target}") for env_id, target in _PROBES.items()},
    **{
        env_id: Entry(
            f"jaxrl.envs.crafter_oo.environment:{target}", "jaxrl.envs.crafter_oo.goals:factory"
        )
        for env_id, target in _CRAFTER.items()
    },
    **{
        env_id: Entry(f"jaxrl.envs.arcle.environment:{target}") for env_id, target in _ARCLE.items()
    },
    **{env_id: Entry(f"jaxrl.envs.economy.{target}") for env_id, target in _ECONOMY.items()},
}

_ALGORITHMS: dict[str, Any] = {
    "ppo": "jaxrl.algos.on_policy.ppo:SPEC",
    "ppo-kl": "jaxrl.algos.on_policy.ppo_kl:SPEC",
    "ppo-kl-adaptive": "jaxrl.algos.on_policy.ppo_kl:ADAPTIVE_SPEC",
    "a2c": "jaxrl.algos.on_policy.a2c:SPEC",
    "dpo": "jaxrl.algos.on_policy.dpo:SPEC",
    "lpo": "jaxrl.algos.on_policy.lpo:SPEC",
    "ta-lpo": "jaxrl.algos.on_policy.ta_lpo:SPEC",
    "ippo": "jaxrl.algos.multi_agent.ippo:SPEC",
    "mappo": "jaxrl.algos.multi_agent.mappo:SPEC",
}


def environments() -> tuple[str, ...]:
    """Returns the ids that `make` knows, sorted; imports nothing."""
    return tuple(sorted(_ENVIRONMENTS))


def make(env_id: str, /, **overrides: Any) -> "tuple[Environment, Any]":
    """Constructs the environment `env_id` and its parameters.

    Args:
        env_id: one of `environments()`, or "module:attribute" of somebody's gymnax-style
            environment (see `jaxrl.adapters.foreign`).
        **overrides: values by name. A field of the environment's params is replaced, and keeps its
            dtype, a field of a field by its dotted name; an array or a list may have another shape,
            for `vmap`, a tuple may not. Any other name must be a keyword of the environment's
            constructor.

    Returns:
        The environment (see `jaxrl.environment`) and its params, every leaf a strongly typed array.

    Raises:
        UnknownIdError: no such id; names the nearest ones.
        ValueError: an override is neither a field of the params nor a keyword of the constructor
            (names the nearest valid ones), its value does not fit the field's dtype, or the
            environment's own `check_params` refuses it.
    """
    from jaxrl.environment import strong

    env, keywords = _construct(env_id, overrides)
    params = strong(env.default_params)
    fields = {field.name for field in dataclasses.fields(params)}
    dotted = {name for name in overrides if name.split(".")[0] in fields}
    for name in overrides.keys() - fields - keywords - dotted:
        valid = sorted(fields | keywords)
        near = nearest(name, valid) or tuple(valid)
        raise ValueError(f"{env_id} has no parameter {name!r}; nearest: {', '.join(near)}")
    for name, value in overrides.items():
        if name in dotted:
            params = replaced(params, name, value)
    if dotted and hasattr(env, "check_params"):
        env.check_params(params)
    return env, params


def replaced(record: Any, name: str, value: Any) -> Any:
    """`record`, a dataclass of arrays, with the field of a dotted name replaced.

    Fields may be dictionaries by name, whose entries are then named alike.

    The new value gets the dtype of the old one; it may have another shape, for `vmap`, and be a
    tracer.

    Raises:
        ValueError: no such field (the message names the nearest ones), or a value that does not
            fit the dtype; of a tracer only the kind of number is known.
    """
    return _replaced(record, name, name.split("."), value)


def _replaced(record: Any, name: str, path: list[str], value: Any) -> Any:
    """`record` with the field of a path of names replaced."""
    known = isinstance(record, dict)
    fields = set(record) if known else {field.name for field in dataclasses.fields(record)}
    if path[0] not in fields:
        near = nearest(path[0], fields) or tuple(sorted(fields))
        raise ValueError(f"no parameter {name!r}; nearest to {path[0]!r}: {', '.join(near)}")
    old = record[path[0]] if known else getattr(record, path[0])
    if len(path) > 1 and not (dataclasses.is_dataclass(old) or isinstance(old, dict)):
        raise ValueError(f"no parameter {name!r}: {path[0]!r} is a value")
    new = _replaced(old, name, path[1:], value) if len(path) > 1 else _cast(name, value, old)
    return {**record, path[0]: new} if known else record.replace(**{path[0]: new})


def check_environment(env_id: str) -> None:
    """Raises what `make` raises for an id that it does not know; one of ours is not made."""
    if env_id not in _ENVIRONMENTS:
        make(env_id)


def register(env_id: str, target: str | Callable[..., Any]) -> None:
    """Adds an environment that `make` can construct.

    Args:
        env_id: a new id.
        target: a class or function returning an `Environment`, or "module:attribute" of one; the
            module is imported when the environment is first made.

    Raises:
        ValueError: the id is empty or taken, or a string lacks the colon.
        TypeError: `target` is neither a string nor callable.
    """
    _check_new(env_id, _ENVIRONMENTS)
    if not isinstance(target, str) and not callable(target):
        raise TypeError(f"target must be a callable or 'module:attribute', got {target!r}")
    _ENVIRONMENTS[env_id] = Entry(_checked(target))


def algorithms() -> tuple[str, ...]:
    """Returns the names that `algorithm` knows; imports nothing."""
    return tuple(_ALGORITHMS)


def algorithm(name: str) -> "AlgorithmSpec":
    """Returns the specification of the algorithm `name`.

    Raises `UnknownIdError` for an unknown name; the message names the nearest ones.
    """
    target = _lookup("algorithm", name, _ALGORITHMS)
    return load(target) if isinstance(target, str) else target


def preset(name: str, env_id: str) -> "tuple[AlgorithmSpec, Preset]":
    """The specification of the algorithm `name` and its preset for `env_id`.

    Raises:
        UnknownIdError: no such algorithm or environment; names the nearest ones.
        ValueError: `env_id` is somebody's "module:attribute", which `make` cannot make.
    """
    spec = algorithm(name)
    check_environment(env_id)
    return spec, spec.preset(env_id)


def register_algorithm(name: str, target: "str | AlgorithmSpec") -> None:
    """Adds an algorithm: an `AlgorithmSpec`, or "module:attribute" of one.

    Raises `ValueError` if the name is empty or taken, or if a string lacks the colon.
    """
    _check_new(name, _ALGORITHMS)
    _ALGORITHMS[name] = _checked(target)


def nearest(name: str, candidates: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """Returns up to `count` of `candidates` that `name` may have meant, best first.

    Case is ignored. A candidate one of whose parts (between "-", "/", "_" or spaces) or whose
    beginning is `name` comes before those that are merely spelled alike.
    """
    wanted = name.casefold()
    by_key = {candidate.casefold(): candidate for candidate in candidates}
    if not wanted:
        return ()
    parts = [key for key in by_key if wanted in re.split(r"[-/_ ]", key)]
    beginnings = [key for key in by_key if key.startswith(wanted)]
    # A part of a candidate may be misspelled: "brekout" is near "breakout", not "breakout-minatar".
    scores = {
        key: max(
            difflib.SequenceMatcher(None, wanted, text).ratio()
            for text in (key, *re.split(r"[-/ ]", key))
        )
        for key in by_key
    }
    alike = sorted((key for key in by_key if scores[key] >= 0.65), key=lambda key: -scores[key])
    ordered = dict.fromkeys([*parts, *beginnings, *alike])
    return tuple(by_key[key] for key in ordered)[:count]


def load(target: str) -> Any:
    """Imports "module:attribute" and returns the attribute."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def module(name: str) -> Any:
    """Imports a module of this package that only the command line needs."""
    return importlib.import_module(name)


def _factory(env_id: str) -> Callable[..., Any]:
    # Anybody's class by its place: "package.module:Class".
    elsewhere = env_id not in _ENVIRONMENTS and all(env_id.partition(":"))
    entry = Entry(env_id, _FOREIGN) if elsewhere else _lookup("environment", env_id, _ENVIRONMENTS)
    if entry.adapter is not None:
        return load(entry.adapter)(env_id, entry.target)
    return load(entry.target) if isinstance(entry.target, str) else entry.target


def _construct(env_id: str, overrides: dict[str, Any]) -> "tuple[Environment, set[str]]":
    """Returns the environment, given those overrides that only its constructor knows.

    The set has the constructor's keywords. A name that is also a field of the params goes there.
    """
    from jaxrl.environment import Environment

    build = _factory(env_id)
    keywords = _keywords(build)
    chosen = {name: value for name, value in overrides.items() if name in keywords}
    env = build(**chosen)
    if not isinstance(env, Environment):
        raise TypeError(f"{env_id} made a {type(env).__name__}, which is not a gymnax Environment")
    fields = {field.name for field in dataclasses.fields(env.default_params)}
    if fields & chosen.keys():
        env = build(**{name: value for name, value in chosen.items() if name not in fields})
    return env, keywords


def _keywords(build: Callable[..., Any]) -> set[str]:
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = inspect.signature(build).parameters.values()
    return {parameter.name for parameter in parameters if parameter.kind in named}


def _lookup(kind: str, name: str, table: dict[str, Any]) -> Any:
    if name in table:
        return table[name]
    near = nearest(name, table)
    hint = f"did you mean {' or '.join(near)}?" if near else f"see jaxrl.registry.{kind}s()"
    raise UnknownIdError(f"unknown {kind} {name!r}; {hint}")


def _check_new(name: str, table: dict[str, Any]) -> None:
    if not name:
        raise ValueError("an id must not be empty")
    if name in table:
        raise ValueError(f"{name!r} is registered already")


def _checked(target: Any) -> Any:
    if isinstance(target, str) and not all(target.partition(":")):
        raise ValueError(f"expected 'module:attribute', got {target!r}")
    return target


def _cast(name: str, value: Any, default: Any) -> Any:
    """Returns `value` with the dtypes of `default`; its leaves may have other shapes, for vmap."""
    import jax
    import jax.numpy as jnp

    def cast(leaf: Any, like: jax.Array) -> jax.Array:
        try:
            array = jnp.asarray(leaf)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name} is {like.dtype.name}, which {leaf!r} is not") from error
        converted = array.astype(like.dtype)
        if isinstance(converted, jax.core.Tracer):  # its value is not known yet
            fits = jnp.issubdtype(like.dtype, jnp.inexact) or not jnp.issubdtype(
                array.dtype, jnp.inexact
            )
        else:
            fits = bool(jnp.all(converted.astype(array.dtype) == array))
        if not fits:
            raise ValueError(f"{name} is {like.dtype.name}, which cannot hold {leaf!r}")
        return converted

    if dataclasses.is_dataclass(default) and type(value) is not type(default):
        fields = ", ".join(f"{name}.{field.name}" for field in dataclasses.fields(default))
        raise ValueError(f"{name} is a record of {fields}, which {value!r} is not")
    if jax.tree.structure(value) == jax.tree.structure(default):  # type: ignore[operator]
        return jax.tree.map(cast, value, default)
    if isinstance(default, dict | tuple):
        parts = ", ".join(f"{name}.{part}" for part in default) or "nothing"
        raise ValueError(f"{name} is a record of {parts}, which {value!r} is not")
    new = cast(value, default)
    if isinstance(value, tuple) and new.shape != default.shape:
        shape = list(default.shape)
        raise ValueError(f"{name} is {default.dtype.name} {shape}, which {value!r} is not")
    return new
