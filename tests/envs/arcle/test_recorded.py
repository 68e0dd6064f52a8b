"""An episode of the package `arcle`, played again through gymnasium's interface."""

import numpy as np
import pytest

from jaxrl.adapters import to_gymnasium_vector
from jaxrl.envs.arcle.operations import O2ARC
from jaxrl.envs.arcle.tasks import Task as HostTask
from jaxrl.envs.arcle.tasks import TaskSet
from tests.envs.arcle import lockstep

SIDE = 6


def actions(task, random, steps):
    """Random operations, and then those that make the answer and submit it."""
    numbers = list(random.integers(0, O2ARC.number("Submit"), steps))
    masks = []
    for _ in range(steps):
        x, y = np.sort(random.integers(0, SIDE, (2, 2)), axis=1)
        mask = np.zeros((SIDE, SIDE), bool)
        mask[x[0] : x[1] + 1, y[0] : y[1] + 1] = True
        masks.append(mask)
    whole = np.zeros((SIDE, SIDE), bool)
    whole[: task.answer.shape[0], : task.answer.shape[1]] = True
    numbers.append(O2ARC.number("ResizeGrid"))
    masks.append(whole)
    for color in np.unique(task.answer):
        numbers.append(color)
        masks.append(lockstep.padded((task.answer == color).astype(np.int8), SIDE) > 0)
    numbers.append(O2ARC.number("Submit"))
    masks.append(np.zeros((SIDE, SIDE), bool))
    return np.asarray(numbers, np.int32), np.stack(masks)


def test_a_recorded_trajectory_ends_as_in_the_package():
    pytest.importorskip("arcle")
    random = np.random.default_rng(0)
    grids = random.integers(0, 10, (2, 4, 5)).astype(np.int8)
    task = lockstep.Task(grids[0], grids[1])
    numbers, masks = actions(task, random, 40)
    recorded = lockstep.play("o2arc", task, numbers, masks)
    assert recorded.length == len(numbers) and recorded.rewards[-1] == 1

    pair = ((grids[0], grids[1]),)
    batch = to_gymnasium_vector(
        "ARCLE-O2ARC-v2",
        2,
        dataset=TaskSet("one", (HostTask("one", pair, pair),)),
        canvas=SIDE,
        preset="reference",
        action="mask",
    )
    obs, _ = batch.reset(seed=3)
    flat = dict(recorded.states)
    flat |= flat.pop("object_states")
    for step, (number, mask) in enumerate(zip(numbers, masks, strict=True)):
        selection = np.stack([mask, mask]).astype(np.int8)
        obs, reward, terminated, truncated, infos = batch.step(
            {"operation": np.asarray([number, number]), "selection": selection}
        )
        last = step == len(numbers) - 1
        assert reward.tolist() == [recorded.rewards[step]] * 2
        assert terminated.tolist() == [last] * 2 and not truncated.any()
        shown = infos["final_obs"][0] if last else {name: x[0] for name, x in obs.items()}
        for name, values in flat.items():
            np.testing.assert_array_equal(shown[name], values[step], err_msg=f"{name}, {step}")
