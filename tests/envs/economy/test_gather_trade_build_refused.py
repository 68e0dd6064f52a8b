"""What the scenario refuses, each in one line that names the option: nothing is compiled."""

import jax
import numpy as np
import pytest

import jaxrl
from jaxrl.environment import strong
from jaxrl.envs.economy.components import Build, Gather
from jaxrl.envs.economy.gather_trade_build import GatherTradeBuild

FIELD = ".SS.;....;.W.W;...."  # 4 x 4, corners free
PARTS = {"components": ("Build", "Gather"), "start": "random"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"components": ("Build", "Gathr")}, "unknown component 'Gathr'; one of Build, Continuous"),
        ({"components": ("Gather", "Gather")}, "components must have different names"),
        ({**PARTS, "tax": "saez"}, "not for components that are given: tax"),
        ({"components": ("Gather",)}, "start from corners by skill: that needs Build"),
        ({"layout": "quadrant"}, "unknown layout 'quadrant'; one of quadrants, uniform, the path"),
        ({"layout": 3}, "layout must be a name, a text or a `Layout`, got 3"),
        ({"layout": "..;.X"}, "a layout is of the symbols .* got 'X' in row 1, column 1"),
        ({"layout": "...;.."}, "equally long: row 0 has 3 tiles, row 1 has 2"),
        ({"layout": "no.txt"}, "no layout can be read from no.txt"),
        ({"layout": "", "start": "random"}, "unknown layout ''"),
        ({"size": 10}, "size must be odd and at least 15, got 10"),
        ({"size": 25.5}, "size must be a whole number of at least 2, got 25.5"),
        ({"layout": "uniform", "size": 1}, "size must be a whole number of at least 2, got 1"),
        ({"start": "middle"}, "start must be one of corners, random, got 'middle'"),
        ({"layout": "uniform", "start": "corners"}, "from corners on a fixed layout only"),
        ({"layout": FIELD, "agents": 40}, "40 agents do not find as many tiles"),
        (
            {"layout": FIELD, "agents": 16},
            "16 agents cannot begin in the corners of a map of 4 x 4",
        ),
        ({"layout": "@...;....;...."}, r"cannot begin in the corners .* \(0, 0\) is water"),
        ({"agents": 1}, "agents must be a whole number of at least 2, got 1"),
        ({"planners": 0}, "planners must be a whole number of at least 1, got 0"),
        ({"planners": 4}, "planners must have at least 2 of 4 agents each, so at most 2 .* got 4"),
        ({"planners": 3, "agents": 5}, "planners must have at least 2 of 5 agents each"),
        ({"agents": 10**9}, "agents must be at most 125, got 1000000000"),
        ({"tax": "flat"}, "system must be one of learned, us-federal, fixed, saez, none"),
        (
            {"tax": "fixed", "fixed_rates": (0.5,) * 3},
            "one for each of 7 brackets is needed, got 3",
        ),
        ({"tax": "fixed", "fixed_rates": (1.5,) * 7}, "rates must be in 0..1, got 1.5"),
        ({"fixed_rates": (0.5,) * 7}, "are of the system fixed, not of learned"),
        ({"cutoffs": (0, 20, 10)}, "cutoffs must be ascending"),
        ({"rate_step": 2.0}, "step must be above 0 and below 1"),
        ({"tax": "saez", "saez_buffer": 3}, "saez_buffer must be .* at least 10, got 3"),
        ({"max_multiplier": 0.5}, "max_multiplier must be finite and at least 1, got 0.5"),
        ({"start": "random", "max_multiplier": 0.5}, "max_multiplier must be finite and at"),
        ({"welfare": "gdp"}, "welfare must be one of"),
        ({"annealing": "time"}, "annealing must be one of episodes, positive_steps"),
        ({"regrowth_reach": (0, 9)}, "regrowth_reach must be at most 3, got 9"),
        # Not of the kind that is asked for.
        ({"regrowth_reach": 3}, "regrowth_reach must be a sequence, got 3"),
        ({"tax": "fixed", "fixed_rates": 0.3}, "fixed_rates must be a sequence, got 0.3"),
        ({"tax": "fixed", "fixed_rates": "a"}, "fixed_rates must be a sequence, got 'a'"),
        ({"tax": "fixed", "fixed_rates": ("a",) * 7}, "each of fixed_rates must be a number, got"),
        ({"cutoffs": 5}, "cutoffs must be a sequence, got 5"),
        ({"cutoffs": (0, True)}, "each of cutoffs must be a number, got True"),
        ({"tax": "saez", "saez_buffer": 500.0}, "saez_buffer must be a whole number .* got 500.0"),
        ({"tax": "saez", "saez_buffer": "x"}, "saez_buffer must be a whole number .* got 'x'"),
        ({"rate_step": "a"}, "rate_step must be a number, got 'a'"),
        ({"max_multiplier": "x"}, "max_multiplier must be a number, got 'x'"),
        ({"max_multiplier": np.nan}, "max_multiplier must be finite and at least 1, got nan"),
        ({"components": 5}, "components must be a sequence, got 5"),
        ({"components": ([1],)}, r"unknown component \[1\]; one of Build"),
        ({"components": "Bild"}, "unknown component 'Bild'; one of Build"),
        ({"full_observability": "no"}, "full_observability must be True or False, got 'no'"),
        ({"planner_maps": 1}, "planner_maps must be True or False, got 1"),
        ({"simultaneous": None}, "simultaneous must be True or False, got None"),
        ({"welfare": ["gdp"]}, "welfare must be one of"),
        # Without effect.
        ({**PARTS, "saez_buffer": 500}, "not for components that are given: saez_buffer"),
        ({**PARTS, "rate_step": 0.05, "cutoffs": (0, 5)}, "given: cutoffs, rate_step"),
        ({**PARTS, "fixed_rates": (0.5,) * 7}, "given: fixed_rates"),
        ({"saez_buffer": 50}, "saez_buffer is of the system saez, not of learned"),
        ({"tax": "none", "rate_step": 0.1}, "rate_step is of the system learned, not of none"),
    ],
)
def test_what_is_no_scenario_is_refused(options, message):
    with pytest.raises(ValueError, match=message) as error:
        GatherTradeBuild(**options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"rules.Build.labor": -1.0}, r"Build\.labor must be at least 0, got -1"),
        ({"rules.Build.max_multiplier": 0.5}, r"Build\.max_multiplier must be at least 1, got 0.5"),
        ({"rules.PeriodicBracketTax.period": 0}, r"PeriodicBracketTax\.period must be at least 1"),
        (
            {"rules.Gather.collect_labor": np.nan},
            r"collect_labor is float32, which cannot hold nan",
        ),
        (
            {"rules.ContinuousDoubleAuction.lifetime": 0},
            r"ContinuousDoubleAuction\.lifetime must be at least 1",
        ),
        ({"rules.Build.labour": 1.0}, r"no parameter 'rules\.Build\.labour'; nearest .* labor"),
        ({"rules.Bild.labor": 1.0}, r"no parameter 'rules\.Bild\.labor'; nearest .* Build"),
        ({"rules.PeriodicBracketTax.period": 1.5}, "period is int32, which cannot hold 1.5"),
        ({"eta": 2.0}, "eta must be at least 0 and at most 1, got 2.0"),
        ({"rules.Build.max_multiplier": 2.0}, "in corners: the constructor's max_multiplier dec"),
        ({"rules.PeriodicBracketTax.rates": [0.5] * 7}, "not of learned"),
        ({"tax": "saez", "rules.PeriodicBracketTax.rates": [0.5] * 7}, "not of saez"),
        ({"taxx": "none"}, "has no parameter 'taxx'; nearest: tax"),
    ],
)
def test_overrides_beyond_their_limits_are_refused(overrides, message):
    with pytest.raises(ValueError, match=message):
        jaxrl.make("GatherTradeBuild-v1", layout=FIELD, **overrides)


def test_parameters_that_would_have_no_effect_are_refused():
    env = GatherTradeBuild(layout=FIELD, max_multiplier=2.1)
    params = env.default_params
    env.check_params(params)
    env.check_params(strong(params))  # 2.1 as float32

    def checked(env, name, value):
        env.check_params(jaxrl.registry.replaced(strong(env.default_params), name, value))
        return True

    jax.jit(lambda x: checked(env, "rules.Build.max_multiplier", x) and x)(np.float32(9))
    rates = "rules.PeriodicBracketTax.rates"
    jax.jit(lambda x: checked(env, rates, x) and x)(np.ones(7, np.float32))
    with pytest.raises(ValueError, match="no effect where agents start in corners"):
        checked(env, "rules.Build.max_multiplier", np.float32([2.1, 3]))
    with pytest.raises(ValueError, match="of the systems us-federal and fixed, not of learned"):
        checked(env, rates, np.float32([0, 0, 0, 0, 0, 0, 0.5]))
    drawn = GatherTradeBuild(layout=FIELD, start="random")
    assert checked(drawn, "rules.Build.max_multiplier", 2.0)
    for options in ({"tax": "us-federal"}, {"tax": "fixed", "fixed_rates": (0.2,) * 7}):
        env = GatherTradeBuild(layout=FIELD, **options)
        assert checked(env, rates, np.float32([0.5] * 7))


def test_a_component_alone_and_numbers_of_numpy_are_taken():
    for components in ("Gather", Gather()):
        env = GatherTradeBuild(layout=FIELD, start="random", components=components)
        assert [component.name for component in env.components] == ["Gather"]
    env = GatherTradeBuild(layout=FIELD, components=Build(skills="pareto"))
    assert env.corners is not None
    env = GatherTradeBuild(
        agents=np.int64(4),
        layout=FIELD,
        planners=np.int32(2),
        cutoffs=np.array([0.0, 5.0, 10.0]),
        rate_step=np.float64(0.25),
        max_multiplier=np.float32(2),
        full_observability=np.True_,
        regrowth_reach=[np.int8(1), 2],
    )
    taxes = env.components[3]
    assert (taxes.cutoffs, taxes.rate_step) == ((0.0, 5.0, 10.0), 0.25)
    assert (env.full_observability, env.regrowth_reach) == (True, (1, 2))
    assert GatherTradeBuild(tax="saez", saez_buffer=np.int64(20)).components[3].buffer == 20
