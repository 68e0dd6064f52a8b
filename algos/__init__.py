"""Algorithms, imported as `jaxrl.algos`."""
