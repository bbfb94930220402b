# Wraps the commands that README.md gives for machines without make. PYTHON is any Python 3.11 to 3.13.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo dev test quick lint docs clean-venv setup
.DEFAULT_GOAL := demo

demo: setup          ## the whole study once, then the leaderboard
	$(BIN)/bioalign demo

dev: setup           ## the Dagster UI over the same runs
	$(BIN)/bioalign dev

test: setup          ## all tests
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

quick: setup         ## the tests that take seconds: after each change
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

lint: setup          ## linter, formatter, type checker, which room may import which, generated docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bioalign docs --check

docs: setup          ## generated docs
	$(BIN)/bioalign docs

setup: $(VENV)/.installed

# Made anew when a dependency changes; the stamp comes last, so that a broken install is repeated.
$(VENV)/.installed: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) was not found: BioAlign needs Python 3.11, 3.12 or 3.13. Name yours: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean-venv:
	rm -rf $(VENV)
