"""The environment contract: gymnax 1.0's base class, and the dtype rules jaxrl adds to it.

Every environment that `jaxrl.make` returns is a `gymnax.environments.environment.Environment`:

    reset_env(key, params) -> (obs, state)
    step_env(key, state, action, params) -> (obs, state, reward, terminated, info)
    is_truncated(state, params) -> bool []
    observation_space(params), action_space(params), default_params, name

- The functions are pure and unbatched; callers `jax.vmap` them. `key` is a typed key.
- `step_env` is the rules alone: no auto-reset, no time limit. `obs` belongs to the state it
  returns, also when that state has ended.
- `reward` is float32 [], `terminated` bool []: the task itself ended. The time limit is
  `is_truncated`; where both hold `terminated` wins (`jaxrl.vector.VecEnv` reports
  `truncated & ~terminated`).
- Every leaf of `obs` and `state` has one strong dtype, the same from `reset_env` and `step_env`,
  so a state can be carried by `jax.lax.scan`; the dtypes of `obs` are those of its space.
- `State` and `Params` are `flax.struct` dataclasses. `Params` has `max_steps_in_episode`, and
  every leaf of it may be swept, randomised or mapped over.
- An environment whose parameters have limits has `check_params(params)`, a `ValueError` that names
  the parameter; `jaxrl.make` asks it about parameters that were given.
- An environment that measures more of an episode than its return has `episode_metrics(info)`: a
  dict of float32 [] from the `info` of the episode's last step. It may also have
  `episode_summary(means)`, what follows from the means over episodes, `episode_warnings(means)`,
  and `episode_references()`, what others reached (`jaxrl.episodes`).
- An environment may have `next_episode(key, state, params)`, which begins an episode from the state
  in which the one before it ended, so that counters can persist (`jaxrl.multi_agent`).
- An environment may have `share(states)`: states of N environments side by side, leaves [N, ...],
  after they have learned from one another; training asks it before each rollout. It changes nothing
  that is observed.
- A mask of legal actions is the key "action_mask" of a `Dict` observation, bool [n] for
  `Discrete(n)` and bool [K, max n] for `MultiDiscrete`. For policies whose further choices are
  conditional on the first (`conditional_head`) it may be bool [O, K - 1, max n of the others]
  instead: what is legal after each of the O first choices.

Source of the base class: gymnax 1.0 (Lange 2022), https://github.com/RobertTLange/gymnax.
"""

from gymnax.environments.environment import Environment, EnvParams, EnvState

from jaxrl.dtypes import strong, strong_like

__all__ = ["EnvParams", "EnvState", "Environment", "strong", "strong_like"]
