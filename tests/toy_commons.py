"""A game for tests: workers and a boss, with masks, and both ways of ending."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl.multi_agent import Game
from jaxrl.spaces import Box, Dict, Discrete, MultiDiscrete


@struct.dataclass
class CommonsState:
    """`stock` int32 [] is left; `taken` int32 [N] by each; `time` counts steps.

    `episodes` counts those before this one, and so outlives an episode.
    """

    stock: jax.Array
    taken: jax.Array
    time: jax.Array
    episodes: jax.Array


@struct.dataclass
class CommonsParams:
    """Stocks begin at `least` to `most`; episodes are truncated after so many steps."""

    least: int = 6
    most: int = 12
    max_steps_in_episode: int = 5


class Commons(Game):
    """N workers take from a stock that does not grow back, and a boss takes its share of it.

    Observation: {"workers": {"observation": float32 [N, 2], stock and what one has taken;
        "action_mask": bool [N, 4], no more than the stock},
        "boss": {"flat": float32 [1], the stock; "map": int8 [1, N], what each has taken;
        "action_mask": bool [2, 3], of which the last of the second row is closed at time 0}}.
    Action: {"workers": int32 [N], units; "boss": int32 [2], units that each worker pays, and a
        bonus that comes from nowhere}.
    Reward: {"workers": units less what is paid; "boss": what is paid, and the bonus}.
    Termination: the stock is used up; it may go below zero, and then is all the same.
    """

    def __init__(self, workers: int = 3):
        super().__init__()
        self.workers = workers

    @property
    def name(self) -> str:
        return "Commons-v0"

    @property
    def roles(self) -> dict[str, tuple[int, ...]]:
        return {"workers": (self.workers,), "boss": ()}

    @property
    def default_params(self) -> CommonsParams:
        return CommonsParams()

    def reset_env(self, key, params):
        stock = jax.random.randint(key, (), params.least, params.most + 1, jnp.int32)
        taken = jnp.zeros(self.workers, jnp.int32)
        state = CommonsState(stock, taken, jnp.int32(0), jnp.int32(0))
        return self.observe(key, state, None, params), state

    def next_episode(self, key, state, params):
        obs, fresh = self.reset_env(key, params)
        return obs, fresh.replace(episodes=state.episodes + 1)

    def step_env(self, key, state, action, params):
        units, (fee, bonus) = action["workers"], action["boss"]
        state = state.replace(
            stock=state.stock - jnp.sum(units, dtype=jnp.int32),
            taken=state.taken + units,
            time=state.time + 1,
        )
        reward = {
            "workers": (units - fee).astype(jnp.float32),
            "boss": (fee * self.workers + bonus).astype(jnp.float32),
        }
        info = {"taken": jnp.sum(state.taken, dtype=jnp.int32)}
        return self.observe(key, state, action, params), state, reward, state.stock <= 0, info

    def episode_metrics(self, info: dict[str, jax.Array]) -> dict[str, jax.Array]:
        return {"units": info["taken"].astype(jnp.float32)}

    def observe(self, key: Any, state: CommonsState, action: Any, params: Any) -> Any:
        stock = state.stock.astype(jnp.float32)
        own = jnp.stack([jnp.full(self.workers, stock), state.taken.astype(jnp.float32)], axis=1)
        enough = jnp.arange(4, dtype=jnp.int32) <= jnp.maximum(state.stock, 0)
        offered = jnp.asarray([[True, True, False], [True, True, True]])
        late = jnp.asarray([[False] * 3, [False, False, True]])
        return {
            "workers": {
                "observation": own,
                "action_mask": jnp.broadcast_to(enough, (self.workers, 4)),
            },
            "boss": {
                "flat": stock[None],
                "map": state.taken.astype(jnp.int8)[None],
                "action_mask": offered & ~(late & (state.time == 0)),
            },
        }

    def is_truncated(self, state, params):
        return state.time >= params.max_steps_in_episode

    def role_action_space(self, role, params=None):
        # The boss's first choice has two entries and its second three: a ragged mask.
        return Discrete(4) if role == "workers" else MultiDiscrete((2, 3))

    def role_observation_space(self, role, params=None):
        if role == "workers":
            return Dict(
                {
                    "observation": Box(-100.0, 100.0, (2,), jnp.float32),
                    "action_mask": Box(False, True, (4,), jnp.bool_),
                }
            )
        return Dict(
            {
                "flat": Box(-100.0, 100.0, (1,), jnp.float32),
                "map": Box(0, 100, (1, self.workers), jnp.int8),
                "action_mask": Box(False, True, (2, 3), jnp.bool_),
            }
        )


class OtherMasks(Commons):
    """Whose boss sees no mask, and whose workers one that depends on the first choice."""

    def observe(self, key, state, action, params):
        obs = super().observe(key, state, action, params)
        mask = jnp.broadcast_to(jnp.arange(3, dtype=jnp.int32) < 2, (self.workers, 2, 1, 3))
        obs["workers"] = {"a": obs["workers"]["observation"], "action_mask": mask}
        obs["boss"] = obs["boss"]["flat"]
        return obs

    def role_action_space(self, role, params=None):
        return MultiDiscrete((2, 3))

    def role_observation_space(self, role, params=None):
        vector = Box(-100.0, 100.0, (2 if role == "workers" else 1,), jnp.float32)
        mask = Box(False, True, (2, 1, 3), jnp.bool_)
        return Dict({"a": vector, "action_mask": mask}) if role == "workers" else vector
