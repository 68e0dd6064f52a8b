"""What is built and installed is the whole package, once, and under one name."""

import email
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections import Counter
from pathlib import Path

import pytest

import jaxrl
from tests.processes import ROOT, run_python

FOLDERS = {"jaxrl": "jaxrl", "envs": "jaxrl/envs", "algos": "jaxrl/algos"}
SOURCES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", *FOLDERS)


def _package_files() -> set[str]:
    """Files of the checkout that belong into the package, by their path in the wheel."""
    return {
        str(Path(target) / path.relative_to(ROOT / folder))
        for folder, target in FOLDERS.items()
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".typed", ".json", ".npz", ".png", ".html"}
        and not {"envs", "algos"}.intersection(path.relative_to(ROOT / folder).parts[:1])
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """(sdist, wheel) of the checkout, the wheel made from the sdist, without a network."""
    source = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=ignore)
        else:
            shutil.copy(ROOT / name, source / name)
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=out)
    assert done.returncode == 0, done.stdout + done.stderr
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """A folder that the wheel was installed into, away from the checkout."""
    target = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet"]
    subprocess.run([*command, "--target", str(target), str(built[1])], check=True)
    return target


def test_links_in_the_checkout_point_at_the_folders():
    for name in ("envs", "algos"):
        assert os.readlink(ROOT / "jaxrl" / name) == f"../{name}"


def test_wheel_has_every_file_of_the_package_exactly_once(built):
    with zipfile.ZipFile(built[1]) as wheel:
        names = [name for name in wheel.namelist() if ".dist-info/" not in name]
    assert len(names) == len(set(names))
    assert set(names) == _package_files()


def test_sdist_has_every_file_of_the_package_exactly_once(built):
    with tarfile.open(built[0]) as sdist:
        names = [name.partition("/")[2] for name in sdist.getnames()]
    targets = Counter(
        name.replace(folder, target, 1)
        for name in names
        for folder, target in FOLDERS.items()
        if name.startswith(f"{folder}/") and Path(name).suffix
    )
    assert targets == dict.fromkeys(_package_files(), 1)


def test_metadata(built):
    with zipfile.ZipFile(built[1]) as wheel:
        info = f"jaxrl-{jaxrl.__version__}.dist-info"
        metadata = email.message_from_bytes(wheel.read(f"{info}/METADATA"))
        entry_points = wheel.read(f"{info}/entry_points.txt").decode()
    assert metadata["Name"] == "jaxrl"
    assert metadata["Version"] == jaxrl.__version__
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.11"
    assert entry_points.split() == ["[console_scripts]", "jaxrl", "=", "jaxrl.cli:main"]
    assert set(metadata.get_all("Provides-Extra", [])) == {
        "dev",
        "gpu",
        "gymnasium",
        "notebook",
        "pettingzoo",
        "reference",
        "slurm",
        "tensorboard",
        "video",
        "wandb",
    }


def test_every_module_imports_from_the_installed_wheel(installed, tmp_path):
    modules = sorted(
        str(path.relative_to(installed).with_suffix("")).replace(os.sep, ".")
        for path in (installed / "jaxrl").rglob("*.py")
        if path.name != "__main__.py"
    )
    modules = [module.removesuffix(".__init__") for module in modules]
    assert {"jaxrl.envs", "jaxrl.algos.on_policy.ppo", "jaxrl.adapters.gymnax"} <= set(modules)
    code = f"""
import importlib, json, sys
files = {{name: importlib.import_module(name).__file__ for name in {modules!r}}}
print(json.dumps([files, sorted({{"envs", "algos"}}.intersection(sys.modules))]))
"""
    done = run_python(code, cwd=tmp_path, path=installed, env={"JAX_PLATFORMS": "cpu"})
    files, second_names = json.loads(done.stdout.splitlines()[-1])
    assert sorted(files) == modules
    assert [name for name, file in files.items() if not file.startswith(f"{installed}/")] == []
    assert second_names == []


def test_a_class_made_by_the_registry_is_the_class_of_its_module(installed, tmp_path):
    code = """
import importlib
from jaxrl import registry
entries = registry._ENVIRONMENTS.items()
own = {k: e.target for k, e in entries if not k.startswith("brax/") and "gymnax" not in e.target}
assert {"Probe-Mask-v1", "CrafterOO-Pixels-v1"} <= own.keys()
for env_id, target in own.items():
    module, _, name = target.partition(":")
    assert module.startswith("jaxrl.envs."), target
    assert type(registry.make(env_id)[0]) is getattr(importlib.import_module(module), name)
for name in registry.algorithms():
    assert registry.algorithm(name).hyperparameters.__module__.startswith("jaxrl.algos."), name
"""
    run_python(code, cwd=tmp_path, path=installed, env={"JAX_PLATFORMS": "cpu"})


def test_constraints_pin_every_dependency_to_one_version_per_python():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    pattern = r'([a-z0-9-]+)==[\w.]+( ; python_version (<|>=) "3\.12")?'
    matches = [re.fullmatch(pattern, pin) for pin in pins]
    assert [pin for pin, match in zip(pins, matches, strict=True) if match is None] == []
    markers: dict[str, list[str | None]] = {}
    for match in filter(None, matches):
        markers.setdefault(match[1], []).append(match[3])
    for name, found in markers.items():
        assert found in ([None], ["<", ">="]), name
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *sum(project["optional-dependencies"].values(), [])]
    for requirement in wanted:
        name = re.split(r"[\[<>=]", requirement)[0]
        if name == project["name"]:  # an extra that includes others
            continue
        assert re.sub(r"[-_.]+", "-", name).lower() in markers, requirement


def test_no_dependency_on_nightly_builds():
    """Packages like distrax and rlax pull a nightly build of TensorFlow Probability."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    names = {re.split(r"[=;\s]", line)[0].lower() for line in lines if line and line[0] != "#"}
    assert {"jax", "optax", "brax"} <= names
    banned = {"tfp-nightly", "tensorflow-probability", "distrax", "rlax", "jaxmarl"}
    assert not names & banned
    assert not any(name.endswith("nightly") for name in names)
