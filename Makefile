# `make dev` serves, `make test` tests: on a machine that has Python 3.11 or newer, and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: dev test check format fuzz conformance clean

dev: $(INSTALLED)
	@exec $(BIN)/stagewire dev

test: $(INSTALLED)
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

check: $(INSTALLED)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest -q -n 0 tests/realtime/specs

format: $(INSTALLED)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# The fuzzing of `make test`, so many times as long, with other examples each time.
fuzz: $(INSTALLED)
	@PROPERTY_EFFORT=$${PROPERTY_EFFORT:-50} $(BIN)/python -m pytest -n 0 --timeout 7200 tests/hostile/test_fuzz.py tests/hostile/test_openapi.py

# Autobahn's fuzzing client against our transport, where it is installed.
conformance: $(INSTALLED)
	@$(BIN)/python -m tests.conformance autobahn

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Stagewire needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	@echo "Installing into $(VENV) …"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
