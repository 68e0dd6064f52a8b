"""`import jaxrl` is cheap, and its public names are the objects they stand for."""

import importlib
import json

import pytest

import jaxrl
from tests.processes import run_python

HEAVY = (
    "brax",
    "flax",
    "gymnasium",
    "gymnax",
    "matplotlib",
    "mujoco",
    "optax",
    "orbax",
    "rich",
    "tensorboardX",
    "tyro",
)
MAX_SECONDS = 0.5


def test_import_loads_nothing_heavy():
    done = run_python("import json, sys, jaxrl; print(json.dumps(sorted(sys.modules)))")
    loaded = set(json.loads(done.stdout))
    assert "jaxrl" in loaded
    assert not loaded.intersection(HEAVY)


def test_listing_names_loads_nothing_heavy():
    done = run_python(
        "import json, sys, jaxrl\n"
        "assert 'CartPole-v1' in jaxrl.registry.environments()\n"
        "assert 'ppo' in jaxrl.registry.algorithms()\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    assert not set(json.loads(done.stdout)).intersection(HEAVY)


def test_import_costs_little_beyond_jax():
    code = (
        "import time, jax\n"
        "start = time.perf_counter()\n"
        "import jaxrl\n"
        "print(time.perf_counter() - start)"
    )
    seconds = min(float(run_python(code).stdout) for _ in range(5))
    assert seconds < MAX_SECONDS


def test_import_prints_nothing_and_warns_of_nothing():
    done = run_python("import warnings; warnings.simplefilter('error'); import jaxrl")
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("name", sorted(set(jaxrl.__all__) - {"__version__"}))
def test_public_name_is_the_object_of_its_module(name):
    value = getattr(jaxrl, name)
    if name in jaxrl._EXPORTS:
        assert value is getattr(importlib.import_module(jaxrl._EXPORTS[name]), name)
    else:
        assert value is importlib.import_module(f"jaxrl.{name}")


def test_public_names_do_not_depend_on_what_was_imported_first():
    # A function named like its module would be hidden once the module has been imported.
    modules = {module.rpartition(".")[2] for module in jaxrl._EXPORTS.values()}
    assert not modules.intersection(jaxrl._EXPORTS)
    assert sorted(set(jaxrl._EXPORTS).union(jaxrl._SUBMODULES, ["__version__"])) == jaxrl.__all__


def test_dir_lists_the_public_names():
    assert set(jaxrl.__all__) <= set(dir(jaxrl))


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'jaxrl' has no attribute 'mak'"):
        jaxrl.mak  # noqa: B018
