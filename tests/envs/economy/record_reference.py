"""Records what the package `ai-economist` 1.7.1 computes, for the tests beside this file.

Its pins fit no Python of today, so it is not installed: download the wheel without what it depends
on, unpack it, and give the folder.

    pip download ai-economist==1.7.1 --no-deps && unzip -d reference ai_economist-*.whl
    python tests/envs/economy/record_reference.py reference tests/envs/economy/recorded.npz

Numbers only, float64. What the recorded parts do not need (the COVID-19 scenario, compression of
logs) is replaced by empty modules, and `np.int` is brought back.
"""

import sys
from unittest.mock import MagicMock

import numpy as np

UNUSED = (
    *("lz4", "lz4.frame", "Crypto", "Crypto.PublicKey", "pandas", "GPUtil", "pycuda"),
    "ai_economist.foundation.scenarios.covid19",
    "ai_economist.foundation.scenarios.covid19.covid19_env",
    "ai_economist.foundation.components.covid19_components",
)
# Name -> agents, keywords of the scenario, keywords of labour and of taxes.
SCENARIOS = {
    "default": (4, {}, {}, {}),
    "skilled": (
        5,
        {"labor_exponent": 3.5, "labor_cost": 0.0005},
        {"payment_max_skill_multiplier": 950},
        {},
    ),
    "isoelastic": (
        4,
        {
            "agent_reward_type": "isoelastic_coin_minus_labor",
            "labor_cost": 0.1,
            "planner_reward_type": "coin_eq_times_productivity",
            "mixing_weight_gini_vs_coin": 0.3,
        },
        {"payment_max_skill_multiplier": 20},
        {"rate_max": 0.5},
    ),
    "many": (
        32,
        {"planner_reward_type": "coin_eq_times_productivity", "labor_cost": 0.01},
        {"payment_max_skill_multiplier": 50},
        {},
    ),
}
EPISODES = 4
LIFETIME = 6  # of orders, few so that many expire


def load(folder):
    """The package's `foundation`, imported from a folder."""
    sys.path.insert(0, folder)
    sys.modules.update({name: MagicMock() for name in UNUSED})
    np.int = int
    from ai_economist import foundation

    return foundation


def make(foundation, agents, scenario, labor, taxes):
    return foundation.make_env_instance(
        scenario_name="one-step-economy",
        components=[("SimpleLabor", labor), ("PeriodicBracketTax", {"period": 2, **taxes})],
        n_agents=agents,
        world_size=[1, 1],
        episode_length=2,
        multi_action_mode_agents=False,
        multi_action_mode_planner=True,
        flatten_observations=False,
        flatten_masks=True,
        **scenario,
    )


def samples(random):
    """Incomes and marginal rates that an elasticity can be told of, [500] each."""
    rates = random.choice(np.linspace(0, 1, 21), 500)
    incomes = random.pareto(1.5, 500) * 60 * np.maximum(1 - rates, 0.05) ** 0.6
    incomes[:20] = 0
    incomes[20:25] = -random.uniform(0, 30, 5)
    incomes[25:27] = 510.3
    return incomes, rates


def record_taxes(foundation, random, out):
    """Taxes, marginal rates and tax days for random incomes."""
    env = make(foundation, 4, {}, {}, {})
    env.reset()
    tax = env.get_component("PeriodicBracketTax")
    for case in range(4):
        tax.curr_rate_indices = list(random.integers(0, 21, 7))
        incomes = np.append(random.uniform(-20, 700, 60), tax.bracket_cutoffs)
        key = f"taxes/{case}/"
        out[key + "rates"] = np.array(tax.curr_marginal_rates)
        out[key + "incomes"] = incomes
        out[key + "due"] = np.array([tax.taxes_due(z) for z in incomes])
        out[key + "marginal"] = np.array([tax.marginal_rate(z) for z in incomes])

        tax.last_coin = list(random.uniform(0, 50, 4))
        inventory, escrow = random.uniform(0, 300, 4), random.uniform(0, 200, 4)
        for agent, coin, held in zip(env.world.agents, inventory, escrow, strict=True):
            agent.state["inventory"]["Coin"], agent.state["escrow"]["Coin"] = coin, held
        income = inventory + escrow - np.array(tax.last_coin)
        tax.enact_taxes()
        after = np.array([agent.state["inventory"]["Coin"] for agent in env.world.agents])
        out[key + "day"] = np.stack([income, inventory, after, tax.last_marginal_rate])


def record_saez(foundation, random, out):
    """Every stage of the formula, and ten periods of the running estimate."""
    for weight in ("inverse_income", "uniform"):
        env = make(foundation, 4, {}, {}, {"tax_model": "saez", "pareto_weight_type": weight})
        env.reset()
        tax = env.get_component("PeriodicBracketTax")
        for case in range(2):
            incomes, rates = samples(random)
            if case == 1:  # nobody in the open bracket
                incomes = np.minimum(incomes, 450)
            key = f"saez/{weight}/{case}/"
            out[key + "samples"] = np.stack([incomes, rates])
            weights, tails = tax.get_binned_saez_welfare_weight_and_pareto_params(incomes)
            out[key + "weights"], out[key + "tails"] = weights, tails
            out[key + "rates"] = tax.get_saez_marginal_rates(weights, tails, 0.4)
            out[key + "brackets"] = tax.bracketize_schedule(
                out[key + "rates"], tax._saez_income_bin_edges, tax._saez_income_bin_sizes
            )
            out[key + "elasticity"] = np.array(
                tax.estimate_uniform_income_elasticity(np.stack([incomes, rates], axis=1), 0.9)
            )
    env = make(foundation, 4, {}, {}, {"tax_model": "saez"})
    env.reset()
    tax = env.get_component("PeriodicBracketTax")
    incomes, rates = samples(random)
    new = np.stack([random.uniform(1, 300, (10, 4)), random.uniform(0, 1, (10, 4))], axis=1)
    tax._local_saez_buffer = [list(pair) for pair in zip(incomes, rates, strict=True)]
    set_rates, estimates = [], []
    for z, tau in new:
        tax.compute_and_set_new_period_rates_from_saez_formula()
        set_rates.append(np.array(tax.curr_marginal_rates))
        estimates.append([tax.elas_t, tax.log_z0_t])
        tax._update_saez_buffer(
            {str(i): {"income": z[i], "marginal_rate": tau[i]} for i in range(4)}
        )
    out["saez/run/samples"], out["saez/run/new"] = np.stack([incomes, rates]), new
    out["saez/run/rates"], out["saez/run/estimates"] = np.array(set_rates), np.array(estimates)
    out["saez/run/average"] = np.array(tax.running_avg_tax_rates)


def record_metrics(random, out):
    """Social metrics and utilities of random coin."""
    from ai_economist.foundation.scenarios.utils import rewards, social_metrics

    for size in (2, 4, 29, 30, 60):
        coin, labor = random.pareto(2, size) * 20, random.uniform(0, 100, size)
        coin[0] = 0
        utility = rewards.isoelastic_coin_minus_labor(coin, labor, 0.23, 0.21)
        out[f"metrics/{size}/coin"], out[f"metrics/{size}/labor"] = coin, labor
        out[f"metrics/{size}/isoelastic"] = utility
        out[f"metrics/{size}/power"] = rewards.coin_minus_labor_cost(coin, labor, 3.5, 0.0005)
        out[f"metrics/{size}/scalars"] = np.array(
            [
                social_metrics.get_gini(coin),
                social_metrics.get_equality(coin),
                social_metrics.get_productivity(coin),
                rewards.coin_eq_times_productivity(coin, 0.6),
                rewards.inv_income_weighted_coin_endowments(coin),
                rewards.inv_income_weighted_utility(coin, utility),
            ]
        )


def record_episodes(foundation, random, out):
    """Whole episodes of the one-step economy: every observation, mask and reward by name."""
    for name, (agents, *keywords) in SCENARIOS.items():
        env = make(foundation, agents, *keywords)
        tax = env.get_component("PeriodicBracketTax")
        steps = {}
        for episode in range(EPISODES):
            labor = random.integers(0, 101, (2, agents))
            choice = random.integers(0, tax.n_disc_rates + 1, (2, 7))
            if episode < EPISODES - 1:  # in the last one nobody minds the masks
                labor[0], choice[1] = 0, 0
            _note(steps, env, env.reset(), None)
            for time in range(2):
                actions = {str(i): int(labor[time, i]) for i in range(agents)}
                obs, rewards, _, _ = env.step({**actions, "p": choice[time].tolist()})
                _note(steps, env, obs, rewards)
            steps.setdefault("do_labor", []).extend([*labor, labor[0] * 0])
            steps.setdefault("do_rates", []).extend([*choice, choice[0] * 0])
        for key, values in steps.items():
            shape = (EPISODES, 3)
            out[f"episodes/{name}/{key}"] = np.array(values).reshape(*shape, *values[0].shape)
        skills = [agent.state["skill"] for agent in env.world.agents]
        out[f"episodes/{name}/skill"] = np.array(skills)


def record_market(foundation, random, out):
    """A market of wood: what four agents submit, what is traded, and what each then has."""
    env = foundation.make_env_instance(
        scenario_name="uniform/simple_wood_and_stone",
        components=[
            ("ContinuousDoubleAuction", {"order_duration": LIFETIME, "max_num_orders": 5}),
            ("Gather", {}),
        ],
        n_agents=4,
        world_size=[15, 15],
        episode_length=1000,
    )
    env.reset()
    market, people = env.get_component("ContinuousDoubleAuction"), env.world.agents
    for agent in people:
        agent.state["inventory"].update({"Coin": 30, "Wood": 8})
    steps = {"bids": [], "asks": [], "held": [], "trades": []}
    for _ in range(200):
        bids, asks = (
            np.where(random.random(4) < 0.5, random.integers(0, 8, 4), -1) for _ in range(2)
        )
        for agent in people:
            if bids[agent.idx] >= 0:
                market.create_bid("Wood", agent, int(bids[agent.idx]))
            if asks[agent.idx] >= 0:
                market.create_ask("Wood", agent, int(asks[agent.idx]))
        market.match_orders()
        market.remove_expired_orders()
        trades = np.full((8, 4), -1)
        for row, trade in zip(trades, market.executed_trades[-1], strict=False):
            row[:] = [trade[name] for name in ("buyer", "seller", "price", "bid")]
        held = [
            [agent.state[place][thing] for agent in people]
            for place in ("inventory", "escrow")
            for thing in ("Coin", "Wood")
        ]
        for name, value in (("bids", bids), ("asks", asks), ("held", held), ("trades", trades)):
            steps[name].append(np.array(value, np.int16))
    out.update({f"market/{name}": np.array(values) for name, values in steps.items()})


def _note(steps, env, obs, rewards):
    """Appends one moment."""
    people = [str(agent.idx) for agent in env.world.agents]
    record = {}
    for key in obs["0"]:
        name = key.split("-")[-1]
        record[f"agents/{name}"] = np.array([obs[i][key] for i in people], np.float64)
    for key in obs["p"]:
        if not isinstance(obs["p"][key], dict):
            record["planner/" + key.split("-")[-1]] = np.array(obs["p"][key], np.float64)
    for key in obs["p"]["p0"]:
        values = np.array([obs["p"]["p" + i][key] for i in people], np.float64)
        record["planner/by_agent/" + key.split("-")[-1]] = values
    zero = dict.fromkeys([*people, "p"], 0.0)
    rewards = zero if rewards is None else rewards
    record["reward"] = np.array([rewards[i] for i in [*people, "p"]], np.float64)
    states = [agent.state for agent in env.world.agents]
    record["production"] = np.array([state["production"] for state in states], np.float64)
    record["coin"] = np.array([state["inventory"]["Coin"] for state in states], np.float64)
    for key, value in record.items():
        steps.setdefault(key, []).append(value)


def main(folder, target):
    foundation = load(folder)
    random = np.random.default_rng(0)
    np.random.seed(0)
    out = {}
    record_taxes(foundation, random, out)
    record_saez(foundation, random, out)
    record_metrics(random, out)
    record_episodes(foundation, random, out)
    record_market(foundation, random, out)
    for key in [key for key in out if key.endswith("action_mask")]:
        out[key] = out[key].astype(bool)
    np.savez_compressed(target, **out)


if __name__ == "__main__":
    main(*sys.argv[1:])
