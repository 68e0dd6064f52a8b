"""Replays episodes of the package in our Gather-Trade-Build, draw by draw, and compares them.

Both round, and some rules hinge on it: whether 2.9999999999999996 coin pay a bid of 3, in which
bracket an income of -1e-16 lies, or whether a mean reward of 1e-16 is positive. So that they are
decided alike, in float64 coin that is the package's but for rounding is set to the package's after
every step, once it has been compared (in float32, that would be rounding too); and steps with a
positive mean reward are counted as in the package where that mean is nothing but rounding.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.environment import strong
from jaxrl.envs.economy.components.auction import ContinuousDoubleAuction
from jaxrl.envs.economy.components.bracket_tax import PeriodicBracketTax
from jaxrl.envs.economy.components.build import Build
from jaxrl.envs.economy.components.gather import Gather
from jaxrl.envs.economy.components.redistribution import WealthRedistribution
from jaxrl.envs.economy.economy import Economy
from jaxrl.envs.economy.features import gather_features
from jaxrl.envs.economy.gather_trade_build import GatherTradeBuild
from jaxrl.envs.economy.layouts import parse
from jaxrl.envs.economy.tax import linear_cutoffs, log_cutoffs
from jaxrl.envs.economy.uniform import UniformMaps
from jaxrl.envs.economy.world import fixed_world, random_world
from tests.envs.economy.gather_trade_build_cases import CASES

KEY = jax.random.key(0)
_SYSTEMS = {
    "model_wrapper": "learned",
    "us-federal-single-filer-2018-scaled": "us-federal",
    "fixed-bracket-rates": "fixed",
    "saez": "saez",
}
_MAPS = {
    "starting_wood_coverage": "wood_coverage",
    "starting_stone_coverage": "stone_coverage",
    "wood_clumpiness": "wood_clumpiness",
    "stone_clumpiness": "stone_clumpiness",
    "gradient_steepness": "gradient_steepness",
    "checker_source_blocks": "checkered",
}


def make(name, length, dtype=jnp.float32):
    """Our environment of a case of `gather_trade_build_cases`, and its parameters."""
    case = CASES[name]
    simultaneous = case.get("multi_action_mode_agents", False)
    static, numbers = zip(*(_component(*pair) for pair in case["components"]), strict=True)
    method = case.get("energy_warmup_method", "decay")
    options = {
        "components": static,
        "agents": case["n_agents"],
        "reach": case.get("mobile_agent_observation_range", 5),
        "full_observability": case.get("full_observability", False),
        "planner_maps": case["planner_gets_spatial_info"],
        "simultaneous": simultaneous,
        "welfare": case.get("planner_reward_type", "coin_eq_times_productivity"),
        "annealing": "positive_steps" if method == "auto" else "episodes",
        "dtype": dtype,
    }
    if case.get("fixed_four_skill_and_loc"):
        multiplier = dict(case["components"])["Build"]["payment_max_skill_multiplier"]
        env = GatherTradeBuild(
            layout=case["layout"], start="corners", max_multiplier=multiplier, **options
        )
    else:
        reach = tuple(case.get(f"{c}_regen_halfwidth", 0) for c in ("stone", "wood"))
        env = Economy(world=_world(case), regrowth_reach=reach, **options)
    params = env.default_params
    rules = {
        component.name: params.rules[component.name].replace(**own) if own else ()
        for component, own in zip(env.components, numbers, strict=True)
    }
    everywhere = case.get("resource_regen_prob", 0.01)
    regrowth = [case.get(f"{name}_regen_weight", everywhere) for name in ("stone", "wood")]
    params = params.replace(
        rules=rules,
        eta=case.get("isoelastic_eta", 0.23),
        labor_cost=case.get("energy_cost", 0.21),
        labor_annealing=float(case.get("energy_warmup_constant", 0)),
        equality_weight=1 - case.get("mixing_weight_gini_vs_coin", 0.0),
        starting_coin=float(case.get("starting_agent_coin", 0)),
        regrowth=jnp.asarray(regrowth, dtype),
        max_units=jnp.asarray([case.get(f"{c}_max_health", 1) for c in ("stone", "wood")]),
        max_steps_in_episode=length,
    )
    env.check_params(params)
    return env, _typed(params, dtype)


def _typed(params, dtype):
    """Numbers as arrays, those that are not whole in `dtype`."""

    def array(leaf):
        leaf = jnp.asarray(leaf)
        return leaf.astype(dtype if jnp.issubdtype(leaf.dtype, jnp.floating) else jnp.int32)

    return strong(jax.tree.map(array, params))


def _world(case):
    if "layout" in case:
        return fixed_world(parse(case["layout"]))
    return random_world(maps_of(case))


def maps_of(case):
    """Our random maps by the package's options."""
    options = {ours: case[theirs] for theirs, ours in _MAPS.items() if theirs in case}
    return UniformMaps(tuple(case["world_size"]), **options)


def _component(name, options):
    """A component, and its parameters that are not the defaults."""
    skills = options.get("skill_dist", "none")
    if name == "Build":
        numbers = {
            "labor": options.get("build_labor", 10.0),
            "max_multiplier": float(options.get("payment_max_skill_multiplier", 1)),
        }
        return Build(payment=float(options.get("payment", 10)), skills=skills), numbers
    if name == "Gather":
        labor = {key: options.get(key, 1.0) for key in ("move_labor", "collect_labor")}
        return Gather(skills=skills), labor
    if name == "ContinuousDoubleAuction":
        lifetime = options.get("order_duration", 50)
        market = ContinuousDoubleAuction(
            max_bid=options.get("max_bid_ask", 10),
            max_orders=options.get("max_num_orders", lifetime),
        )
        return market, {"order_labor": options.get("order_labor", 0.25), "lifetime": lifetime}
    if name == "WealthRedistribution":
        return WealthRedistribution(), {}
    assert name == "PeriodicBracketTax"
    return _taxes(options)


def _taxes(options):
    spacing, cutoffs = options.get("bracket_spacing", "us-federal"), ()
    if spacing != "us-federal":
        made = {"linear": linear_cutoffs, "log": log_cutoffs}[spacing]
        cutoffs = made(options["n_brackets"], options["top_bracket_cutoff"])
    taxes = PeriodicBracketTax(
        system="none" if options.get("disable_taxes") else _SYSTEMS[options["tax_model"]],
        cutoffs=tuple(np.asarray(cutoffs).tolist()),
        fixed_rates=tuple(options.get("fixed_bracket_rates", ())),
        rate_min=options.get("rate_min", 0.0),
        rate_max=options.get("rate_max", 1.0),
        rate_step=options.get("rate_disc", 0.05),
        weights=options.get("pareto_weight_type", "inverse_income"),
        elasticity=options.get("saez_fixed_elas"),
    )
    numbers = {"period": options["period"]}
    if "tax_annealing_schedule" in options:
        warmup, slope = options["tax_annealing_schedule"]
        numbers |= {"annealing_warmup": float(warmup), "annealing_slope": float(slope)}
    return taxes, numbers


class Replay:
    """Plays recorded episodes of a case in our environment; compiled once."""

    def __init__(self, name, length, dtype=jnp.float32, jit=jax.jit):
        self.env, self.params = make(name, length, dtype)
        self.dtype = dtype
        # What is rounding: of coin, and of a mean reward, which is a difference of utilities.
        self.rounding, self.noise = (1e-9, 1e-9) if dtype == jnp.float64 else (0.0, 1e-3)
        self._first = jit(lambda start, samples: self._begin(None, start, samples))
        self._next = jit(self._begin)
        self._run = jit(self._episode)

    def __call__(self, record, before=None, samples=None):
        """Replays an episode.

        Args:
            record: as of `record_gather_trade_build.play`.
            before: our state at the end of the episode before, if there was one.
            samples: incomes and rates, [2, K], that Saez's formula knows before the first.

        Returns:
            Our state at the end, what we observed by the names of the record [T + 1, ...], and at
            how many steps it made a difference that both were made to round alike: of coin, and of
            the sign of a mean reward.
        """
        start = {key: jnp.asarray(self._typed(record[key][0])) for key in _START}
        if before is None:
            pairs = None if samples is None else jnp.asarray(samples, self.dtype)
            state, first = self._first(start, pairs)
        else:
            state, first = self._next(before, start)
        noise = np.abs(np.mean(record["rewards/agents"], axis=1)[1:]) < self.noise
        steps = {key: self._typed(record[key]) for key in record if key.startswith("draws/")}
        steps |= {key: np.int32(record[key]) for key in ("action/agents", "action/planner")}
        steps |= {key: record[key][1:].astype(self.dtype) for key in _ROUNDED}
        steps |= {"noise": noise, "positive": np.int32(record["state/positive_steps"][1:])}
        state, (moments, rounded) = self._run(state, jax.tree.map(jnp.asarray, steps))
        moments = jax.tree.map(lambda a, b: np.concatenate([a[None], b]), first, moments)
        return state, self._named(moments), tuple(int(times.sum()) for times in rounded)

    def _typed(self, values):
        values = np.asarray(values)
        whole = np.issubdtype(values.dtype, np.integer) or values.dtype == bool
        return values if whole else values.astype(self.dtype)

    def _begin(self, before, start, samples=None):
        env, params = self.env, self.params
        if before is None:
            _, state = env.reset_env(KEY, params)
        else:
            _, state = env.next_episode(KEY, before, params)
        own = dict(state.own)
        own["Build"] = own["Build"].replace(
            payment=start["build/payment"].astype(self.dtype),
            skill=start["build/skill"].astype(self.dtype),
        )
        own["Gather"] = own["Gather"].replace(
            bonus_probability=start["gather/bonus_probability"].astype(self.dtype)
        )
        if samples is not None:
            own["PeriodicBracketTax"] = self._with_samples(own["PeriodicBracketTax"], samples)
        state = state.replace(
            resources=start["state/resources"].astype(jnp.int8),
            sources=start["state/sources"].astype(jnp.bool_),
            location=start["state/location"].astype(jnp.int32),
            own=own,
        )
        return state, self._moment(state, None)

    def _with_samples(self, taxes, samples):
        incomes, rates = samples[:1], samples[1:]
        count = jnp.full(1, incomes.shape[1], jnp.int32)
        return taxes.replace(saez=taxes.saez.replace(incomes=incomes, rates=rates, count=count))

    def _episode(self, state, steps):
        def step(state, step):
            drawn = {
                "Build": {"order": step["draws/build"].astype(jnp.int32)},
                "Gather": {
                    "order": step["draws/gather"].astype(jnp.int32),
                    "bonus": step["draws/bonus"].astype(self.dtype),
                },
                "PeriodicBracketTax": {"rates": step["draws/rates"].astype(self.dtype)[None]},
            }
            draws = {component.name: drawn.get(component.name, ()) for component in self.components}
            draws["regrowth"] = step["draws/regrowth"].astype(self.dtype)
            action = {"agents": step["action/agents"], "planner": step["action/planner"]}
            reached, reward, _ = self.env.transition(state, draws, action, self.params)
            state, rounded = self._rounded_alike(reached, step)
            # What is compared is coin before it was changed.
            reached = reached.replace(positive_steps=state.positive_steps)
            return state, ({**self._moment(state, reward), "state": reached}, rounded)

        return jax.lax.scan(step, state, steps)

    def _rounded_alike(self, state, step):
        """The state as the package rounds it, and whether coin and the count of steps changed."""

        def alike(ours, theirs):
            return jnp.where(jnp.abs(ours - theirs) <= self.rounding, theirs, ours)

        taxes = state.own["PeriodicBracketTax"]
        taxes = taxes.replace(
            last_coin=alike(taxes.last_coin, step["tax/last_coin"]),
            last_income=alike(taxes.last_income, step["tax/last_income"]),
        )
        coin = alike(state.coin, step["state/coin"])
        positive = jnp.where(step["noise"], step["positive"], state.positive_steps)
        changed = (jnp.any(coin != state.coin), positive != state.positive_steps)
        own = {**state.own, "PeriodicBracketTax": taxes}
        return state.replace(coin=coin, positive_steps=positive, own=own), changed

    @property
    def components(self):
        return self.env.components

    def _moment(self, state, reward):
        """What is compared, but for the book's order, in the form of the environment."""
        features = gather_features(self.env, state, self.params)
        if reward is None:
            nothing = jnp.zeros(self.env.agents, jnp.float32)
            reward = {"agents": nothing, "planner": jnp.float32(0)}
        if not self.env.planners:
            reward = {"agents": reward["agents"]}
        return {
            "state": state,
            "obs": self.env.observe(KEY, state, None, self.params),
            "reward": reward,
            "planner": features.planner.values[0].astype(jnp.float32),
            "by_agent": features.by_agent.values.astype(jnp.float32),
        }

    def _named(self, moments):
        """By the names of the record."""
        state, obs = moments["state"], moments["obs"]
        own = state.own
        taxes, book = own["PeriodicBracketTax"], own["ContinuousDoubleAuction"].book
        fields = ("time", "resources", "sources", "house", "location", "coin", "coin_escrow")
        fields += ("units", "units_escrow", "labor", "utility", "welfare", "positive_steps")
        ours = {f"state/{name}": getattr(state, name) for name in fields}
        # The package counts an episode as it ends, ours as the next one begins.
        ended = np.asarray(state.time == self.params.max_steps_in_episode)
        ours["state/completions"] = np.asarray(state.completions) + ended
        rates = taxes.rates[:, 0]
        system = next(c.system for c in self.components if isinstance(c, PeriodicBracketTax))
        if system != "learned":
            rates = np.minimum(rates, taxes.limit[:, None])
        ours |= {
            "build/payment": own["Build"].payment,
            "build/skill": own["Build"].skill,
            "gather/bonus_probability": own["Gather"].bonus_probability,
            "market/bids": _sorted_orders(book.bid_price, book.bid_age),
            "market/asks": _sorted_orders(book.ask_price, book.ask_age),
            "market/price_history": own["ContinuousDoubleAuction"].price_history,
            "tax/position": taxes.position,
            "tax/rates": rates,
            "tax/last_coin": taxes.last_coin,
            "tax/last_income": taxes.last_income,
            "tax/last_rate": taxes.last_rate,
            "rewards/agents": moments["reward"]["agents"],
            "obs/planner/flat": moments["planner"],
            "obs/planner/by_agent": moments["by_agent"],
        }
        if system == "saez":
            ours |= {
                "tax/elasticity": taxes.saez.elasticity[:, 0],
                "tax/average_rates": taxes.saez.average_rates[:, 0],
                "tax/samples": taxes.saez.count[:, 0],
            }
        agents = obs["agents"]
        ours |= {f"obs/agents/{name}": agents[name] for name in ("map", "idx_map", "flat")}
        ours["obs/agents/action_mask"] = self._flat_mask(agents["action_mask"])
        if self.env.planners:
            planner = obs["planner"]
            ours["rewards/planner"] = moments["reward"]["planner"]
            mask = planner["action_mask"]
            ours["obs/planner/action_mask"] = mask.reshape(len(mask), -1)
            ours |= {f"obs/planner/{k}": planner[k] for k in ("map", "idx_map") if k in planner}
            # Not only the features themselves, but what planners are given.
            np.testing.assert_array_equal(planner["flat"], moments["planner"])
            np.testing.assert_array_equal(planner["by_agent"], moments["by_agent"])
        return {key: np.asarray(value) for key, value in ours.items()}

    def _flat_mask(self, mask):
        """Masks of subspaces, [T, N, S, L], side by side as in the package."""
        if not self.env.simultaneous:
            return mask
        sizes = self.env.role_action_space("agents").nvec
        return np.concatenate([mask[:, :, i, :size] for i, size in enumerate(sizes)], axis=-1)


_START = (
    "build/payment",
    "build/skill",
    "gather/bonus_probability",
    "state/resources",
    "state/sources",
    "state/location",
)
_ROUNDED = ("state/coin", "tax/last_coin", "tax/last_income")
# What the record has, and ours does not: counted or said otherwise.
_UNCOMPARED = {"tax/elasticity", "tax/average_rates", "tax/samples"}
_UNCOMPARED |= {"obs/planner/action_mask", "rewards/planner", "obs/planner/map"}
_UNCOMPARED |= {"obs/planner/idx_map"}


def _sorted_orders(price, age):
    """Open orders [T, C, N, K, 2] in the order of the record, -1 where none is."""
    price, age = np.asarray(price), np.asarray(age)
    age = np.where(price < 0, -1, age)
    rank = np.where(price < 0, np.iinfo(np.int32).max, price * 1000 + age)
    order = np.argsort(rank, axis=-1, kind="stable")
    return np.stack([np.take_along_axis(x, order, axis=-1) for x in (price, age)], axis=-1)


def compared(record, ours):
    """Names of what is compared.

    Raises:
        KeyError: something is recorded that ours should have and does not.
    """
    states = [key for key in record if key.split("/")[0] not in ("action", "draws", "tally")]
    missing = [key for key in states if key not in ours and key not in _UNCOMPARED]
    if missing:
        raise KeyError(f"{', '.join(missing)}: recorded, but not ours")
    return [key for key in states if key in ours]


def differences(record, ours, rtol, atol):
    """Where ours is not the record: {name: first moment}.

    Whole numbers must be equal; others within rtol of the value, or atol; what we have in float32
    within 1e-6 of the value at best.
    """
    found = {}
    for key in compared(record, ours):
        theirs, mine = np.asarray(record[key]), ours[key]
        if key == "tax/rates":
            # The package moves a limit to rates at the end of a reset, after what is observed of
            # it; ours does in the first step. Before that step it has no effect.
            theirs, mine = theirs[1:], mine[1:]
        if mine.shape != theirs.shape:
            found[key] = f"shape {mine.shape}, not {theirs.shape}"
            continue
        if np.issubdtype(mine.dtype, np.floating):
            within = max(rtol, 1e-6) if mine.dtype == np.float32 else rtol
            equal = np.isclose(mine.astype(float), theirs.astype(float), within, atol)
        else:
            equal = mine == theirs
        wrong = np.flatnonzero(~equal.reshape(len(equal), -1).all(axis=1))
        if len(wrong):
            found[key] = int(wrong[0])
    return found


def without_rounded_incomes(record, ours, env):
    """A record in which the rate on an income of -1e-16 is what ours is on one of 0.

    An agent that offers coin and gets it back may have lost the last digit of a float64. To the
    package that is a loss, on which the marginal rate is 0. In float32 there is no telling; the
    study in float64 compares these rates too.
    """
    record = dict(record)
    earned = record["state/coin"] + record["state/coin_escrow"] - record["tax/last_coin"]
    tax = "PeriodicBracketTax-"
    columns = (
        ("obs/agents/flat", env.agent_features.index(f"{tax}marginal_rate"), earned),
        ("obs/planner/by_agent", env.by_agent_features.index(f"{tax}curr_marginal_rate"), earned),
        (
            "obs/planner/by_agent",
            env.by_agent_features.index(f"{tax}last_marginal_rate"),
            record["tax/last_income"],
        ),
        ("tax/last_rate", None, record["tax/last_income"]),
    )
    for key, column, income in columns:
        place = (Ellipsis,) if column is None else (Ellipsis, column)
        values = record[key].astype(np.float32)
        nothing = (np.abs(income) < 1e-5) & (values[place] == 0)
        values[place] = np.where(nothing, ours[key][place], values[place])
        record[key] = values
    return record
