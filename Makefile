# Everything is made inside the clone: .venv is the environment, .venvs the ones of other interpreters.
SHELL := /bin/bash
.DEFAULT_GOAL := help
# Without bytecode every Airflow process starts two to three times slower.
unexport PYTHONDONTWRITEBYTECODE

# A name alone is not enough: it may be a shim without an interpreter behind it, or lack ensurepip.
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3.10 python3; do \
	"$$name" -c 'import ensurepip, venv, sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
	>/dev/null 2>&1 && { echo "$$name"; break; }; done)
# The version of Airflow that everything runs on: 3.0, 3.1, 3.2 or 3.3, which has the environment of the developer.
AIRFLOW ?= 3.3
VENV ?= $(if $(filter 3.3,$(AIRFLOW)),.venv,.venvs/airflow-$(AIRFLOW))
PINS ?= requirements/airflow-$(AIRFLOW).txt
WORKERS ?= 3
ARGS ?=
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# What shares an Airflow stays with one worker, and what takes long comes first: tests/units.py has both.
OPTIONS := -n $(WORKERS) --no-loadscope-reorder

.PHONY: help install run test check lint style format test-versions test-interpreters parity bench screenshots dist clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 26

install: $(VENV)/.installed ## Create the environment (every other target does so by itself)

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "No Python 3.10 to 3.13 with ensurepip found; name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	"$(PYTHON)" -m venv $(VENV)

$(VENV)/.pins: $(PINS) | $(BIN)/python
	$(PIP) install --quiet --require-hashes --no-deps -r $(PINS)
	@touch $@

# What is developed on is the source itself; another Airflow has the wheel, as its users.
ifeq ($(AIRFLOW),3.3)
PLUGIN := -e .
else
PLUGIN := --force-reinstall $(or $(WHEEL),.)
SOURCES := $(shell find src -type f -not -name '*.pyc')
endif

$(VENV)/.installed: $(VENV)/.pins pyproject.toml $(SOURCES)
	$(PIP) install --quiet --no-deps --no-build-isolation $(PLUGIN)
	@touch $@

run: install ## Start Airflow with the plugin and example DAGs (PORT=8080, AIRFLOW=3.3, AIRFLOW_HOME, TOPOLOGY=split); Ctrl-C ends it
	@exec $(BIN)/python -m demo

test: style ## Lint, all tests, and quick ones on the oldest and the newest other interpreter at hand
	$(BIN)/python -m tools.suite $(OPTIONS) $(ARGS)

check: style ## Lint and the quick tests, which need no Airflow process and no server: within a minute
	$(BIN)/python -m tools.check $(OPTIONS) $(ARGS)

lint: style ## Style and types
	$(BIN)/mypy

# Types take long without a cache: with the tests they are looked at meanwhile.
style: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: install ## Put the code into the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test-versions: install ## What sees the plugin from outside, on Airflow 3.0 to 3.2 and on other databases
	$(BIN)/python -m tools.versions $(ARGS)

test-interpreters: install ## The tests without Airflow processes on every other interpreter at hand
	$(BIN)/python -m tools.interpreters

parity: install ## Record anew what the airflow command prints, and fail where it differs (ARGS=--write takes it over)
	$(BIN)/python -m tools.parity $(ARGS)

bench: install ## Measure commands over REST against new processes and Airflow's own REST API
	$(BIN)/python -m bench $(ARGS)

screenshots: install ## Take the pictures in docs/images anew, from a demo (needs Debian's chromium)
	$(BIN)/python -m tools.screenshots

dist: install ## Build the wheel, and the zip for the plugins folder, into dist/
	$(BIN)/python -m tools.dist

clean: ## Remove the environments, the demo's Airflow and everything built
	rm -rf .venv .venvs .airflow dist build .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
