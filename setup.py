"""The package list; everything else is in pyproject.toml.

`envs/` and `algos/` are top-level folders of the repository and install as `jaxrl.envs` and
`jaxrl.algos`. A checkout also holds the links `jaxrl/envs` and `jaxrl/algos` for editors and type
checkers; `find_packages` follows links, so they are left out of the search in `jaxrl/`.
"""

from setuptools import find_packages, setup

FOLDERS = {"jaxrl.envs": "envs", "jaxrl.algos": "algos"}

core = find_packages(include=["jaxrl", "jaxrl.*"], exclude=[f"{name}*" for name in FOLDERS])
parts = [
    ".".join(filter(None, (name, package)))
    for name, folder in FOLDERS.items()
    for package in ("", *find_packages(folder))
]

setup(
    packages=core + parts,
    package_dir=FOLDERS,
    package_data={"": ["py.typed", "*.json", "*.npz", "*.png", "*.html"]},
)
