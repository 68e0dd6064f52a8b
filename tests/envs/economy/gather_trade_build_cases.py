"""Configurations of Gather-Trade-Build in which the package is played, in its own words.

Each is what `foundation.make_env_instance` takes, but for `layout`, the text of a map, and
`samples`, which fills the buffer of Saez's formula. Between them they cover every component,
option and kind of observation; markets, periods and annealing are short, so that everything happens
in a few dozens of steps.
"""

from jaxrl.envs.economy import layouts

_QUADRANTS = layouts.to_text(layouts.quadrants(15))
# Rich and crowded, so that agents meet, gather and build at once.
_FIELD = """
W.S.W...
.S@W.S.W
.W.@S.W.
S..W.@..
.W.S..S.
..S.W...
S@..@.W.
.W.S...S
""".strip()
_FIXED = "layout_from_file/simple_wood_and_stone"
_RANDOM = "uniform/simple_wood_and_stone"
_MARKET = ("ContinuousDoubleAuction", {"max_num_orders": 5})
_BRIEF_MARKET = ("ContinuousDoubleAuction", {"max_num_orders": 3, "order_duration": 6})
_BUILD = ("Build", {"skill_dist": "pareto", "payment_max_skill_multiplier": 3})
_GATHER = ("Gather", {"skill_dist": "pareto"})


def _tax(model="model_wrapper", period=10, **options):
    return ("PeriodicBracketTax", {"tax_model": model, "period": period, **options})


def _fixed(layout, components, agents=4, **options):
    width = len(layout.split("\n")[0])
    return {
        "scenario_name": _FIXED,
        "components": components,
        "n_agents": agents,
        "world_size": [layout.count("\n") + 1, width],
        "layout": layout,
        **options,
    }


def _random(shape, components, agents=4, **options):
    return {
        "scenario_name": _RANDOM,
        "components": components,
        "n_agents": agents,
        "world_size": list(shape),
        **options,
    }


CASES = {
    "paper": _fixed(
        layouts.to_text(layouts.quadrants()),
        [_BUILD, _MARKET, _GATHER, _tax(period=100)],
        fixed_four_skill_and_loc=True,
        planner_gets_spatial_info=False,
        energy_warmup_constant=50,
        energy_warmup_method="auto",
    ),
    "small": _fixed(
        _QUADRANTS,
        [_BUILD, _BRIEF_MARKET, _GATHER, _tax()],
        fixed_four_skill_and_loc=True,
        planner_gets_spatial_info=False,
        energy_warmup_constant=20,
        energy_warmup_method="auto",
        starting_agent_coin=8,
        resource_regen_prob=0.2,
    ),
    "free market": _fixed(
        _FIELD,
        [
            ("Build", {"skill_dist": "lognormal", "payment_max_skill_multiplier": 4}),
            ("ContinuousDoubleAuction", {"max_num_orders": 2, "order_duration": 3}),
            ("Gather", {"skill_dist": "lognormal", "move_labor": 0.5, "collect_labor": 2.0}),
            _tax(disable_taxes=True),
        ],
        starting_agent_coin=12,
        planner_reward_type="inv_income_weighted_utility",
        planner_gets_spatial_info=False,
        resource_regen_prob=0.1,
    ),
    "federal": _fixed(
        _FIELD,
        [
            ("Build", {"payment": 15, "build_labor": 4.0}),
            ("ContinuousDoubleAuction", {"max_bid_ask": 4, "order_labor": 0.5}),
            ("Gather", {}),
            _tax("us-federal-single-filer-2018-scaled", 7, tax_annealing_schedule=[-1, 0.15]),
        ],
        energy_warmup_constant=2,
        energy_warmup_method="decay",
        planner_reward_type="inv_income_weighted_coin_endowments",
        planner_gets_spatial_info=False,
        mobile_agent_observation_range=2,
        isoelastic_eta=0.5,
        energy_cost=0.1,
        resource_regen_prob=0.2,
    ),
    "annealed": _random(
        (9, 11),
        [_BUILD, _MARKET, _GATHER, _tax(period=5, tax_annealing_schedule=[0, 0.37], rate_min=0.05)],
        starting_wood_coverage=0.12,
        starting_stone_coverage=0.1,
        wood_regen_halfwidth=1,
        wood_regen_weight=0.2,
        wood_max_health=2,
        stone_regen_halfwidth=2,
        stone_regen_weight=0.1,
        stone_max_health=3,
        gradient_steepness=1,
        mixing_weight_gini_vs_coin=0.4,
        planner_gets_spatial_info=True,
        starting_agent_coin=5,
    ),
    "saez, random": _fixed(
        _FIELD,
        [_BUILD, _MARKET, _GATHER, _tax("saez", 5, tax_annealing_schedule=[-1, 0.4])],
        planner_gets_spatial_info=False,
        starting_agent_coin=10,
        resource_regen_prob=0.2,
    ),
    "saez": _fixed(
        _FIELD,
        [_BUILD, _MARKET, _GATHER, _tax("saez", 6, rate_max=0.9)],
        planner_gets_spatial_info=False,
        starting_agent_coin=10,
        resource_regen_prob=0.2,
        samples=True,
    ),
    "saez, fixed elasticity": _fixed(
        _FIELD,
        [
            _BUILD,
            _MARKET,
            _GATHER,
            _tax("saez", 6, saez_fixed_elas=0.3),
        ],
        planner_gets_spatial_info=False,
        starting_agent_coin=10,
        resource_regen_prob=0.2,
        samples=True,
    ),
    # All that is paid is a binary fraction: shares of wealth are exact, and so are incomes, which
    # otherwise are 0 or -1e-16 by how they round.
    "equal wealth": _fixed(
        _FIELD,
        [
            ("Build", {}),
            _BRIEF_MARKET,
            _GATHER,
            _tax(
                "fixed-bracket-rates",
                4,
                bracket_spacing="linear",
                n_brackets=4,
                top_bracket_cutoff=12,
                fixed_bracket_rates=[0.125, 0.5, 0.25, 0.875],
            ),
            ("WealthRedistribution", {}),
        ],
        starting_agent_coin=6,
        planner_gets_spatial_info=False,
        resource_regen_prob=0.2,
    ),
    # Cutoffs of powers of 2, which the package's logarithms do not move by a last digit.
    "whole map": _random(
        (10, 8),
        [
            _BUILD,
            _MARKET,
            _GATHER,
            _tax(
                period=8, bracket_spacing="log", n_brackets=3, top_bracket_cutoff=16, rate_disc=0.1
            ),
        ],
        agents=3,
        full_observability=True,
        planner_gets_spatial_info=True,
        starting_wood_coverage=12,
        starting_stone_coverage=9,
        checker_source_blocks=True,
        gradient_steepness=2,
        wood_regen_weight=0.3,
        stone_regen_weight=0.3,
        starting_agent_coin=5,
    ),
    "crowd": _fixed(
        _QUADRANTS,
        [_BUILD, _BRIEF_MARKET, _GATHER, _tax(period=12)],
        agents=10,
        fixed_four_skill_and_loc=True,
        planner_gets_spatial_info=True,
        mobile_agent_observation_range=3,
        starting_agent_coin=4,
        resource_regen_prob=0.2,
    ),
    "several actions": _fixed(
        _FIELD,
        [_BUILD, _BRIEF_MARKET, _GATHER, _tax()],
        multi_action_mode_agents=True,
        planner_gets_spatial_info=False,
        starting_agent_coin=10,
        resource_regen_prob=0.2,
    ),
}
SAMPLE = tuple(name for name in CASES if name not in ("paper", "saez, fixed elasticity"))
