"""Plays episodes in the package `arcle` 0.2.6 and compares every state with this one's rules."""

import copy
import functools
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.arcle import planes
from jaxrl.envs.arcle.operations import OperationSet, operation_set
from jaxrl.envs.arcle.rules import Rules, reference
from jaxrl.envs.arcle.state import initial_state, view
from jaxrl.envs.arcle.step import apply

SETS = {"o2arc": "O2ARCv2Env", "arc": "ARCEnv", "raw": "RawARCEnv"}


@dataclass
class Task:
    """A pair of grids, int8 [rows, columns], and where it is from."""

    input: np.ndarray
    answer: np.ndarray
    source: str = ""


@dataclass
class Episode:
    """What was played.

    Attributes:
        task, max_trials, reset_on_submit, side: how the episode was set up.
        operations: int32 [T].
        masks: bool [T, N, N].
        states: the reference's state after each step, each array with a leading axis T.
        rewards: float32 [T].
        terminated: bool [T].
        submit_counts: int32 [T].
        raised: the name of the exception that the reference's next step raised, or "".
    """

    task: Task
    max_trials: int
    reset_on_submit: bool
    side: int
    operations: np.ndarray
    masks: np.ndarray
    states: dict[str, Any] = field(default_factory=dict)
    rewards: np.ndarray = field(default_factory=lambda: np.zeros(0))
    terminated: np.ndarray = field(default_factory=lambda: np.zeros(0))
    submit_counts: np.ndarray = field(default_factory=lambda: np.zeros(0))
    raised: str = ""

    @property
    def length(self) -> int:
        """Steps that the reference made."""
        return len(self.rewards)


def package() -> Any:
    """The package `arcle`, which needs pygame; its greeting is silenced."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import arcle.envs
        import arcle.loaders
    return arcle


def corpora() -> dict[str, list[Task]]:
    """All pairs, demonstrations and tests, of the data that the package carries, by data set."""
    loaders = package().loaders
    made = {
        "ARC training": loaders.ARCLoader(train=True),
        "ARC evaluation": loaders.ARCLoader(train=False),
        "Mini-ARC": loaders.MiniARCLoader(),
    }
    found: dict[str, list[Task]] = {}
    for name, loader in made.items():
        found[name] = []
        for demo_in, demo_out, test_in, test_out, info in loader.data:
            pairs = zip([*demo_in, *test_in], [*demo_out, *test_out], strict=True)
            found[name] += [Task(a, b, f"{name} {info['id']}") for a, b in pairs]
    return found


def environment(operations: str, task: Task, max_trials: int, side: int) -> Any:
    """An environment of the package that knows one task.

    The package's ARCEnv cannot be constructed, as its list of operations has 8 empty places after
    Submit. The one returned has the list without them.
    """
    arcle = package()

    class One(arcle.loaders.Loader):
        def get_path(self, **_: Any) -> list[str]:
            return [""]

        def parse(self, **_: Any) -> list[Any]:
            return [([task.input], [task.answer], [task.input], [task.answer], {})]

    made = getattr(arcle.envs, SETS[operations])
    if operations == "arc":

        class Complete(made):
            def create_operations(self) -> list[Any]:
                return [operation for operation in super().create_operations() if operation]

        made = Complete
    return made(data_loader=One(), max_grid_size=(side, side), max_trial=max_trials)


@contextmanager
def _quiet() -> Any:
    """No warnings of int8 overflow, and a stack that is deep enough for a FloodFill."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        with np.errstate(over="ignore"):
            yield
    finally:
        sys.setrecursionlimit(limit)


def play(
    operations: str,
    task: Task,
    numbers: np.ndarray,
    masks: np.ndarray,
    max_trials: int = -1,
    reset_on_submit: bool = False,
) -> Episode:
    """Plays given actions in the package, beyond its end, up to the first exception."""
    side = masks.shape[-1]
    env = environment(operations, task, max_trials, side)
    env.reset(options={"prob_index": 0, "subprob_index": 0, "reset_on_submit": reset_on_submit})
    episode = Episode(task, max_trials, reset_on_submit, side, numbers, masks)
    states, rewards, terminated, submits = [], [], [], []
    with _quiet():
        for number, mask in zip(numbers, masks, strict=True):
            action = {"operation": int(number), "selection": mask.astype(np.int8)}
            try:
                state, reward, ended, _, _ = env.step(action)
            except OverflowError as error:
                episode.raised = type(error).__name__
                break
            states.append(copy.deepcopy(state))
            rewards.append(reward)
            terminated.append(ended)
            submits.append(env.submit_count)
    if states:
        episode.states = jax.tree.map(lambda *leaves: np.stack(leaves), *states)
    episode.rewards = np.asarray(rewards, np.float32)
    episode.terminated = np.asarray(terminated, bool)
    episode.submit_counts = np.asarray(submits, np.int32)
    return episode


def padded(grid: np.ndarray, side: int) -> np.ndarray:
    """The grid in the upper left corner of a canvas of 0."""
    canvas = np.zeros((side, side), np.int8)
    canvas[: grid.shape[0], : grid.shape[1]] = grid
    return canvas


@functools.partial(jax.jit, static_argnums=0)
def _replay(operations: OperationSet, rules: Rules, *arrays: jax.Array) -> Any:
    """Views, rewards, ends and counts [B, T, ...] of episodes whose arrays have a leading B."""

    def one(rules: Rules, *arrays: jax.Array) -> Any:
        start, dim, answer, answer_dim, numbers, masks = arrays

        def step(state: Any, action: Any) -> Any:
            number, mask = action
            state, reward, ended = apply(state, number, planes.pack_mask(mask), rules, operations)
            return state, (view(state, operations), reward, ended, state.submit_count)

        state = initial_state(start, dim, answer, answer_dim, rules)
        return jax.lax.scan(step, state, (numbers, masks))[1]

    return jax.vmap(one)(rules, *arrays)


def replay(operations: str, episodes: list[Episode]) -> Any:
    """What this project's rules make of the actions: views, rewards, ends and counts [B, T, ...].

    The episodes have the same number of actions and canvases of the same size.
    """
    side = episodes[0].side
    rules = [reference()] * len(episodes)
    rules = [
        rule.replace(
            max_trials=jnp.int32(episode.max_trials),
            reset_on_submit=jnp.bool_(episode.reset_on_submit),
        )
        for rule, episode in zip(rules, episodes, strict=True)
    ]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *rules)
    tasks = [episode.task for episode in episodes]
    result = _replay(
        operation_set(operations),
        stacked,
        np.stack([padded(task.input, side) for task in tasks]),
        np.asarray([task.input.shape for task in tasks], np.int8),
        np.stack([padded(task.answer, side) for task in tasks]),
        np.asarray([task.answer.shape for task in tasks], np.int8),
        np.stack([episode.operations for episode in episodes]).astype(np.int32),
        np.stack([episode.masks for episode in episodes]),
    )
    return jax.tree.map(np.asarray, result)


def compare(operations: str, episodes: list[Episode]) -> list[tuple[int, int, list[str]]]:
    """Mismatches: number of the episode, its first step that differs, and what differs there."""
    views, rewards, ends, counts = replay(operations, episodes)
    found = []
    for index, episode in enumerate(episodes):
        n = episode.length
        if not n:
            continue
        ours = flat(jax.tree.map(lambda leaf, i=index, n=n: leaf[i, :n], views))
        ours |= {
            "reward": rewards[index, :n],
            "terminated (returned)": ends[index, :n],
            "submit_count": counts[index, :n],
        }
        theirs = flat(episode.states) | {
            "reward": episode.rewards,
            "terminated (returned)": episode.terminated,
            "submit_count": episode.submit_counts,
        }
        assert ours.keys() == theirs.keys()
        first, names = n, []
        for name, expected in theirs.items():
            got = ours[name]
            assert got.shape == expected.shape, (name, got.shape, expected.shape)
            assert got.dtype == expected.dtype, (name, got.dtype, expected.dtype)
            differs = (got != expected).reshape(n, -1).any(axis=1)
            if differs.any():
                step = int(differs.argmax())
                if step < first:
                    first, names = step, [name]
                elif step == first:
                    names.append(name)
        if names:
            found.append((index, first, names))
    return found


def flat(states: dict[str, Any]) -> dict[str, np.ndarray]:
    """The package's nested dictionary with the object's entries beside the others."""
    states = dict(states)
    return states | states.pop("object_states", {})
