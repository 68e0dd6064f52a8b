"""The XLA flag and the compile cache, each seen from a fresh process."""

import json
import os

import pytest

from tests.processes import run_python

FLAG = "--xla_cpu_enable_concurrency_optimized_scheduler"
ADDED = f"{FLAG}=false"

REPORT = """
import json, os, sys, warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import jaxrl
print(json.dumps([os.environ.get("XLA_FLAGS"), [
    [w.category.__name__, str(w.message), os.path.basename(w.filename)] for w in caught]]))
"""


def _flags_after_import(before: str = "", **env: str) -> tuple[str | None, list[list[str]]]:
    """XLA_FLAGS and the warnings after `import jaxrl`, with the code `before` run first."""
    flags, warned = json.loads(run_python(before + REPORT, env=env).stdout)
    return flags, warned


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, ADDED),
        ({"XLA_FLAGS": ""}, ADDED),
        ({"XLA_FLAGS": "--xla_dump_to=/x"}, f"--xla_dump_to=/x {ADDED}"),
        ({"XLA_FLAGS": f"{FLAG}=true"}, f"{FLAG}=true"),
        ({"XLA_FLAGS": f"--xla_dump_to=/x {FLAG}"}, f"--xla_dump_to=/x {FLAG}"),
        ({"XLA_FLAGS": ADDED}, ADDED),
        ({"XLA_FLAGS": f"{FLAG}_v2=true"}, f"{FLAG}_v2=true {ADDED}"),
        ({"JAX_PLATFORMS": ""}, ADDED),
        ({"JAX_PLATFORMS": "cpu"}, ADDED),
        ({"JAX_PLATFORMS": "cuda,cpu"}, ADDED),
        ({"JAX_PLATFORMS": "cuda"}, None),
    ],
)
def test_flag_is_added_where_the_cpu_may_be_used_and_the_user_left_it_open(env, expected):
    assert _flags_after_import(**env) == (expected, [])


def test_flag_is_added_after_jax_was_imported_and_starts_no_backend():
    before = "import jax\n"
    assert _flags_after_import(before) == (ADDED, [])
    # JAX refuses this setting once a backend has started.
    run_python(before + "import jaxrl\njax.config.update('jax_num_cpu_devices', 2)")


def test_platforms_chosen_in_the_configuration_of_jax_count():
    before = "import jax; jax.config.update('jax_platforms', 'cuda')\n"
    assert _flags_after_import(before) == (None, [])
    before = "import jax; jax.config.update('jax_platforms', 'cpu')\n"
    assert _flags_after_import(before, JAX_PLATFORMS="cuda") == (ADDED, [])


def test_too_late_is_a_warning_at_the_users_import():
    flags, warned = _flags_after_import("import jax; jax.devices()\n", JAX_PLATFORMS="cpu")
    assert flags is None
    ((category, message, filename),) = warned
    assert category == "RuntimeWarning"
    assert "JAX started a backend before jaxrl was imported" in message
    assert filename == "<string>"


def test_too_late_does_not_matter_where_the_user_set_the_flag():
    before = "import jax; jax.devices()\n"
    assert _flags_after_import(before, JAX_PLATFORMS="cpu", XLA_FLAGS=ADDED) == (ADDED, [])


def test_a_file_of_flags_is_read_but_not_replaced(tmp_path):
    file = tmp_path / "flags"
    file.write_text("--xla_dump_to=/x\n")
    flags, warned = _flags_after_import(XLA_FLAGS=str(file))
    assert flags == str(file)
    assert [category for category, *_ in warned] == ["RuntimeWarning"]
    file.write_text(f"--xla_dump_to=/x\n{FLAG}=true\n")
    assert _flags_after_import(XLA_FLAGS=str(file)) == (str(file), [])


def test_training_over_vmapped_seeds_finishes_on_cpu():
    """The hang is a matter of time, hence the many updates.

    With the scheduler on, 5 of 5 runs of this program hung on two cores under jaxlib 0.10.2
    (3 of 3 finished under 0.11.2); with it off, all finished in half a minute.
    """
    code = """
import jax
import jaxrl
from jaxrl.algos.on_policy.types import Config

spec = jaxrl.registry.algorithm("ppo")
env, env_params = jaxrl.make("CartPole-v1")
config = Config(num_envs=4, num_steps=128, num_epochs=4, num_minibatches=4)
algorithm = spec.make(env, env_params, config)
hp = jaxrl.canonical(spec.hyperparameters(env=env_params))
keys = jax.random.split(jax.random.key(0), 4)
train = jax.jit(jax.vmap(jaxrl.train(algorithm, 500), in_axes=(0, None)))
state, metrics = jax.block_until_ready(train(keys, hp))
assert metrics["loss"].shape == (4, 500), metrics["loss"].shape
assert bool(jax.numpy.isfinite(metrics["loss"]).all())
assert state.update.tolist() == [500] * 4
"""
    run_python(code, env={"JAX_PLATFORMS": "cpu"}, timeout=300)


CACHE_REPORT = """
import os, sys, warnings
import jax
from jaxrl import _platform
"""

COMPILE = """
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.jit(lambda x: x * {factor})(1.0)
"""


def _cache_folder(argument: str = "", **env: str) -> list[str]:
    """What `enable_compilation_cache` returns, and the folder and threshold JAX then has."""
    code = f"""{CACHE_REPORT}
print(_platform.enable_compilation_cache({argument}))
print(jax.config.jax_compilation_cache_dir)
print(jax.config.jax_persistent_cache_min_compile_time_secs)
"""
    return run_python(code, env=env).stdout.split()


def test_cache_folder_is_chosen_in_order(tmp_path):
    names = ("argument", "ours", "jax", "xdg", "home")
    argument, ours, jaxs, xdg, home = (str(tmp_path / name) for name in names)
    env = {"HOME": home, "XDG_CACHE_HOME": ""}
    assert _cache_folder(**env) == [f"{home}/.cache/jaxrl/xla"] * 2 + ["0.5"]
    env["XDG_CACHE_HOME"] = xdg
    assert _cache_folder(**env) == [f"{xdg}/jaxrl/xla"] * 2 + ["0.5"]
    env |= {"JAX_COMPILATION_CACHE_DIR": jaxs, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "3"}
    assert _cache_folder(**env) == [jaxs, jaxs, "3.0"]
    env["JAXRL_COMPILATION_CACHE"] = ours
    assert _cache_folder(**env) == [ours, ours, "3.0"]
    assert _cache_folder(repr(argument), **env) == [argument, argument, "3.0"]
    assert all(os.path.isdir(folder) for folder in (argument, ours, jaxs))


def test_cache_can_be_turned_off_by_the_environment(tmp_path):
    report = _cache_folder(JAXRL_COMPILATION_CACHE="off", HOME=str(tmp_path))
    assert report == ["None", "None", "1.0"]
    assert not list(tmp_path.iterdir())


def test_importing_jaxrl_leaves_the_cache_alone(tmp_path):
    done = run_python(
        CACHE_REPORT + "print(jax.config.jax_compilation_cache_dir)", env={"HOME": str(tmp_path)}
    )
    assert done.stdout.split() == ["None"]
    assert not list(tmp_path.iterdir())


def test_cache_starts_and_stops_after_jax_has_compiled(tmp_path):
    code = "".join(
        (
            CACHE_REPORT,
            COMPILE.format(factor=2.0),
            f"folder = _platform.enable_compilation_cache({str(tmp_path)!r})\n",
            COMPILE.format(factor=3.0),
            "kept = len(os.listdir(folder))\nassert kept > 0\n",
            "_platform.disable_compilation_cache()\n",
            COMPILE.format(factor=4.0),
            "assert len(os.listdir(folder)) == kept\n",
        )
    )
    run_python(code, env={"JAX_PLATFORMS": "cpu"})


def test_a_cache_that_cannot_be_made_is_a_warning(tmp_path):
    (tmp_path / "file").write_text("")
    code = f"""{CACHE_REPORT}
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    assert _platform.enable_compilation_cache({str(tmp_path / "file" / "cache")!r}) is None
assert [w.category for w in caught] == [RuntimeWarning], caught
assert jax.config.jax_compilation_cache_dir is None
"""
    run_python(code)
