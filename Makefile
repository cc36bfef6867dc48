# Needs python3 (3.11 or newer), make and git; everything else is installed into .venv from the locks in requirements/.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORES := src/offhook/audiohook/*,src/offhook/httpsig/*,src/offhook/realtime/*,src/offhook/bridge/*,src/offhook/audio/*
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

.DEFAULT_GOAL := help
.PHONY: .venv audit clean coverage demo docs help lint lock run test

help: ## list the targets
	@grep -hE '^[a-z.]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

.venv: $(VENV)/.runtime ## set up .venv with offhook and nothing else

$(VENV)/.runtime: requirements/runtime.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "offhook needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V). Try: make PYTHON=python3.12"; exit 2; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "python3 -m venv failed; on Debian and Ubuntu: apt-get install python3-venv"; exit 2; }
	@echo "Installing offhook into $(VENV) ..."
	@$(PIP) --require-hashes -r requirements/runtime.txt
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements/dev.txt
	@echo "Installing the tools for tests and docs into $(VENV) ..."
	@$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@

demo: $(VENV)/.runtime ## carry a complete simulated call, no key and no network needed
	@$(BIN)/offhook demo

run: $(VENV)/.runtime ## serve with offhook.yaml (with the emulator when there is no OpenAI key)
	@$(BIN)/offhook serve

test: $(VENV)/.dev ## run the whole test suite
	@$(BIN)/python -m pytest -n 2 --dist worksteal

coverage: $(VENV)/.dev ## every branch of the cores, most of the rest, by the tests that are no whole runs
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -q -n 2 --dist worksteal tests/unit tests/conformance
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report --fail-under=100 --include='$(CORES)'
	@$(BIN)/coverage report --fail-under=90

lint: $(VENV)/.dev ## style, types, layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

audit: $(VENV)/.dev ## check the locks, and what is locked for known vulnerabilities
	@bash .ci/audit

docs: $(VENV)/.dev ## build the documentation, warnings are errors
	@$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html

lock: ## resolve requirements/*.txt anew (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
	  pyproject.toml --group build -q -o requirements/runtime.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
	  pyproject.toml --group dev --group docs --group build -c requirements/runtime.txt -q -o requirements/dev.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
	  --group audit -q -o requirements/audit.txt

clean: ## remove what make made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* docs/_build build dist
