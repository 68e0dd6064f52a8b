"""Records episodes of Gather-Trade-Build of the package `ai-economist` 1.7.1, with all draws.

    python tests/envs/economy/record_gather_trade_build.py reference \
        tests/envs/economy/recorded_gather_trade_build.npz

`reference` is the unpacked wheel, see `record_reference.py`. For each case of
`gather_trade_build_cases.py` a few short episodes, one after the other in one environment: actions,
draws, and the whole state, what is observed, masks and rewards after every step. Random maps too,
for their distribution.
"""

import contextlib
import os
import sys
import tempfile
from pathlib import Path
from unittest.mock import patch

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.envs.economy.gather_trade_build_cases import CASES, SAMPLE  # noqa: E402
from tests.envs.economy.record_reference import load, samples  # noqa: E402

COMMODITIES = ("Stone", "Wood")
EPISODES, LENGTH = 2, 32
MAPS = 300
MAP_OPTIONS = {
    "default": ((15, 15), {}),
    "checkered": ((14, 15), {"checker_source_blocks": True, "starting_wood_coverage": 0.05}),
    "other": (
        (15, 12),
        {
            "starting_wood_coverage": 20,
            "starting_stone_coverage": 0.05,
            "gradient_steepness": 2,
            "wood_clumpiness": 0.7,
            "stone_clumpiness": 0.2,
        },
    ),
}


def make(foundation, case, length):
    """The package's environment of a case."""
    case = dict(case)
    layout, filled = case.pop("layout", None), case.pop("samples", False)
    with contextlib.ExitStack() as stack:
        if layout is not None:
            folder = Path(sys.modules[foundation.__name__].__file__).parent
            folder = folder / "scenarios" / "simple_wood_and_stone" / "map_txt"
            file = stack.enter_context(tempfile.NamedTemporaryFile("w", suffix=".txt"))
            file.write(layout.replace("\n", ";"))
            file.flush()
            case["env_layout_file"] = os.path.relpath(file.name, folder)
        env = foundation.make_env_instance(
            episode_length=length, flatten_observations=True, flatten_masks=True, **case
        )
    if filled:
        pairs = np.stack(samples(np.random.default_rng(5)), axis=1)
        env.get_component("PeriodicBracketTax")._local_saez_buffer = pairs.tolist()
    return env


class Tape:
    """Draws of one step, given to the package where it asks NumPy for them."""

    def __init__(self, env, rng):
        agents, shape = env.n_agents, (len(COMMODITIES), *env.world_size)
        brackets = len(env.get_component("PeriodicBracketTax").bracket_cutoffs)
        single = np.float32  # so that all is exact in either precision
        self.env = env
        self.orders = {name: rng.permutation(agents) for name in ("Build", "Gather")}
        self.bonus = rng.random((len(COMMODITIES), agents), single).astype(float)
        self.regrowth = rng.random(shape, single).astype(float)
        self.rates = rng.random(brackets, single).astype(float)
        self.chance = np.zeros(shape)  # of regrowth
        # Where the package asked for a draw.
        self.bonus_asked = np.zeros(self.bonus.shape, bool)
        self.rates_asked = False

    def agents_in_order(self):
        """Instead of `World.get_random_order_agents`."""
        component = sys._getframe(1).f_locals["self"]
        return [self.env.world.agents[i] for i in self.orders[component.name]]

    def rand(self, *shape):
        """Instead of `numpy.random.rand`: of a bonus, or of regrowth."""
        caller = sys._getframe(1).f_locals
        commodity = COMMODITIES.index(caller["resource"])
        if not shape:
            place = (commodity, caller["agent"].idx)
            self.bonus_asked[place] = True
            return self.bonus[place]
        from scipy.signal import convolve2d

        self.chance[commodity] = convolve2d(caller["health"], caller["kernel"], "same")
        return self.regrowth[commodity]

    def uniform(self, low, high, size):
        """Instead of `numpy.random.uniform`: Saez's random rates."""
        assert size == self.rates.shape
        self.rates_asked = True
        return low + (high - low) * self.rates

    def step(self, actions):
        """A step of the package with these draws."""
        from ai_economist.foundation.components import move

        with (
            patch.object(self.env.world, "get_random_order_agents", self.agents_in_order),
            patch.object(move, "rand", self.rand),
            patch.object(np.random, "rand", self.rand),
            patch.object(np.random, "uniform", self.uniform),
        ):
            return self.env.step(actions)

    def recorded(self, brief):
        """The draws as arrays.

        If `brief`, ones that take less room and lead to the same: zeros where the package did not
        ask for any, and those of regrowth 1% on their side of what they are compared with.
        """
        if brief:
            grown = self.regrowth < self.chance
            self.regrowth = self.chance * np.where(grown, 0.99, 1.01)
            self.bonus, self.rates = self.bonus * self.bonus_asked, self.rates * self.rates_asked
        return {
            "draws/build": self.orders["Build"],
            "draws/gather": self.orders["Gather"],
            "draws/bonus": self.bonus,
            "draws/regrowth": self.regrowth,
            "draws/rates": self.rates,
        }


class Player:
    """Random actions by which much happens, mostly but not always under the masks."""

    def __init__(self, env, rng):
        self.env, self.rng = env, rng

    def actions(self, obs):
        """What everybody does next, by the package's indices."""
        people = self.env.world.agents
        chosen = {str(agent.idx): self._agent(agent, obs[str(agent.idx)]) for agent in people}
        return {**chosen, "p": self._planner(obs["p"]["action_mask"])}

    def _agent(self, agent, obs):
        mask = np.array(obs["action_mask"], bool)
        if agent.multi_action_mode:
            parts = np.split(mask, np.cumsum(agent.action_spaces)[:-1])
            return [
                self._choose(part, agent, name, idle=0.4)
                for part, name in zip(parts, agent._action_names, strict=True)
            ]
        if self.rng.random() < 0.14:  # anything, or to go anywhere, into water and houses too
            low = 0 if self.rng.random() < 0.5 else len(mask) - 4
            return int(self.rng.integers(low, len(mask)))
        if mask[1] and self.rng.random() < 0.5:  # to build
            return 1
        starts = np.append(1, 1 + np.cumsum([agent.action_dim[n] for n in agent._action_names]))
        names = dict(zip(agent._action_names, zip(starts, starts[1:], strict=False), strict=True))
        weights = np.array([3.0 if name == "Gather" else 1.0 for name in names])
        name = self.rng.choice(list(names), p=weights / weights.sum())
        low, high = names[name]
        choice = self._choose(np.append(True, mask[low:high]), agent, name, idle=0.05)
        return 0 if choice == 0 else int(low + choice - 1)

    def _choose(self, mask, agent, name, idle):
        """One of a subspace's choices; 0 is none."""
        if self.rng.random() < 0.07:
            return int(self.rng.integers(len(mask)))
        if self.rng.random() < idle:
            return 0
        allowed = np.flatnonzero(mask[1:]) + 1
        if not len(allowed):
            return 0
        if name == "Gather" and self.rng.random() < 0.7:
            return int(min(allowed, key=lambda move: self._distance(agent, move)))
        return int(self.rng.choice(allowed))

    def _distance(self, agent, move):
        """From where a move leads to the nearest unit."""
        maps = self.env.world.maps
        units = np.argwhere(maps.get("Stone") + maps.get("Wood") > 0)
        step = np.array([(0, -1), (0, 1), (-1, 0), (1, 0)])[move - 1]
        if not len(units):
            return self.rng.random()
        gaps = np.abs(units - (np.array(agent.loc) + step)).sum(axis=1)
        return gaps.min() + 0.5 * self.rng.random()

    def _planner(self, mask):
        spaces = self.env.world.planner.action_spaces
        parts = np.split(np.array(mask, bool), np.cumsum(spaces)[:-1])
        return [
            int(self.rng.integers(len(part)))
            if self.rng.random() < 0.1
            else int(self.rng.choice(np.flatnonzero(part)))
            for part in parts
        ]


def orders(market, agents, side):
    """Open orders, price and age by [C, N, K], the best and oldest first, -1 where none is."""
    who, price, age = (
        ("buyer", "bid", "bid_lifetime") if side == "bids" else ("seller", "ask", "ask_lifetime")
    )
    found = np.full((len(COMMODITIES), agents, market.max_num_orders, 2), -1)
    for index, commodity in enumerate(COMMODITIES):
        for agent in range(agents):
            open_orders = getattr(market, side)[commodity]
            mine = sorted((o[price], o[age]) for o in open_orders if o[who] == agent)
            if mine:
                found[index, agent, : len(mine)] = mine
    return found


def snapshot(env, obs, rewards):
    """One moment: the whole state, what is observed, and rewards, as arrays by name."""
    people, maps = env.world.agents, env.world.maps
    build, gather, market, tax = (
        env.get_component(name)
        for name in ("Build", "Gather", "ContinuousDoubleAuction", "PeriodicBracketTax")
    )
    del build, gather
    states = [agent.state for agent in people]

    def goods(place):
        return np.array([[state[place][name] for state in states] for name in COMMODITIES])

    metric = env.curr_optimization_metric
    record = {
        "state/time": env.world.timestep,
        "state/resources": np.stack([maps.get(name) for name in COMMODITIES]),
        "state/sources": np.stack([maps.get(f"{name}SourceBlock") for name in COMMODITIES]),
        "state/house": maps.get("House", owner=True),
        "state/location": np.array([state["loc"] for state in states]),
        "state/coin": np.array([state["inventory"]["Coin"] for state in states]),
        "state/coin_escrow": np.array([state["escrow"]["Coin"] for state in states]),
        "state/units": goods("inventory"),
        "state/units_escrow": goods("escrow"),
        "state/labor": np.array([state["endogenous"]["Labor"] for state in states]),
        "state/utility": np.array([metric[agent.idx] for agent in people]),
        "state/welfare": np.array([metric["p"]]),
        "state/completions": env._completions,
        "state/positive_steps": env._auto_warmup_integrator,
        "build/payment": np.array([state["build_payment"] for state in states]),
        "build/skill": np.array([state["build_skill"] for state in states]),
        "gather/bonus_probability": np.array([state["bonus_gather_prob"] for state in states]),
        "market/bids": orders(market, len(people), "bids"),
        "market/asks": orders(market, len(people), "asks"),
        "market/price_history": np.stack(
            [sum(market.price_history[name].values()) for name in COMMODITIES]
        ),
        "tax/position": tax.tax_cycle_pos,
        "tax/rates": np.array(tax.curr_marginal_rates),
        "tax/last_coin": np.array(tax.last_coin),
        "tax/last_income": np.array(tax.last_income),
        "tax/last_rate": np.array(tax.last_marginal_rate),
        "tax/elasticity": tax.elas_t,
        "tax/average_rates": np.array(tax.running_avg_tax_rates),
        "tax/samples": len(tax._local_saez_buffer),
        "rewards/agents": np.array([rewards.get(str(agent.idx), 0) for agent in people]),
        "rewards/planner": rewards.get("p", 0.0),
        "tally": tally(env, rewards),
    }
    everybody = [obs[str(agent.idx)] for agent in people]
    for name, key in (("map", "world-map"), ("idx_map", "world-idx_map")):
        record[f"obs/agents/{name}"] = np.stack([one[key] for one in everybody])
        if key in obs["p"]:
            record[f"obs/planner/{name}"] = np.array(obs["p"][key])
    for name in ("flat", "action_mask"):
        record[f"obs/agents/{name}"] = np.stack([np.array(one[name]) for one in everybody])
        record[f"obs/planner/{name}"] = np.array(obs["p"][name])
    record["obs/planner/by_agent"] = np.stack([obs["p"][f"p{a.idx}"] for a in people])
    return {key: np.array(value) for key, value in record.items()}


def tally(env, rewards):
    """How many units were gathered, houses built, trades made, and coin paid as tax, in a step."""
    if not rewards:
        return np.zeros(4)
    gathers, builds = (env.get_component(name) for name in ("Gather", "Build"))
    market, tax = (env.get_component(n) for n in ("ContinuousDoubleAuction", "PeriodicBracketTax"))
    day = tax.taxes[-1]
    paid = [day[str(agent.idx)]["tax_paid"] for agent in env.world.agents] if day else [0]
    gathered = sum(gather["n"] for gather in gathers.gathers[-1])
    return np.array(
        [gathered, len(builds.builds[-1]), len(market.executed_trades[-1]), np.sum(np.abs(paid))]
    )


def feature_names(env):
    """Names of the columns of each flat vector: one a column, with its index where several."""
    obs = env._generate_observations(flatten_observations=False, flatten_masks=True)
    shown = {"agents": obs["0"], "planner": obs["p"], "by_agent": obs["p"]["p0"]}
    names = {}
    for role, features in shown.items():
        names[role] = []
        for key in sorted(features):
            if (
                key == "action_mask"
                or isinstance(features[key], dict)
                or np.ndim(features[key]) > 1
            ):
                continue
            size = np.size(features[key])
            single = np.isscalar(features[key]) or size == 1
            names[role] += [key] if single else [f"{key}/{i}" for i in range(size)]
    return names


def play(env, rng, brief=False):
    """Plays an episode: a moment before each step and one after the last, as [T + 1, ...].

    What belongs to a step (actions, draws) has [T, ...]; `brief` as of `Tape.recorded`.
    """
    # Draws of a reset are the package's own; they are recorded by what they lead to.
    np.random.seed(int(rng.integers(2**31)))
    obs = env.reset()
    player, moments, steps = Player(env, rng), [snapshot(env, obs, {})], []
    for _ in range(env.episode_length):
        actions = player.actions(obs)
        tape = Tape(env, rng)
        obs, rewards, _, _ = tape.step(actions)
        moments.append(snapshot(env, obs, rewards))
        chosen = np.array([actions[str(agent.idx)] for agent in env.world.agents])
        done = {"action/agents": chosen, "action/planner": np.array(actions["p"])}
        steps.append({**done, **tape.recorded(brief)})
    stacked = {key: np.stack([moment[key] for moment in moments]) for key in moments[0]}
    return stacked | {key: np.stack([step[key] for step in steps]) for key in steps[0]}


def compact(values):
    """Values in the smallest type that holds them; what is not whole in float32."""
    values = np.asarray(values)
    if values.dtype == bool:
        return values
    if (values != np.round(values)).any():
        return values.astype(np.float32)
    kinds = (np.int8, np.int16, np.int32)
    return next(
        kept for kept in map(values.astype, kinds) if (kept.astype(values.dtype) == values).all()
    )


def record_maps(foundation, out):
    """Sources on random maps."""
    for name, (shape, options) in MAP_OPTIONS.items():
        env = foundation.make_env_instance(
            scenario_name="uniform/simple_wood_and_stone",
            components=[("Gather", {})],
            n_agents=2,
            world_size=list(shape),
            episode_length=1,
            **options,
        )
        found = []
        for _ in range(MAPS):
            env.reset_starting_layout()
            found.append([env.world.maps.get(f"{c}SourceBlock") > 0 for c in COMMODITIES])
        out[f"maps/{name}"] = np.packbits(np.array(found), axis=-1)


def main(folder, target):
    foundation = load(folder)
    np.random.seed(0)
    out = {}
    record_maps(foundation, out)
    for number, name in enumerate(SAMPLE):
        rng = np.random.default_rng(40 + number)
        env = make(foundation, CASES[name], LENGTH)
        episodes = [play(env, rng, brief=True) for _ in range(EPISODES)]
        for key in episodes[0]:
            out[f"{name}/{key}"] = compact(np.stack([episode[key] for episode in episodes]))
        for role, names in feature_names(env).items():
            out[f"{name}/features/{role}"] = np.array(names)
        happened = np.sum([episode["tally"].sum(axis=0) for episode in episodes], axis=0)
        print(name, dict(zip(("gathered", "built", "traded", "taxed"), happened, strict=True)))
    np.savez_compressed(target, **out)


if __name__ == "__main__":
    main(*sys.argv[1:])
