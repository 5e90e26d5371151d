# The two commands of the README are `make demo` and `make test`; they need python3, make and a package registry.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check lint bench generate

demo: .venv/installed
	@sh scripts/demo.sh $(BIN)

.venv/installed: pyproject.toml
	@echo "making .venv, a virtual environment in this folder ..."
	@$(PYTHON) -m venv .venv
	@echo "installing arawn and what it needs into it: about half a minute ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/tested: pyproject.toml
	@echo "installing arawn and what its tests need into .venv: about a minute ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@ .venv/installed

.venv/checked: pyproject.toml
	@echo "installing arawn, what its tests need and the linters into .venv: about a minute ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ .venv/tested .venv/installed

test: .venv/tested
	$(BIN)/python -m pytest

lint: .venv/checked
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/vulture
	$(BIN)/deptry .
	$(BIN)/codespell arawn tests docs benchmarks scripts *.md

check: lint test

bench: .venv/tested
	$(BIN)/python -m benchmarks

# What is made from other files; tests hold each in step with its source.
generate: .venv/installed
	$(BIN)/python scripts/generate.py
