"""Games made for tests."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl.environment import Environment
from jaxrl.multi_agent import Game
from jaxrl.spaces import Box, Dict, Discrete, MultiDiscrete


@struct.dataclass
class PriceState:
    """What the leader asked for, and the time."""

    price: jax.Array
    time: jax.Array


@struct.dataclass
class PriceParams:
    """What a unit is worth to each of the followers, float32 [N]."""

    worth: Any = struct.field(default_factory=lambda: jnp.asarray([0.3, 0.9], jnp.float32))
    max_steps_in_episode: int = 2


class Pricing(Game):
    """A leader sets a price in step 0, and in step 1 each follower buys a unit or does not.

    Prices are 0, 1/K, ..., 1 - 1/K. A follower that buys gains what the unit is worth to it less
    the price, the leader the price. So followers best buy where their worth is above the price, and
    the leader's best is the price that maximises price x (followers of a higher worth); with worths
    0.3 and 0.9 and K = 5 that is 0.8, sold to one follower, and not 0.2, sold to both.

    Observation: {"followers": float32 [N, 3 + K], one-hot step, worth, price one-hot in step 1;
    "leader": float32 [2], one-hot step}. Action: {"followers": int32 [N], 1 buys; "leader": int32
    [], the price}. The other's turn in a step is ignored.
    """

    def __init__(self, followers: int = 2, prices: int = 5):
        super().__init__()
        self.followers = followers
        self.prices = prices

    @property
    def name(self) -> str:
        return "Pricing"

    @property
    def roles(self) -> dict[str, tuple[int, ...]]:
        return {"followers": (self.followers,), "leader": ()}

    @property
    def default_params(self) -> PriceParams:
        return PriceParams()

    def reset_env(self, key, params):
        state = PriceState(jnp.float32(0), jnp.int32(0))
        return self.observe(key, state, None, params), state

    def step_env(self, key, state, action, params):
        first = state.time == 0
        asked = action["leader"].astype(jnp.float32) / self.prices
        price = jnp.where(first, asked, state.price)
        buys = (action["followers"] == 1) & ~first
        gains = jnp.where(buys, params.worth - state.price, jnp.float32(0))
        paid = jnp.sum(buys.astype(jnp.float32)) * state.price
        state = PriceState(price, state.time + jnp.int32(1))
        obs = self.observe(key, state, action, params)
        reward = {"followers": gains, "leader": paid}
        return obs, state, reward, state.time >= 2, {}

    def observe(self, key, state, action, params):
        clock = jax.nn.one_hot(jnp.minimum(state.time, 1), 2, dtype=jnp.float32)
        index = jnp.round(state.price * self.prices).astype(jnp.int32)
        shown = jax.nn.one_hot(index, self.prices, dtype=jnp.float32)
        common = jnp.concatenate([clock, jnp.where(state.time > 0, shown, jnp.float32(0))])
        everybody = jnp.broadcast_to(common, (self.followers, common.shape[0]))
        worth = jnp.asarray(params.worth, jnp.float32)[:, None]
        return {"followers": jnp.concatenate([everybody, worth], axis=1), "leader": clock}

    def is_truncated(self, state, params):
        return state.time >= params.max_steps_in_episode

    def role_observation_space(self, role, params=None):
        size = 3 + self.prices if role == "followers" else 2
        return Box(0.0, 1.0, (size,), jnp.float32)

    def role_action_space(self, role, params=None):
        return Discrete(2 if role == "followers" else self.prices)


class Alone(Game):
    """An environment for a single agent as a game with one role of one."""

    def __init__(self, env: Environment, shape: tuple[int, ...] = ()):
        super().__init__()
        self.env = env
        self.shape = shape

    @property
    def name(self) -> str:
        return f"Alone-{self.env.name}"

    @property
    def roles(self) -> dict[str, tuple[int, ...]]:
        return {"agents": self.shape}

    @property
    def default_params(self):
        return self.env.default_params

    def _as_role(self, tree):
        return {"agents": jax.tree.map(lambda x: x.reshape((*self.shape, *x.shape)), tree)}

    def reset_env(self, key, params):
        obs, state = self.env.reset_env(key, params)
        return self._as_role(obs), state

    def step_env(self, key, state, action, params):
        mine = action["agents"].reshape(action["agents"].shape[len(self.shape) :])
        obs, state, reward, terminated, info = self.env.step_env(key, state, mine, params)
        return self._as_role(obs), state, self._as_role(reward), terminated, info

    def is_truncated(self, state, params):
        return self.env.is_truncated(state, params)

    def role_observation_space(self, role, params=None):
        return self.env.observation_space(params)

    def role_action_space(self, role, params=None):
        return self.env.action_space(params)


@struct.dataclass
class TallyState:
    """`time` of the episode; `ended` episodes of this environment so far; `length` of this one."""

    time: jax.Array
    ended: jax.Array
    length: jax.Array


@struct.dataclass
class TallyParams:
    """Episode k of an environment lasts `first + k` steps, at most `max_steps_in_episode`."""

    first: int = 2
    max_steps_in_episode: int = 5


class _Counting:
    """Counts over the episodes of an environment: `reset_env` begins at 0."""

    @property
    def name(self):
        return type(self).__name__

    @property
    def default_params(self):
        return TallyParams()

    def reset_env(self, key, params):
        return self._begin(jnp.int32(0), params)

    def next_episode(self, key, state, params):
        return self._begin(state.ended + jnp.int32(1), params)

    def _begin(self, ended, params):
        state = TallyState(jnp.int32(0), ended, jnp.asarray(params.first, jnp.int32) + ended)
        return self._show(state), state

    def step_env(self, key, state, action, params):
        state = state.replace(time=state.time + jnp.int32(1))
        ends = state.time >= state.length
        return self._show(state), state, self._pay(state), ends, {}

    def is_truncated(self, state, params):
        return state.time >= params.max_steps_in_episode


class Tally(_Counting, Environment):
    """For one agent. Observation float32 [2]: (time, ended episodes). Reward 1."""

    def _show(self, state):
        return jnp.stack([state.time, state.ended]).astype(jnp.float32)

    def _pay(self, state):
        return jnp.float32(1)

    def observation_space(self, params=None):
        return Box(0.0, 1e6, (2,), jnp.float32)

    def action_space(self, params=None):
        return Discrete(2)


class TallyGame(_Counting, Game):
    """The same for two workers, paid 1 and 2 a step, and a clerk, who is paid the time."""

    @property
    def roles(self):
        return {"workers": (2,), "clerk": ()}

    def _show(self, state):
        seen = jnp.stack([state.time, state.ended]).astype(jnp.float32)
        return {"workers": {"seen": jnp.stack([seen, seen])}, "clerk": {"seen": seen}}

    def _pay(self, state):
        return {
            "workers": jnp.asarray([1.0, 2.0], jnp.float32),
            "clerk": state.time.astype(jnp.float32),
        }

    def role_observation_space(self, role, params=None):
        return Dict({"seen": Box(0.0, 1e6, (2,), jnp.float32)})

    def role_action_space(self, role, params=None):
        return Discrete(2) if role == "workers" else MultiDiscrete((2, 3))
