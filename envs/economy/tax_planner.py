"""The planner's problem of the one-step economy: rates for agents that respond rationally.

One step: the planner sets the rates, every agent works the hours that are best for it, and the
income is taxed and shared. This is `one_step.OneStepEconomy` with `response.best_response` as the
agents' policy, so a learned schedule can be compared with the best there is. Nothing else acts at
random and nothing is unknown, so the best is the same in every episode.

By default skills reach 20 and labour costs 0.0005 l^3.5, so that four agents earn from 38 to 451
coin without taxes and all brackets but the last matter; with the package's numbers, the defaults of
`OneStepEconomy`, nobody would work more than two hours.

Observation: {"observation": float32 [P], as `one_step.planner_features` names; "action_mask":
    bool [B, R + 1]}.
Action: int32 [B], 0 to keep a bracket's rate, k to set it to the k-th of `rate_choices`.
Reward: social welfare, float32 []: the sum of the planner's rewards in both steps.
Termination: after the step.

Source: Zheng et al. (2021), arXiv 2108.02755.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxrl.environment import Environment
from jaxrl.envs.economy.one_step import OneStepEconomy, Params, State
from jaxrl.envs.economy.response import best_response
from jaxrl.spaces import Dict, MultiDiscrete


class TaxPlanner(Environment):
    """A planner of an economy whose agents have the utility C - c l^d."""

    def __init__(
        self,
        agents: int = 4,
        cutoffs: Sequence[float] | None = None,
        rate_min: float = 0.0,
        rate_max: float = 1.0,
        rate_step: float = 0.05,
        welfare: str = "inv_income_weighted_utility",
        gini: str = "package",
        max_multiplier: float = 20.0,
        pareto: float = 4.0,
        skill_seed: int = 0,
    ):
        """An economy of `agents`; all arguments and errors as of `OneStepEconomy`."""
        super().__init__()
        self.economy = OneStepEconomy(
            agents=agents,
            cutoffs=cutoffs,
            rate_min=rate_min,
            rate_max=rate_max,
            rate_step=rate_step,
            welfare=welfare,
            gini=gini,
            max_multiplier=max_multiplier,
            pareto=pareto,
            skill_seed=skill_seed,
        )

    @property
    def name(self) -> str:
        """`OneStepEconomy-Planner-v1`."""
        return "OneStepEconomy-Planner-v1"

    @property
    def num_actions(self) -> int:
        """B, the number of brackets."""
        return self.economy.brackets

    @property
    def default_params(self) -> Params:
        """Skills as of `OneStepEconomy`, costs as of the module, and a limit of one step."""
        return self.economy.default_params.replace(
            labor_exponent=3.5, labor_cost=0.0005, max_steps_in_episode=1
        )

    def check_params(self, params: Params) -> None:
        """As of `OneStepEconomy`."""
        self.economy.check_params(params)

    def reset_env(self, key: jax.Array, params: Params) -> tuple[Any, State]:
        """Before anybody acts."""
        obs, state = self.economy.reset_env(key, params)
        return obs["planner"], state

    def step_env(
        self, key: jax.Array, state: State, action: jax.Array, params: Params
    ) -> tuple[Any, State, jax.Array, jax.Array, dict[str, jax.Array]]:
        """Rates, work and taxes; `info` is that of `OneStepEconomy`, and `discount`."""
        before = self.economy.utilities(state, params)[1]
        after = self.outcome(state, action, params)
        welfare = self.economy.utilities(after, params)[1]
        info = self.economy.measures(after, params)
        # Of the economy's two steps this is one.
        after = after.replace(time=state.time + jnp.int32(1))
        terminated = jnp.asarray(True)
        obs = self.observe(key, after, action, params)
        return obs, after, welfare - before, terminated, {**info, "discount": jnp.float32(0)}

    def outcome(self, state: State, choices: jax.Array, params: Params) -> State:
        """The economy after both steps.

        Args:
            state: of the beginning of an episode.
            choices: int [B], as the action.
            params: the parameters.
        """
        economy = self.economy
        state = state.replace(time=jnp.zeros_like(state.time))
        nobody = jnp.zeros(economy.agents, jnp.int32)
        state = economy.transition(state, nobody, choices, params)
        respond = jax.vmap(best_response, in_axes=(0, None, None, None, None, None))
        hours = respond(
            params.skills,
            jnp.asarray(economy.cutoffs, jnp.float32),
            state.rates,
            economy.agents,
            params.labor_exponent,
            params.labor_cost,
        )
        return economy.transition(state, hours, jnp.zeros_like(choices), params)

    def observe(self, key: jax.Array, state: State, action: Any, params: Params) -> Any:
        """What the planner sees, and which rates it may set."""
        return self.economy.observe(key, state, action, params)["planner"]

    def episode_metrics(self, info: dict[str, jax.Array]) -> dict[str, jax.Array]:
        """As of `OneStepEconomy`."""
        return {name: value for name, value in info.items() if name != "discount"}

    def is_truncated(self, state: State, params: Params) -> jax.Array:
        """Whether the time limit is reached."""
        return state.time >= params.max_steps_in_episode

    def action_space(self, params: Params | None = None) -> MultiDiscrete:
        """A choice for each bracket."""
        return self.economy.role_action_space("planner", params)

    def observation_space(self, params: Params | None = None) -> Dict:
        """See the module."""
        return self.economy.role_observation_space("planner", params)
