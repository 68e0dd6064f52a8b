"""ARCLE: change a grid, operation by operation, into the answer of an ARC task.

Observation: a `Dict` of what the option `observe` names, see `observations`; by default the state
    of the package `arcle`: the task's input, the grid that is worked on, the selection, the
    clipboard and the lifted object, int8 on a canvas [N, N] padded with 0.
Action: an operation and a selection of cells, encoded as the option `action` says, see `encodings`.
Reward: see `rewards`; by default 1 for the submission of the right answer.
Termination: the right answer is submitted, or no trial is left. Truncation: 200 steps.

    `ARCLE-O2ARC-v2`  35 operations: colours, flood fills, an object layer, a clipboard, ...
    `ARCLE-ARC-v0`    27 operations: without the object layer
    `ARCLE-Raw-v0`    12 operations: colours, the answer's size, Submit

Source: Lee et al. (2024), arXiv 2407.20806; the rules are those of the package `arcle` 0.2.6, with
its bugs (`preset="reference"`) or without them (see `rules.QUIRKS`).
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxrl.environment import Environment, EnvParams
from jaxrl.envs.arcle import encodings, observations
from jaxrl.envs.arcle import operations as operation_sets
from jaxrl.envs.arcle.masks import make_mask
from jaxrl.envs.arcle.operations import OperationSet
from jaxrl.envs.arcle.planes import WORD
from jaxrl.envs.arcle.protocols import Protocol, is_test, make_protocol, room
from jaxrl.envs.arcle.rewards import make_reward, right_share
from jaxrl.envs.arcle.rules import UNLIMITED, Rules, check_trials
from jaxrl.envs.arcle.rules import preset as rules_of
from jaxrl.envs.arcle.sources import Source, make_source
from jaxrl.envs.arcle.state import State, initial_state
from jaxrl.envs.arcle.step import apply
from jaxrl.envs.arcle.submit import solved
from jaxrl.envs.arcle.tasks import Tasks, TaskSet
from jaxrl.registry import nearest
from jaxrl.spaces import Box, Dict, Space


@struct.dataclass
class Params(EnvParams):
    """Parameters of ARCLE.

    Attributes:
        max_steps_in_episode: the time limit.
        demonstration_steps: steps after which the protocol "meta" leaves a demonstration.
        rules: trials, and which bugs of the reference are kept.
        tasks: `Tasks` [T, ...] of which each episode draws one, or the parameters of a generator.
    """

    max_steps_in_episode: int = 200
    demonstration_steps: int = 50
    rules: Any = None
    tasks: Any = None


class EnvState(struct.PyTreeNode):
    """An episode.

    Attributes:
        game: the pair that is worked on.
        task: int32 [], the number of the task; 0 where tasks are generated.
        pair: int32 [], the number of the pair within the task, see `protocols`.
        begun: int32 [], the step in which the pair was begun.
        time: int32 [], steps.
        ever_solved: bool [], whether the pair's grid was the answer at some step.
        generated: the task itself where tasks are generated or augmented, else ().
    """

    game: State
    task: jax.Array
    pair: jax.Array
    begun: jax.Array
    time: jax.Array
    ever_solved: jax.Array
    generated: Any


class ARCLE(Environment):
    """One set of operations on a canvas of N x N cells; a subclass says which."""

    id: str
    operation_set: OperationSet

    def __init__(
        self,
        dataset: str | TaskSet = "arc1-training",
        ids: Sequence[str] | str | None = None,
        max_size: int | None = None,
        augment: str = "",
        canvas: int = 30,
        protocol: str = "adaptation",
        preset: str = "fixed",
        max_trials: int | None = None,
        reset_on_submit: bool = False,
        operations: Sequence[str] | str | None = None,
        action: str = "box",
        reward: str = "sparse",
        observe: Sequence[str] | str | None = None,
        mask_actions: bool = False,
    ):
        """Tasks, a canvas and what is done on it. All of it is static.

        Args:
            dataset: the name of a data set or of a generator or a path (see `sources`), or a
                `TaskSet`.
            ids: only these tasks of the data set; a string may name several, with commas.
            max_size: only tasks without a longer side than this.
            augment: "colors" or "all": tasks are augmented anew for each episode, see `sources`.
            canvas: N, 1 to 32; the smaller the faster, as is 5, 10 or 20 where it is enough.
            protocol: "adaptation", "test" or "meta", see `protocols`.
            preset: "fixed" or "reference", see `rules`.
            max_trials: submissions, -1 for any number; by default what the protocol says.
            reset_on_submit: whether a wrong submission makes the grid the input again.
            operations: those that can be chosen, in this order (a string: with commas); by
                default all of the set.
            action: "box", "point", "flat" or "mask", see `encodings`.
            reward: "sparse", "mismatch" or "progress", see `rewards`.
            observe: names of what is observed (a string: with commas), see `observations`.
            mask_actions: whether observations have an `action_mask`, see `masks`.

        Raises:
            ValueError: in one line, what of it is unknown or does not fit the canvas.
        """
        super().__init__()
        _check_flags(reset_on_submit=reset_on_submit, mask_actions=mask_actions)
        self.canvas = _checked_canvas(canvas)
        self.protocol: Protocol = make_protocol(protocol)
        self.reward = make_reward(reward)
        self.operations = _numbers(self.operation_set, _names("operations", operations))
        self.encoding = encodings.make_encoding(action, self.canvas, self.operations)
        trials = self.protocol.trials if max_trials is None else max_trials
        self._rules: Rules = rules_of(preset, trials, reset_on_submit)
        self.source: Source = make_source(
            dataset, _names("ids", ids), max_size, self.canvas, augment
        )
        self.observed = observations.chosen(
            _names("observe", observe), self.operation_set, hidden=self.protocol.hidden
        )
        self._mask = make_mask(self.encoding, self.operations, self.operation_set)
        self.mask_actions = mask_actions

    @property
    def name(self) -> str:
        """The id under which the environment is registered."""
        return self.id

    @property
    def num_actions(self) -> int:
        """The number of operations."""
        return len(self.operations)

    @property
    def default_params(self) -> Params:
        """The rules and the tasks of the constructor, and 200 steps.

        With the protocol "meta" as many more as its demonstrations may take.
        """
        params = Params(rules=self._rules, tasks=self.source.params)
        if self.protocol.following is None:
            return params
        demos = room(self.source.example(params.tasks))[0]
        more = demos * params.demonstration_steps
        result: Params = params.replace(max_steps_in_episode=params.max_steps_in_episode + more)
        return result

    def check_params(self, params: Params) -> None:
        """Raises ValueError, naming the field, for params that mean nothing.

        Leaves may have leading axes, of a batch; params with a tracer among them are let through.
        """
        if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(params)):
            return
        for name in ("max_steps_in_episode", "demonstration_steps"):
            if np.any(np.asarray(getattr(params, name)) < 1):
                raise ValueError(f"{name} must be at least 1, got {getattr(params, name)}")
        check_trials(params.rules.max_trials)
        self.source.check(params.tasks)

    def reset_env(self, key: jax.Array, params: Params) -> tuple[Any, EnvState]:
        """A task and the first of its pairs: the first observation and the state."""
        key_task, key_pair, key_observe = jax.random.split(key, 3)
        number, task = self.source.draw(key_task, params.tasks)
        state = self._start(number, task, self.protocol.first(key_pair, task), params)
        return self.observe(key_observe, state, None, params), state

    def begin(self, params: Params, task: jax.Array, pair: jax.Array) -> tuple[Any, EnvState]:
        """A certain pair of a certain task of the data set, by numbers int32 [], see `protocols`.

        Returns what `reset_env` does.
        """
        state = self._start(task, self.source.get(params.tasks, task), pair, params)
        return self.observe(jax.random.key(0), state, None, params), state

    def _start(self, number: jax.Array, task: Tasks, pair: jax.Array, params: Params) -> EnvState:
        return EnvState(
            game=_begun(self.protocol, task, pair, params.rules),
            task=number,
            pair=pair,
            begun=jnp.int32(0),
            time=jnp.int32(0),
            ever_solved=jnp.asarray(False),
            generated=task if self.source.generates else (),
        )

    def step_env(
        self, key: jax.Array, state: EnvState, action: Any, params: Params
    ) -> tuple[Any, EnvState, jax.Array, jax.Array, dict[str, jax.Array]]:
        """One operation.

        `info`: `solved` bool [], whether the pair's grid was the answer at some step; `correct`
        bool [], whether it was submitted in this step; `right_share` float32 [], see `rewards`;
        `submits` int32 []; `task`, `pair` int32 [], the numbers; `test` bool [], whether the pair
        is a test; `discount` float32 [], 0 if the episode terminated. All of the pair that the
        action was taken on, also where "meta" goes on to the next.
        """
        operation, selection = self.encoding.decode(action)
        game, paid, ended = apply(
            state.game, operation, selection, params.rules, self.operation_set
        )
        reward = self.reward(state.game, game, paid)
        ever_solved = state.ever_solved | solved(game)
        after = state.replace(game=game, time=state.time + 1, ever_solved=ever_solved)
        after, goes_on = self._moved_on(key, after, ended, params)
        terminated = ended & ~goes_on
        info = {
            "solved": ever_solved,
            "correct": paid > 0,
            "right_share": right_share(game),
            "submits": game.submit_count,
            "task": state.task,
            "pair": state.pair,
            "test": is_test(state.pair, self._task(state, params)),
            "discount": jnp.where(terminated, jnp.float32(0), jnp.float32(1)),
        }
        return self.observe(key, after, action, params), after, reward, terminated, info

    def episode_metrics(self, info: dict[str, jax.Array]) -> dict[str, jax.Array]:
        """Of the episode's last pair, in percent: solved, submitted rightly, cells that are right.

        And whether that was a test, which with the protocol "meta" may not have been reached.
        `info` is that of the episode's last step.
        """
        names = ("solved", "correct", "test")
        metrics = {name: info[name].astype(jnp.float32) for name in names}
        return {
            name: jnp.float32(100) * x
            for name, x in (metrics | {"right_share": info["right_share"]}).items()
        }

    def observe(self, key: jax.Array, state: EnvState, action: Any, params: Params) -> Any:
        """The observation of a state."""
        task = self._task(state, params)
        obs = observations.observe(state.game, task, state.pair, self.observed)
        if self.mask_actions:
            obs["action_mask"] = self._mask(state.game, params.rules)
        return obs

    def is_truncated(self, state: EnvState, params: Params) -> jax.Array:
        """Whether the time limit is reached."""
        return state.time >= params.max_steps_in_episode

    def action_space(self, params: Params | None = None) -> Space:
        """As of `encodings`."""
        return self.encoding.space

    def observation_space(self, params: Params | None = None) -> Dict:
        """A `Dict`, see `observations`."""
        tasks = self.source.params if params is None else params.tasks
        demos = room(self.source.example(tasks))[0]
        spaces = observations.spaces(self.observed, self.canvas, demos)
        if self.mask_actions:
            spaces["action_mask"] = Box(0, 1, self.encoding.mask_shape, jnp.bool_)
        return Dict(spaces)

    def _task(self, state: EnvState, params: Params) -> Tasks:
        """The task of a state."""
        task = (
            state.generated if self.source.generates else self.source.get(params.tasks, state.task)
        )
        assert isinstance(task, Tasks)
        return task

    def _moved_on(
        self, key: jax.Array, state: EnvState, ended: jax.Array, params: Params
    ) -> tuple[EnvState, jax.Array]:
        """The state with its next pair where one follows, and whether one does."""
        if self.protocol.following is None:
            return state, jnp.asarray(False)
        task = self._task(state, params)
        pair, more = self.protocol.following(key, state.pair, task)
        late = state.time - state.begun >= params.demonstration_steps
        goes_on = more & (ended | late)
        following = state.replace(
            game=_begun(self.protocol, task, pair, params.rules),
            pair=pair,
            begun=state.time,
            ever_solved=jnp.zeros_like(state.ever_solved),
        )
        result: EnvState = jax.tree.map(
            lambda new, old: jnp.where(goes_on, new, old), following, state
        )
        return result, goes_on


class O2ARC(ARCLE):
    """`ARCLE-O2ARC-v2`: 35 operations."""

    id, operation_set = "ARCLE-O2ARC-v2", operation_sets.O2ARC


class ARC(ARCLE):
    """`ARCLE-ARC-v0`: 27 operations, without the object layer."""

    id, operation_set = "ARCLE-ARC-v0", operation_sets.ARC


class Raw(ARCLE):
    """`ARCLE-Raw-v0`: 12 operations, the colours, the answer's size and Submit."""

    id, operation_set = "ARCLE-Raw-v0", operation_sets.RAW


def _begun(protocol: Protocol, task: Tasks, pair: jax.Array, rules: Rules) -> State:
    """The start of a pair; a demonstration before a test may be submitted any number of times."""
    demos = room(task)[0]
    inside = pair < demos

    def pick(field: str) -> jax.Array:
        of_demos, of_tests = (getattr(pairs, field) for pairs in (task.demos, task.tests))
        shown = of_demos[jnp.minimum(pair, demos - 1)]
        return jnp.where(inside, shown, of_tests[jnp.maximum(pair - demos, 0)])

    if protocol.following is not None:
        unlimited = jnp.full_like(rules.max_trials, UNLIMITED)
        rules = rules.replace(max_trials=jnp.where(inside, unlimited, rules.max_trials))
    return initial_state(
        pick("input"), pick("input_dim"), pick("output"), pick("output_dim"), rules
    )


def _names(option: str, value: Sequence[str] | str | None) -> tuple[str, ...] | None:
    """Names from a list or from words with commas between them; `ValueError` for anything else."""
    if value is None:
        return None
    words = value.split(",") if isinstance(value, str) else value
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
        raise ValueError(
            f"{option} must be names, got {value!r}; on a command line quote what looks like a"
            f" number: {option}='\"40853293\"'"
        )
    return tuple(word.strip() for word in words)


def _numbers(known: OperationSet, names: tuple[str, ...] | None) -> tuple[int, ...]:
    """The package's numbers of operations; `ValueError` for none, unknown or repeated ones."""
    if names is None:
        return tuple(range(len(known.names)))
    if not names:
        raise ValueError("operations: at least one must be chosen")
    for name in names:
        if name not in known.names:
            near = nearest(str(name), known.names) or known.names
            raise ValueError(f"unknown operation {name!r}; nearest: {', '.join(near)}")
    if len(set(names)) < len(names):
        raise ValueError(f"operations: one comes twice in {', '.join(names)}")
    return tuple(known.number(name) for name in names)


def _check_flags(**flags: Any) -> None:
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be true or false, got {value!r}")


def _checked_canvas(canvas: Any) -> int:
    if isinstance(canvas, bool) or not isinstance(canvas, int) or not 1 <= canvas <= WORD:
        raise ValueError(f"canvas must be a whole number from 1 to {WORD}, got {canvas!r}")
    return canvas
