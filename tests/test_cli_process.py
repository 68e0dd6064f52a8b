"""The command line as a process of its own."""

import sys

from tests.processes import run_python


def test_help_loads_neither_jax_nor_tyro():
    done = run_python(
        "import sys; from jaxrl.cli import main; assert main(['--help']) == 0\n"
        "print(sorted({'jax', 'tyro', 'gymnax', 'orbax', 'rich'} & set(sys.modules)))"
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_python_m_jaxrl():
    done = run_python(
        "import runpy, sys; sys.argv = ['jaxrl', '--version']\n"
        "try: runpy.run_module('jaxrl', run_name='__main__')\n"
        "except SystemExit as stop: assert stop.code == 0"
    )
    assert done.stdout.startswith("jaxrl ")


def test_broken_pipe_is_no_error():
    done = run_python(
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-m', 'jaxrl', 'algorithms'],"
        " stdout=subprocess.PIPE, stderr=subprocess.PIPE)\n"
        "child.stdout.close()\n"
        "print(child.stderr.read().decode(), child.wait())"
    )
    assert done.stdout.split() == ["0"], sys.executable
