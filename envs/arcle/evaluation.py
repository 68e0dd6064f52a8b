"""How much of a split a policy solves: pass@k, with the answers hidden.

Each test of each task is played once, with k trials. A test is solved at k if one of its first k
submissions is right; a task's score is the share of its tests that are solved, as in ARC's own
scoring, and it is passed if all are.

Source: Chollet (2019), arXiv 1911.01547: three trials for a test; ARC Prize: two.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.arcle.environment import ARCLE, EnvState, Params
from jaxrl.envs.arcle.protocols import room
from jaxrl.envs.arcle.rules import check_trials
from jaxrl.envs.arcle.tasks import Tasks
from jaxrl.rendering.episode import Act


class Passed(NamedTuple):
    """What came out, for each of R tests.

    Attributes:
        ids: the task of each test.
        test: its number within the task, int32 [R].
        trial: the trial in which it was solved, from 1; 0 where it was not, int32 [R].
        submits: trials used, int32 [R].
        steps: operations used, int32 [R].
        trials: that were allowed.
    """

    ids: tuple[str, ...]
    test: np.ndarray
    trial: np.ndarray
    submits: np.ndarray
    steps: np.ndarray
    trials: int

    def score(self, trials: int) -> dict[str, float]:
        """Pass@k for k = `trials`, each from 0 to 1.

        `tests`: share of the tests; `score`: mean over tasks of the share of their tests;
        `tasks`: share of the tasks all of whose tests are solved. `ValueError` for more trials than
        were played.
        """
        if not 1 <= trials <= self.trials:
            raise ValueError(f"{self.trials} trials were played, not {trials}")
        right = (self.trial > 0) & (self.trial <= trials)
        names = np.asarray(self.ids)
        shares = [float(right[names == name].mean()) for name in dict.fromkeys(self.ids)]
        return {
            "tests": float(right.mean()),
            "score": float(np.mean(shares)),
            "tasks": float(np.mean([share == 1 for share in shares])),
        }


def pass_at_k(
    env: ARCLE,
    params: Params,
    act: Act,
    policy: Any,
    key: jax.Array,
    trials: int = 3,
    carry: Any = (),
    greedy: bool = False,
) -> Passed:
    """Plays every test of the environment's data set once.

    Args:
        env: with `protocol="test"` and a data set.
        params: of the environment; the step limit is that of each test.
        act: an algorithm's `act`, or `jaxrl.evaluation.random_act(env, params)`.
        policy: an algorithm state's `policy`.
        key: the same key gives the same result.
        trials: submissions of each test.
        carry: the first carry of `act` for a batch of as many as there are tests.
        greedy: the likeliest action instead of a draw.

    Raises:
        ValueError: answers are not hidden, tasks are generated, or there is no trial.
    """
    if not env.protocol.hidden or env.protocol.following is not None:
        raise ValueError("pass@k is of protocol='test': its answers are hidden")
    if env.source.generates:
        raise ValueError("pass@k is of a data set as it is, not of generated or augmented tasks")
    if isinstance(trials, bool) or not isinstance(trials, int) or trials < 1:
        raise ValueError(f"pass@k needs a whole number of trials, at least one, got {trials!r}")
    check_trials(trials)
    if len(env.source.ids) != params.tasks.demos.count.shape[0]:
        raise ValueError("pass@k is of the environment's own tasks: params.tasks are others")
    rules = params.rules
    if bool(jnp.any(rules.reset_on_submit & rules.quirks.forgetful_reset)):
        raise ValueError("pass@k: reset_on_submit with the reference's rules forgets the trials")
    rules = rules.replace(max_trials=jnp.full_like(rules.max_trials, trials))
    params = params.replace(rules=rules)
    numbers, tests = _all_tests(params.tasks)
    results = jax.jit(_play, static_argnums=(0, 1, 2))(
        env, act, greedy, params, policy, carry, key, jnp.asarray(numbers), jnp.asarray(tests)
    )
    trial, submits, steps = (np.asarray(x) for x in results)
    ids = tuple(env.source.ids[number] for number in numbers)
    return Passed(ids, tests, trial, submits, steps, trials)


def _all_tests(tasks: Tasks) -> tuple[np.ndarray, np.ndarray]:
    """Task and number of every test, int32 [R] each."""
    counts = np.asarray(tasks.tests.count)
    pairs = [(task, test) for task, count in enumerate(counts) for test in range(count)]
    numbers, tests = np.asarray(pairs, np.int32).T
    return numbers, tests


def _play(
    env: ARCLE,
    act: Act,
    greedy: bool,
    params: Params,
    policy: Any,
    carry: Any,
    key: jax.Array,
    numbers: jax.Array,
    tests: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The trial that was right, submissions and steps of each test, int32 [R] each."""
    count = numbers.shape[0]
    first = room(env.source.example(params.tasks))[0]
    obs, state = jax.vmap(env.begin, in_axes=(None, 0, 0))(params, numbers, first + tests)
    no = jnp.zeros(count, jnp.int32)

    def one(key: jax.Array, state: EnvState, action: Any) -> Any:
        obs, state, _, terminated, info = env.step_env(key, state, action, params)
        return obs, state, terminated | env.is_truncated(state, params), info

    def more(loop: Any) -> jax.Array:
        return ~jnp.all(loop[-1])

    def body(loop: Any) -> Any:
        key, obs, state, carry, trial, submits, steps, over = loop
        key, key_act, key_step = jax.random.split(key, 3)
        action, carry = act(policy, obs, carry, None if greedy else key_act)
        obs, state, ended, info = jax.vmap(one)(jax.random.split(key_step, count), state, action)
        counts = ~over
        first = counts & info["correct"] & (trial == 0)
        trial = jnp.where(first, info["submits"], trial)
        submits = jnp.where(counts, info["submits"], submits)
        steps = jnp.where(counts, steps + 1, steps)
        return key, obs, state, carry, trial, submits, steps, over | ended

    over = jnp.zeros(count, jnp.bool_)
    loop = (key, obs, state, carry, no, no, no, over)
    return jax.lax.while_loop(more, body, loop)[4:7]
