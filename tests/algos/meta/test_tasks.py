"""What a drift is judged by; and that a network of zeros is PPO, as a whole training."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl import registry
from jaxrl.algorithm import canonical, train
from jaxrl.algos.meta import tasks
from jaxrl.algos.on_policy.learnt import LPO_INPUTS, TA_LPO_INPUTS, ppo_start, random_drift
from jaxrl.algos.on_policy.learnt import zero_drift as zeros
from jaxrl.algos.on_policy.objectives import ClipParameters
from jaxrl.config import ConfigError
from jaxrl.evaluation import evaluate, evaluation_key
from tests.algos.meta.tiny import CONFIG, numbers, run_config

KEY = jax.random.key(11)
EPISODES = 8
# Steps that are large enough for many ratios to be clipped.
RUN = run_config(lr=0.03, entropy_coef=0.01)
HIDDEN = 16


@pytest.fixture(scope="module")
def trained():
    """(algorithm, phi) -> (final parameters, metrics) of four updates, 16 gradient steps."""
    programs = {}

    def run(name, phi):
        if name not in programs:
            base = tasks.baseline(RUN) if name == "ppo" else run_config(name, lr=0.03)
            hp = base.hp.replace(entropy_coef=0.01)
            setup = tasks.driver.set_up(dataclasses.replace(base, hp=hp))
            programs[name] = jax.jit(train(setup.algorithm, setup.num_updates)), setup
        program, setup = programs[name]
        state, metrics = program(KEY, canonical(setup.hp.replace(objective=phi)))
        return state, metrics

    return run


@pytest.mark.parametrize(("name", "inputs"), [("lpo", LPO_INPUTS), ("ta-lpo", TA_LPO_INPUTS)])
def test_a_network_of_zeros_is_ppo_to_the_last_bit(trained, name, inputs):
    """The whole state after several updates of several epochs, in which ratios are clipped.

    Of the metrics `policy_loss` and `approx_kl` are equal up to rounding: they are means that
    nothing else is made of, and XLA adds them up in another order.
    """
    state, metrics = trained("ppo", ClipParameters())
    start = ppo_start(jax.random.key(5), inputs, HIDDEN)
    for phi in (zeros(inputs, HIDDEN), start):
        ours, our_metrics = trained(name, phi)
        for a, b in zip(numbers(ours), numbers(state), strict=True):
            np.testing.assert_array_equal(a, b)
        for key, value in metrics.items():
            np.testing.assert_allclose(our_metrics[key], value, rtol=1e-5, atol=1e-7, err_msg=key)


def test_the_comparison_with_ppo_can_fail(trained):
    """Clipping and the weights of a network each decide about the parameters."""
    state, _ = trained("ppo", ClipParameters())
    unclipped, _ = trained("ppo", ClipParameters(1e3))
    other, _ = trained("lpo", random_drift(jax.random.key(5), LPO_INPUTS, HIDDEN))
    for different in (unclipped, other):
        pairs = zip(numbers(state.policy.params), numbers(different.policy.params), strict=True)
        assert not any(np.array_equal(a, b) for a, b in pairs if a.size > 1)


@pytest.fixture(scope="module")
def fitness():
    """Final fitness (key, phi) -> [], of the task and of its baseline."""
    task = tasks.make_task(RUN)
    theirs = tasks.driver.set_up(tasks.baseline(RUN))
    return [jax.jit(tasks.make_fitness(s, tasks.FINAL, EPISODES)) for s in (task.setup, theirs)]


def test_fitness_of_zeros_is_that_of_ppo(fitness, trained):
    """And it is the mean return of whole episodes of the final policy."""
    ours, theirs = fitness
    value = theirs(KEY, canonical(ClipParameters()))
    assert ours(KEY, canonical(zeros(LPO_INPUTS, HIDDEN))) == value
    assert ours(KEY, canonical(random_drift(jax.random.key(0), LPO_INPUTS, HIDDEN))) != value
    state, _ = trained("ppo", ClipParameters())
    setup = tasks.make_task(RUN).setup
    key_play = evaluation_key(KEY, 0)
    played = evaluate(
        setup.env, setup.hp.env, setup.algorithm.act, state.policy, key_play, EPISODES
    )
    assert value == np.mean(played.returns)


def test_a_training_that_diverged_has_no_fitness(fitness):
    phi = random_drift(jax.random.key(0), LPO_INPUTS, HIDDEN)
    broken = canonical(phi.replace(hidden=phi.hidden.at[0, 0].set(jnp.nan)))
    assert np.isnan(fitness[0](KEY, broken))


@pytest.mark.parametrize(
    ("returns", "expected"),
    [
        ([1.0, 2.0, 6.0], 3.0),
        ([1.0, np.nan, np.nan, 3.0], 1.5),  # 1, 1, 1, 3
        ([np.nan, np.nan, 2.0, 4.0], 3.0),  # 2, 4
        ([np.nan, 1.0, np.nan], 1.0),
        ([np.nan, np.nan], np.nan),
    ],
)
def test_area_under_curve_by_hand(returns, expected):
    area = tasks.area_under_curve(jnp.asarray(returns, jnp.float32))
    np.testing.assert_allclose(area, expected)


def test_area_of_a_known_environment():
    """Every episode pays 10; in the first update, of 8 steps, none ends."""
    task = tasks.make_task(run_config(env="Probe-TimeLimit-v1", updates=2))
    value = jax.jit(tasks.make_fitness(task.setup, tasks.AUC, 1))(KEY, task.setup.hp.objective)
    assert value == 10.0


def test_random_return():
    """10 for any policy; and the mean of 400 fair +-1, whose deviation is 0.05."""
    whatever = tasks.make_task(run_config(env="Probe-TimeLimit-v1"))
    assert tasks.random_return(whatever, KEY, 5) == 10.0
    coin = tasks.make_task(run_config(env="Probe-Action-v1"))
    value = tasks.random_return(coin, KEY, 400)
    assert value.shape == () and 0 < abs(value) < 0.2


def test_baseline_is_the_same_training_with_another_objective():
    run = dataclasses.replace(RUN, seed=3, hp=RUN.hp.replace(gamma=0.9, horizon=7.0))
    theirs = tasks.baseline(run)
    assert theirs.algorithm == "ppo" and theirs.hp.objective == ClipParameters(0.2)
    assert isinstance(theirs.hp, registry.algorithm("ppo").hyperparameters)
    for name in ("env", "config", "seed", "seeds", "total_steps", "env_overrides"):
        assert getattr(theirs, name) == getattr(run, name)
    for name in ("lr", "gamma", "horizon", "entropy_coef", "gae_lambda", "max_grad_norm"):
        assert getattr(theirs.hp, name) == getattr(run.hp, name)
    dpo = dataclasses.replace(run_config("dpo"), seed=4)
    assert tasks.baseline(dpo).hp.lr == dpo.hp.lr


def test_action_kinds():
    def task(env):
        return tasks.make_task(run_config(env=env))

    cartpole, pendulum = task("CartPole-v1"), task("Pendulum-v1")
    multi, box = task("Probe-MultiDiscrete-v1"), task("Probe-Continuous-v1")
    assert tasks.check_action_kinds([cartpole, multi]) == "discrete"
    assert tasks.check_action_kinds([pendulum, box]) == "continuous"
    with pytest.raises(ConfigError, match="Pendulum-v1 has continuous actions"):
        tasks.check_action_kinds([cartpole, pendulum])
    with pytest.raises(ConfigError, match="CartPole-v1 has discrete actions"):
        tasks.check_action_kinds([pendulum, cartpole])
    with pytest.raises(ConfigError, match="the population was started with continuous ones"):
        tasks.check_action_kinds([cartpole], "continuous")
    assert tasks.check_action_kinds([cartpole], "discrete") == "discrete"


def test_bad_tasks():
    with pytest.raises(ConfigError, match="ppo has no learnt objective"):
        tasks.make_task(run_config("ppo"))
    with pytest.raises(ConfigError, match="is less than the 32 environment steps"):
        tasks.make_task(dataclasses.replace(RUN, total_steps=CONFIG.batch_size - 1))
    with pytest.raises(ConfigError, match="fitness must be final or auc"):
        tasks.make_fitness(tasks.make_task(RUN).setup, "best", 1)
