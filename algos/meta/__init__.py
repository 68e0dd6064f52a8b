"""Objectives that are learnt: evolution over phi, with whole trainings as fitness.

`configure` and `meta_train` do what `jaxrl meta-train` does. Below them everything is a pure
function: `strategies` (ask and tell), `population` (who is trained where), `generation` (one step
of evolution as one program), `gradients` (derivatives by phi instead of evolution).
"""

from jaxrl.algos.meta.command import configure as configure
from jaxrl.algos.meta.config import MetaConfig as MetaConfig
from jaxrl.algos.meta.run import MetaResult as MetaResult
from jaxrl.algos.meta.run import meta_resume as meta_resume
from jaxrl.algos.meta.run import meta_train as meta_train
from jaxrl.algos.meta.strategies import Evolution as Evolution
