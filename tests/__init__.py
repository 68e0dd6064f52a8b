"""Tests, as a package: opensimplex installs a `tests` of its own, which would be found instead."""
