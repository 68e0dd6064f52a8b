"""Compiling for tests: programs that run for less time than they compile."""

import functools

import jax

_OPTIONS: dict[str, int | bool] = {"xla_backend_optimization_level": 0}
if jax.__version_info__ < (0, 11):  # the flag is gone since
    _OPTIONS["xla_cpu_use_fusion_emitters"] = False

# `jax.jit` that compiles in half the time and less, and whose programs run slower: not for what is
# run many times. Only for a whole program, not for a function that another program calls.
jit = functools.partial(jax.jit, compiler_options=_OPTIONS)
