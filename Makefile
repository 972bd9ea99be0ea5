# Needs Python 3.11 or later with venv, nothing else. `make help` lists the verbs.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: ready help run test lint types layers conformance clients bench proof docs lock clean
SHELL := /bin/bash -o pipefail

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check install
ARGS ?=

# What is installed is named by the hash of what asked for it, so that a second call finds nothing to do.
hash = $(shell cat $(1) pyproject.toml | cksum | tr -d ' ')
RUNTIME := $(VENV)/.installed-runtime-$(call hash,requirements.txt)
DEVELOPMENT := $(VENV)/.installed-development-$(call hash,requirements-dev.txt)

# For .ci/run: the environment, and nothing more.
ready: $(DEVELOPMENT)

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

run: $(RUNTIME) ## install and start the registry on localhost:5050 (ARGS="--dev" and the like)
	@exec $(BIN)/moorage serve $(ARGS)

test: $(DEVELOPMENT) ## install and run the tests (ARGS="-k name" and the like)
	$(BIN)/pytest -n auto --dist worksteal -m "not long" --ignore=tests/clients --ignore=tests/conformance --ignore=tests/durability --ignore=tests/faults --ignore=tests/postgresql $(ARGS)

lint: $(DEVELOPMENT) ## check style and format
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(DEVELOPMENT) ## check types
	$(BIN)/mypy

layers: $(DEVELOPMENT) ## check that imports only go down
	$(BIN)/lint-imports

conformance: ## run the official OCI conformance suite (builds it first)
	.ci/run conformance

clients: ## run docker, podman, skopeo and the rest against a server (installs them first)
	.ci/run clients

bench: ## measure, side by side with the CNCF registry
	.ci/run bench

proof: ## the long versions of what CI runs short
	.ci/run proof

docs: $(DEVELOPMENT) ## write docs/settings.md and docs/status.md anew from the code
	$(BIN)/python -m scripts.generate_docs

lock: $(DEVELOPMENT) ## write requirements.txt and requirements-dev.txt anew from pyproject.toml
	.ci/lock $(BIN)/uv

clean: ## remove the virtual environment and every cache; data stays
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
	find src tests scripts bench -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed; say which with PYTHON=python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(RUNTIME): | $(BIN)/python
	@echo "installing what requirements.txt locks into $(VENV)"
	@$(PIP) --require-hashes --requirement requirements.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@rm -f $(VENV)/.installed-runtime-* && touch $@

$(DEVELOPMENT): | $(BIN)/python
	@echo "installing what requirements-dev.txt locks into $(VENV)"
	@$(PIP) --require-hashes --requirement requirements-dev.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@rm -f $(VENV)/.installed-* && touch $@ $(RUNTIME)
