"""One generation by two processes on loopback, one device each."""

import os
import socket
import subprocess
import sys

import numpy as np

from tests.algos.meta.tiny import numbers, training_generation
from tests.processes import ROOT, clean_environment

# One of two processes: the same two generations, and its numbers as a file.
CHILD = """
import sys
import jax
import numpy as np
from jaxrl import hosts

address, index, out = sys.argv[1:]
hosts.initialize(address, 2, int(index))
# Not before: gymnax makes arrays when it is imported, which starts JAX.
from jaxrl import parallel
from tests.algos.meta.tiny import numbers, training_generation

mesh = parallel.make_population_mesh(4)
assert mesh.size == 2 and jax.local_device_count() == 1
programs, state = training_generation(mesh)
for _ in range(2):
    state, metrics = programs.step(state)
np.savez(out, *numbers(parallel.gather((state, metrics))))
hosts.wait_for_leader()
"""


def test_two_processes_compute_the_same_generations(tmp_path):
    """To the last bit, and the same in both."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    cache = {name: value for name, value in os.environ.items() if "CACHE" in name}
    files = [tmp_path / f"{i}.npz" for i in range(2)]
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, address, str(i), str(file)],
            env=clean_environment({"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "1", **cache}),
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i, file in enumerate(files)
    ]
    programs, state = training_generation(None)
    for _ in range(2):
        state, metrics = programs.step(state)
    try:
        errors = [child.communicate(timeout=200)[1] for child in children]
    finally:
        for child in children:
            child.kill()
    assert [child.returncode for child in children] == [0, 0], "\n".join(errors)
    expected = numbers((state, metrics))
    for file in files:
        with np.load(file) as saved:
            ours = [saved[f"arr_{i}"] for i in range(len(saved.files))]
        for mine, theirs in zip(ours, expected, strict=True):
            np.testing.assert_array_equal(mine, theirs)
