# Every target works from a fresh clone: whatever needs .venv makes it first.
# `make install PYTHON=/path/to/python` chooses the interpreter; `make test ARGS="-k ppo"` passes on.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTHONS := $(if $(PYTHON),$(PYTHON),python3.12 python3.11 python3.13 python3)
ARGS :=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo test lint format clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

install: $(STAMP) ## Install the package and its tools, at pinned versions, into .venv

demo: $(STAMP) ## Train PPO on MinAtar Breakout with four seeds, into runs/demo
	$(BIN)/jaxrl train ppo Breakout-MinAtar --seeds 4 --total-steps 1e6 \
	  --out runs/demo --overwrite

test: $(STAMP) ## Run the tests in two processes
	$(BIN)/pytest -n 2 $(ARGS)

lint: $(STAMP) ## Check format, lint rules and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(STAMP) ## Format the code and apply safe lint fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## Remove .venv, caches and build outputs; runs/ stays
	rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A candidate must run (a pyenv shim on PATH may not), be new enough and be able to make a venv.
$(STAMP): pyproject.toml setup.py constraints.txt
	@python=; for candidate in $(PYTHONS); do \
	  if "$$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' \
	      >/dev/null 2>&1; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "make install: no Python >= 3.11 that can make a venv among: $(PYTHONS)" >&2; exit 1; \
	fi; \
	if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  "$$python" -m venv --clear $(VENV); \
	fi
	@echo "Installing into $(VENV) with $$($(BIN)/python --version) (about 1.2 GB)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
