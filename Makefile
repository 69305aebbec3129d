# Two commands from a fresh clone: `make demo` and `make test`. Each makes .venv if it is missing, installs, and runs.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
OPTIONS ?=

.PHONY: demo test lint types clean

demo: $(INSTALLED)
	$(BIN)/chronas demo

test: $(INSTALLED)
	$(BIN)/python -m pytest -q --numprocesses auto --dist worksteal $(OPTIONS)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $(INSTALLED)

clean:
	rm -rf .venv build dist .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis
