# switchgear: `make demo` shows it, `make test` proves it. `make help` lists the rest.
# Each target bootstraps what it needs; the second time is quick.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help venv lock lint types unit cluster e2e test generate drift demo controlplane image clean

help: ## this list
	@sed -n 's/^\([a-z][a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

venv: $(VENV)/.ready ## the hash-locked virtual environment

$(VENV)/.ready: requirements/dev.txt pyproject.toml
	@echo "» virtual environment in $(VENV) (about a minute the first time)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "switchgear needs Python 3.11 or newer, but $(PYTHON) is older: make PYTHON=python3.12 ..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
		{ echo "$(PYTHON) cannot make a virtual environment: install its venv module (Debian: python3-venv)"; rm -rf $(VENV); exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

lint: venv ## ruff, the formatter, and the import contracts (which arrows may exist)
	@echo "» lint"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-cache

types: venv ## mypy --strict over everything, tests included
	@echo "» types"
	@$(BIN)/mypy

unit: venv ## tests without a cluster
	@echo "» unit tests"
	@$(BIN)/python -m pytest -n 2 tests/unit

cluster: venv controlplane ## tests against a real kube-apiserver
	@echo "» cluster tests (real API servers on loopback, one for each of four workers)"
	@$(BIN)/python -m pytest -n 4 --dist loadfile tests/cluster

e2e: venv controlplane ## the chart and real workloads, with the real helm
	@echo "» end-to-end tests (helm, the local node, real workloads)"
	@$(BIN)/python -m pytest -n 2 --dist loadfile tests/e2e

controlplane: venv ## the real API server, etcd, controller manager and helm (built once, then cached)
	@$(BIN)/python -m dev controlplane

generate: venv ## write the generated files (the CRD) again
	@$(BIN)/python -m dev generate

drift: venv ## the generated files are what the code generates
	@echo "» drift of generated files"
	@$(BIN)/python -m dev generate --check

test: lint types drift unit cluster e2e ## everything; what CI runs

demo: venv ## the whole story, on a real Kubernetes API (KEEP=1: leave it running; KUBE_CONTEXT=name IMAGE=name:tag: on your cluster)
	@$(BIN)/python -m dev demo

image: venv ## the operator's image, by docker, podman or buildah (IMAGE=name:tag)
	@VENV=$(VENV) dev/image.sh $(IMAGE)

lock: venv ## write the hash-locked requirements again
	@for name in dev go operator; do $(BIN)/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 \
		--no-emit-index-url --no-emit-find-links requirements/$$name.in -o requirements/$$name.txt; done

clean: ## remove the virtual environment and build output (the control plane's cache stays)
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
