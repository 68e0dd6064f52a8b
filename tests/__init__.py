"""Tests, as a package: the package opensimplex installs a `tests` of its own, which would be found instead."""
