"""PPO trains on Crafter: recurrent (GRU) on the symbolic view, feedforward (CNN) on pixels."""

import dataclasses

import jax
import numpy as np
import pytest

import jaxrl
from jaxrl import registry
from jaxrl.algorithm import canonical
from jaxrl.envs.crafter_oo import constants as c
from tests.unoptimised import jit

TINY = dict(num_envs=4, num_steps=6, num_epochs=1, num_minibatches=2)
UPDATES = 3
CASES = {
    "gru": ("CrafterOO-Symbolic-v1", dict(hidden=(8,), recurrent="gru", recurrent_size=4)),
    "cnn": ("CrafterOO-Pixels-v1", dict(hidden=(8,), channels=(2,), strides=(4,))),
}


@pytest.mark.parametrize("name", CASES)
def test_ppo_trains(name):
    env_id, network = CASES[name]
    # The limit ends every episode once in each rollout.
    small = dict(area=(9, 9), capacity=16, near=16)
    env, params = jaxrl.make(env_id, **small, max_steps_in_episode=6)
    spec, preset = registry.preset("ppo", env_id)
    shape = dataclasses.replace(preset.config.network, recurrent="", channels=(), strides=())
    shape = dataclasses.replace(shape, **network)
    config = dataclasses.replace(preset.config, **TINY, network=shape)
    algorithm = spec.make(env, params, config)
    hp = canonical(preset.hp.replace(env=params, horizon=float(UPDATES)))
    init, step = jit(algorithm.init), jit(algorithm.step)

    def run():
        state = first = init(jax.random.key(0), hp)
        rows = []
        for _ in range(UPDATES):
            state, metrics = step(state, hp)
            rows.append(jax.device_get(metrics))
        return jax.device_get((first.policy, state.policy)), rows

    (before, after), rows = run()
    (_, again), rows_again = run()
    jax.tree.map(np.testing.assert_array_equal, after, again)
    assert rows == rows_again
    changed = jax.tree.map(lambda a, b: not np.array_equal(a, b), before.params, after.params)
    assert any(jax.tree.leaves(changed))
    for row in rows:
        assert all(np.isfinite(value) for value in row.values()), row
        assert row["episodes"] == 4 and row["episode_length"] == 6
        assert row["episode/overflow"] == 0
        # Of four episodes a multiple of 25% unlocked each.
        rates = [row[f"episode/{achievement}"] for achievement in c.ACHIEVEMENTS]
        assert set(np.asarray(rates).tolist()) <= {0.0, 25.0, 50.0, 75.0, 100.0}
        # A new achievement pays 1 and in six steps health hardly changes; two at once pay 1.
        assert row["episode_return"] <= sum(rates) / 100 + 0.1
