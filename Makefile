# Sanad Trader: the commands of the house. `make` alone lists them. Work from any directory: make -f PATH/Makefile.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
ROOT := $(shell cd "$$(dirname "$(strip $(MAKEFILE_LIST))")" && pwd)
PYTHON := .venv/bin/python
PYTEST := $(PYTHON) -m pytest
JOBS ?= 2
IN := cd "$(ROOT)" &&

# The folders `make check` runs, as far as they exist, slow tests included.
CHECKED = $(shell $(IN) ls -d tests/tidy tests/unit tests/stateful tests/model tests/race tests/runbook tests/sim/test_sim_clients.py 2>/dev/null)

.PHONY: help setup setup-dev run test check lint audit bench crash soak lock clean

help:  ## list the commands
	@$(IN) grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "make %-10s %s\n", $$1, $$2}'

setup:  ## make .venv and install requirements.txt (only when it changed)
	@$(IN) .ci/venv requirements.txt

setup-dev: setup  ## as setup, plus the tools of check and audit
	@$(IN) .ci/venv requirements-dev.txt

run: setup  ## the demo: a simulated exchange, cron-style ticks, a summary
	@$(IN) $(PYTHON) scripts/demo.py $(ARGS)

test: setup  ## the quick tests
	@$(IN) $(PYTEST) -n $(JOBS) -m "not slow and not bench and not crash and not soak" $(ARGS)

check: lint  ## ruff, mypy --strict, import-linter, then tidy, unit, stateful, model, race and runbook tests, slow ones too
	@$(IN) $(PYTEST) -n $(JOBS) -m "not bench and not crash and not soak" $(CHECKED)

lint: setup-dev  ## the fast part of check: ruff, mypy --strict, import-linter
	@$(IN) $(PYTHON) -m ruff check .
	@$(IN) $(PYTHON) -m ruff format --check --quiet . || { echo "format: run .venv/bin/ruff format ."; exit 1; }
	@$(IN) $(PYTHON) -m mypy
	@$(IN) PYTHONPATH=scripts $(PYTHON) -c 'from importlinter.cli import lint_imports_command as lint; lint()' --no-logo

audit: setup-dev  ## known vulnerabilities, bandit, secret scan
	@$(IN) $(PYTHON) .ci/audit.py

bench: setup  ## speed as ratios to a floor measured in the same run
	@$(IN) $(PYTEST) tests/bench -m bench -s -p no:xdist $(ARGS)

crash: setup  ## process death and power cut, sampled; FULL=1 for every point
	@$(IN) SANAD_CRASH_FULL=$(FULL) $(PYTEST) tests/crash -m crash -n $(JOBS) -s $(ARGS)

soak: setup  ## the long runs
	@$(IN) $(PYTEST) -m soak -s $(ARGS)

lock: setup-dev  ## write requirements*.txt anew from requirements*.in
	@$(IN) pin() { $(PYTHON) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-emit-index-url --no-emit-find-links $(if $(UPGRADE),--upgrade) "$$@"; }; \
	pin requirements.in -o requirements.txt && pin -c requirements.txt requirements-dev.in -o requirements-dev.txt

clean:  ## remove .venv and caches; state, journal and logs stay
	@$(IN) rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@$(IN) find scripts tests -name __pycache__ -type d -prune -exec rm -rf {} +
