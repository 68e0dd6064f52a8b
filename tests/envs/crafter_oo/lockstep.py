"""Plays episodes in the reference, then again in `transition` with the recorded draws.

The reference's side is recorded first, many episodes at once are then played in one compiled
program, and every field of the state is compared after every step. Objects are compared by id:
where the holes between slots are is no matter of the rules.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo import rules as rule_sets
from jaxrl.envs.crafter_oo.draws import BalanceDraws, ObjectDraws, TapeDraws
from jaxrl.envs.crafter_oo.reference import snapshot
from jaxrl.envs.crafter_oo.state import WorldState
from jaxrl.envs.crafter_oo.tape import UNDRAWN, Recorder, StepTape, no_rendering
from jaxrl.envs.crafter_oo.transition import is_dead, reward, transition

CAPACITY = 160
DRAWERS = 64  # at most so many objects draw in a step
PARTS = ("time", "materials", "player", "objects", "next_id", "chunk_order", "overflow")

Policy = Callable[[Any, np.random.RandomState], Iterator[int]]


class Episode(NamedTuple):
    """What happened in the reference: `states` has the start and the state after each step."""

    states: list[WorldState]
    actions: list[int]
    tapes: list[StepTape]
    rewards: list[float]


class Step(NamedTuple):
    """One step's draws by id, and what must come out. Leading axes: steps, episodes."""

    active: Any
    action: Any
    collect: Any
    ids: Any
    drawn: ObjectDraws
    balanced: BalanceDraws
    expected: WorldState
    reward: Any


def random_policy(env: Any, rng: np.random.RandomState) -> Iterator[int]:
    """Any action."""
    while True:
        yield int(rng.randint(len(c.ACTIONS)))


def new_world(seed: int, area: tuple[int, int] = (64, 64)) -> Any:
    """A `crafter.Env` at the start of its first episode, not rendering; copy it to play it."""
    import crafter

    env = crafter.Env(area=area, seed=seed)
    no_rendering(env)
    env.reset()
    return env


def play(env: Any, policy: Policy, seed: int, max_steps: int) -> Episode:
    """Plays the reference from where it is until the player dies, or for `max_steps`."""
    env._world.random.seed(seed)
    recorder, actions = Recorder(env), policy(env, np.random.RandomState(seed))
    episode = Episode([snapshot(env, CAPACITY)], [], [], [])
    done = False
    while not done and len(episode.actions) < max_steps:
        action = next(actions)
        tape, paid, done = recorder.step(action)
        episode.actions.append(action)
        episode.tapes.append(tape)
        episode.rewards.append(paid)
        episode.states.append(snapshot(env, CAPACITY))
    return episode


def compare(episodes: list[Episode], segment: int = 50) -> list[tuple[int, int, str]]:
    """Plays the episodes in `transition`, and returns all first mismatches.

    Args:
        episodes: of worlds of one size.
        segment: static, steps played in one call of the compiled program.

    Returns:
        For each episode in which something differed: its index, the first step after which it did
        (from 1) and what differed, names joined by commas.
    """
    state = jax.tree.map(lambda *x: jnp.asarray(np.stack(x)), *(e.states[0] for e in episodes))
    length = max(len(episode.actions) for episode in episodes)
    found: dict[int, tuple[int, int, str]] = {}
    for start in range(0, length, segment):
        steps = [[_step(e, start + t) for e in episodes] for t in range(segment)]
        inputs = _stack([_stack(row) for row in steps])
        state, wrong = _play_segment(state, inputs)
        for t, index, _ in zip(*np.nonzero(wrong), strict=True):
            names = [
                n for n, w in zip((*PARTS, "reward", "dead"), wrong[t, index], strict=True) if w
            ]
            found.setdefault(int(index), (int(index), int(start + t + 1), ",".join(names)))
    return [found[index] for index in sorted(found)]


def _stack(trees: list[Any]) -> Any:
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


def _step(episode: Episode, t: int) -> Step:
    """Step `t` of an episode; beyond its end the last one, inactive."""
    active = t < len(episode.actions)
    t = min(t, len(episode.actions) - 1)
    tape, expected = episode.tapes[t], episode.states[t + 1]
    if len(tape.objects) > DRAWERS:
        raise ValueError(f"{len(tape.objects)} objects draw in one step, more than {DRAWERS}")
    ids = np.zeros(DRAWERS, np.int32)
    ids[: len(tape.objects)] = sorted(tape.objects)
    draws = tape.draws(ids, expected.chunk_order.size)
    return Step(
        active=np.bool_(active),
        action=np.int32(episode.actions[t]),
        collect=draws.collected,
        ids=ids,
        drawn=draws.by_slot,
        balanced=draws.balanced,
        expected=expected,
        reward=np.float32(episode.rewards[t]),
    )


@partial(jax.jit, donate_argnums=0)
def _play_segment(state: WorldState, steps: Step) -> tuple[WorldState, jax.Array]:
    """Plays [T, B] steps: the states after them, and what differed, bool [T, B, 9]."""
    rules = rule_sets.crafter()

    def one(state: WorldState, step: Step) -> tuple[WorldState, jax.Array]:
        draws = TapeDraws(step.collect, _by_slot(state.objects.id, step), step.balanced)
        after = transition(draws, state, step.action, rules)
        wrong = [_differs(getattr(_sorted(after), p), getattr(step.expected, p)) for p in PARTS]
        # A tenth and a sum in float32 against the reference's float64.
        wrong.append(jnp.abs(reward(state, after, rules) - step.reward) > 1e-6)
        wrong.append(is_dead(after) != (step.expected.player.health <= 0))
        after = jax.tree.map(lambda new, old: jnp.where(step.active, new, old), after, state)
        return after, jnp.stack(wrong) & step.active

    return jax.lax.scan(jax.vmap(one), state, steps)


def _by_slot(ids: jax.Array, step: Step) -> ObjectDraws:
    """The recorded draws of each slot's object, [N]."""
    same = (ids[:, None] == step.ids[None, :]) & (ids[:, None] > 0)
    place, drew = jnp.argmax(same, axis=1), jnp.any(same, axis=1)

    def fill(name: str, values: jax.Array) -> jax.Array:
        missing = values.dtype.type(0 if name == "direction" else UNDRAWN)
        return jnp.where(drew, values[place], missing)

    return ObjectDraws(*map(fill, ObjectDraws._fields, step.drawn))


def _sorted(state: WorldState) -> WorldState:
    """The state with its objects in the first slots, as `snapshot` has them."""
    empty = state.objects.kind == 0
    order = jnp.argsort(empty, stable=True)
    return state.replace(objects=jax.tree.map(lambda field: field[order], state.objects))


def _differs(a: Any, b: Any) -> jax.Array:
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return jnp.any(jnp.stack([jnp.any(x != y) for x, y in pairs]))
