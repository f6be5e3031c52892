# `make` alone lists what there is. Everything happens in $(VENV); nothing is installed elsewhere.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SEED ?= 1
# Processes that share the tests. Most tests wait for other processes, so two take little more than half the time.
WORKERS ?= 2
# Names of files and folders with Python in them, for format, lint and types.
SOURCES := $(wildcard p2pcli tests benchmarks docs/conf.py)
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
PYTEST := $(BIN)/python -m pytest
SHARED := -n $(WORKERS) --dist worksteal

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run stop setup test coverage check lint slow simulate bench bench-exchange bench-book bench-log bench-registry bench-wire bench-restart settings pictures docs clean distclean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.installed ## start three nodes, place a first trade, show book and trades
	$(BIN)/p2px cluster up -n 3
	$(BIN)/p2px order sell 1.5@30000 --node client2
	$(BIN)/p2px order buy 0.5@30000 --node client1
	$(BIN)/p2px book show
	$(BIN)/p2px trades tail
	@echo
	@echo "The cluster goes on in the background. Stop it:  make stop  (or $(BIN)/p2px cluster down)"
	@echo "Type p2px instead of $(BIN)/p2px after:          . $(BIN)/activate"

stop: $(VENV)/.installed ## stop the nodes that `make run` started
	$(BIN)/p2px cluster down

setup: $(VENV)/.dev ## make the environment with everything that tests and checks need

test: $(VENV)/.dev ## run the whole test suite with coverage
	$(PYTEST) $(SHARED) --cov --cov-report=term $(ARGS)

coverage: $(VENV)/.dev ## the same, measured in every process the tests start as well (slower)
	$(PYTEST) $(SHARED) --cov --cov-config=.ci/coverage.toml --cov-report=term --cov-report=html $(ARGS)

check: lint ## format, lint, types and the fast tests: what a review runs
	$(PYTEST) $(SHARED) -q -m "not slow" $(ARGS)

lint: $(VENV)/.dev ## ruff (lint and format) and mypy --strict
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy

slow: $(VENV)/.dev ## only the tests that start real processes or take long
	$(PYTEST) $(SHARED) -m slow $(ARGS)

simulate: $(VENV)/.dev ## properties and simulations with many examples, repeatable: SEED=7
	HYPOTHESIS_PROFILE=search $(PYTEST) -m "property or simulation" --hypothesis-seed=$(SEED) $(ARGS)

bench: $(VENV)/.dev ## every benchmark, kept in bench-results/ (some minutes; ARGS=--quick for a short form)
	$(BIN)/python -m benchmarks.suite $(ARGS)

bench-exchange: $(VENV)/.dev ## orders a second and latency of whole clusters, with the disk's own sync time
	$(BIN)/python -m benchmarks.exchange $(ARGS)

bench-book: $(VENV)/.dev ## commands a second of the book alone
	$(BIN)/python benchmarks/book.py $(ARGS)

bench-log: $(VENV)/.dev ## batches a second of the log alone
	$(BIN)/python -m benchmarks.log $(ARGS)

bench-registry: $(VENV)/.dev ## announces and lookups a second of the registry
	$(BIN)/python benchmarks/registry.py $(ARGS)

bench-wire: $(VENV)/.dev ## what the bytes of one order cost on their way
	$(BIN)/python -m benchmarks.wire $(ARGS)

bench-restart: $(VENV)/.dev ## how long a node takes to serve again from a long log
	$(BIN)/python -m benchmarks.restart $(ARGS)

settings: $(VENV)/.dev ## write the pages about settings anew, from p2pcli/config/settings.py
	$(BIN)/python -m p2pcli.config table > docs/configuration.md
	$(BIN)/python -m p2pcli.config yaml > configs/default.yaml
	$(BIN)/python -m p2pcli.config env > .env.example

pictures: $(VENV)/.dev ## draw the terminal pictures of README and docs anew, from the real program
	$(BIN)/python tests/docs/pictures.py

docs: $(VENV)/.docs ## build the documentation into docs/_build/html
	$(BIN)/python -m sphinx --quiet --keep-going -j auto docs docs/_build/html
	@echo "docs/_build/html/index.html"

clean: ## remove what builds and tests leave behind
	rm -rf build dist *.egg-info .coverage .coverage.* htmlcov .pytest_cache .mypy_cache .ruff_cache .hypothesis docs/_build docs/reference
	find p2pcli tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

distclean: clean ## remove the environment and the npm packages of the tests as well
	rm -rf $(VENV) tests/interop/node/node_modules

# The first Python that is new enough and can make environments.
$(BIN)/python:
	@for python in $(PYTHON) python3.14 python3.13 python3.12 python3.11; do \
	  if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "$$python -m venv $(VENV)"; exec $$python -m venv $(VENV); \
	  fi; \
	done; \
	echo "error: p2px needs Python 3.11 or newer with its venv module; $(PYTHON) is not that" >&2; \
	echo "hint: apt-get install python3-venv, or make PYTHON=/path/to/python3.11" >&2; \
	exit 1

$(VENV)/.installed: setup.cfg pyproject.toml | $(BIN)/python
	$(PIP) install --editable .
	@touch $@

$(VENV)/.dev: setup.cfg pyproject.toml | $(BIN)/python
	$(PIP) install --editable ".[dev]"
	@touch $@ $(VENV)/.installed

$(VENV)/.docs: setup.cfg pyproject.toml | $(BIN)/python
	$(PIP) install --editable ".[docs]"
	@touch $@ $(VENV)/.installed
