# switchgear: `make demo` shows it, `make test` proves it. `make help` lists the rest.
# Each target bootstraps what it needs; the second time is quick.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help venv lock lint types unit cluster e2e test generate drift demo controlplane clean

help: ## this list
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

venv: $(VENV)/.ready ## the hash-locked virtual environment

$(VENV)/.ready: requirements/dev.txt pyproject.toml
	@echo "» virtual environment in $(VENV) (about a minute the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
