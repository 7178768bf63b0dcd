# The project's commands. `make lab` and `make test` are the two a newcomer needs.
# Wants only Python 3.11 or newer, make and git; everything else is installed into .venv* here.
# Another Python: `make test PYTHON=python3.12`.

SHELL := /bin/bash

# The first Python on PATH that is new enough.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python; do \
	$$python -c '$(NEW_ENOUGH)' 2>/dev/null && echo $$python && break; done)
ifeq ($(strip $(PYTHON)),)
$(error dynalab needs Python 3.11 or newer, and none was found. Name one: make PYTHON=/path/to/python3)
endif

LAB_ENV := .venv
TEST_ENV := .venv-$(notdir $(PYTHON))
# Naming the file, not the folder: Make then runs the install again when pyproject.toml is newer.
LAB_READY := $(LAB_ENV)/.dynalab-lab
TEST_READY := $(TEST_ENV)/.dynalab-test

# Two workers; the tests of one file, the cells of one notebook and all browser tests stay on one of them.
# Without reordering, the long browser tests come early, and no worker is left alone with them at the end.
PYTEST := $(TEST_ENV)/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder \
	--nbval-lax --nbval-current-env --nbval-cell-timeout=60
TESTED := tests dynalab $(wildcard notebooks solutions)

.PHONY: lab test test-all lint format bench clean
.DEFAULT_GOAL := test

# Compiled here, once: where Python may not write bytecode, every cluster would compile our sources anew as it starts.
$(LAB_READY): pyproject.toml
	$(PYTHON) -m venv $(LAB_ENV)
	$(LAB_ENV)/bin/python -m pip install --quiet --editable '.[lab]'
	$(LAB_ENV)/bin/python -m compileall -q dynalab
	touch $@

$(TEST_READY): pyproject.toml
	$(PYTHON) -c '$(NEW_ENOUGH)' || { echo '$(PYTHON) is older than 3.11' >&2; exit 1; }
	$(PYTHON) -m venv $(TEST_ENV)
	$(TEST_ENV)/bin/python -m pip install --quiet --editable '.[test,http,disk,dev]'
	$(TEST_ENV)/bin/python -m compileall -q dynalab
	touch $@

lab: $(LAB_READY)  ## JupyterLab on the tour
	$(LAB_ENV)/bin/dynalab lab

test: $(TEST_READY)  ## all but the slow tests
	$(PYTEST) -m 'not slow' $(TESTED)

test-all: $(TEST_READY)  ## every test, with many more examples
	DYNALAB_THOROUGH=1 $(PYTEST) $(TESTED)

lint: $(TEST_READY)  ## style and types
	$(TEST_ENV)/bin/ruff check
	$(TEST_ENV)/bin/ruff format --check
	$(TEST_ENV)/bin/mypy

format: $(TEST_READY)  ## put the code in order
	$(TEST_ENV)/bin/ruff check --fix
	$(TEST_ENV)/bin/ruff format

bench: $(TEST_READY)  ## our speed beside the yardstick's, on this machine
	$(TEST_ENV)/bin/dynalab bench

clean:  ## forget environments, caches and builds
	rm -rf .venv* build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
