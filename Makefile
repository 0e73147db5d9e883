# maskline: `make run` and `make test` set up what they need; `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup run test quick cluster-test fuzz jax engine-test test-current lint prose docs audit sbom bench speed scale chaos soak ablation mlflow databases browser builder lock clean

UV_VERSION := 0.13.9
PIP_AUDIT_VERSION := 2.10.1
UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
BIN := .venv/bin
# Importing TensorFlow without bytecode is three times slower, so the set-up compiles it once, and our modules too:
# Python may be told not to write any, and reads what was compiled only as long as the source is the same.
export UV_COMPILE_BYTECODE := 1
export UV_NO_PROGRESS := 1
# A company's own certificate authority is in the system's store, where pip and the browser find it too.
export UV_SYSTEM_CERTS := 1

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

setup: .venv/.ready ## get uv, Python and exactly the locked dependencies; MASKLINE_PYTHON=3.12 chooses

# The stack and the Python that .venv holds stand in .ready: another choice makes the environment anew.
CHOSEN := $(shell locks/choose.sh 2>/dev/null)
STACK := $(word 1,$(CHOSEN))
PYTHON := $(word 2,$(CHOSEN))
OVER := --allow-existing
ifneq ($(CHOSEN),$(shell cat .venv/.ready 2>/dev/null))
.PHONY: .venv/.ready
OVER := --clear
endif

.venv/.ready: locks/$(STACK).txt locks/$(STACK)-dev.txt pyproject.toml setup.py | platform $(UV)
	@echo "Setting up .venv: the $(STACK) stack on Python $(PYTHON) (once; about a minute on a fast line)"
	@$(UV) venv --quiet $(OVER) --python $(PYTHON) .venv 2>/dev/null || { echo "maskline needs Python $(PYTHON): none was found here and uv could not download one; install python$(PYTHON) and try again." >&2; exit 1; }
	@$(UV) pip sync --quiet --python $(BIN)/python --require-hashes locks/$(STACK).txt locks/$(STACK)-dev.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q components pipeline trainer transform maskline/__init__.py
	@echo "$(CHOSEN)" > $@

# Where no stack serves this machine, nothing is named `locks/.txt`; the target says why.
locks/.txt locks/-dev.txt: platform

.PHONY: platform
platform:
	@locks/choose.sh >/dev/null

.tools/bin/uv:
	@command -v python3 >/dev/null || { echo "maskline's set-up needs uv or python3: install either and try again." >&2; exit 1; }
	@python3 -m pip --version >/dev/null 2>&1 || python3 -m venv --clear .tools/pip >/dev/null 2>&1 || { echo "maskline's set-up needs uv, or python3 with pip to get it: install uv, python3-pip or python3-venv and try again." >&2; exit 1; }
	@echo "Getting uv $(UV_VERSION) into .tools"
	@$$(ls .tools/pip/bin/python 2>/dev/null || echo python3) -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target .tools uv==$(UV_VERSION)

run: setup ## make the reference data where there is none, train, evaluate, push
	@[[ -d data/reference ]] || $(BIN)/maskline data --out data/reference
	@$(BIN)/maskline run

test: setup ## all tests, in two processes; those of a file stay together, and share their run
	@$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

quick: setup ## the tests that need no pipeline run, in two processes
	@$(BIN)/pytest -n 2 --dist loadfile -m "not slow"

engine-test: setup ## the whole pipeline on Beam's Prism, with workers killed and missing (needs Go or its cache; minutes)
	@$(BIN)/pytest -o addopts="-ra --strict-markers --import-mode=importlib" tests/engines

test-current: ## all tests in a Debian 13 of its own: glibc 2.41, Python 3.13, the current stack; needs root (an hour)
	@python3 -m tests.debian trixie build/debian13 make test

cluster-test: setup ## the whole pipeline on the cluster of KUBECONFIG, which has Kubeflow Pipelines; prints a table (tests/cluster/README.md)
	@$(BIN)/python -m tests.cluster

fuzz: setup ## settings, file names, shard bytes, rows and symbols, many times more than in the tests
	@MASKLINE_FUZZ=$${MASKLINE_FUZZ:-20} $(BIN)/pytest -n 2 -m fuzz tests

jax: .venv-jax/.ready ## our layers on Keras' JAX backend, in an environment of its own
	@.venv-jax/bin/python -m pytest --noconftest -p no:cacheprovider -c tests/backends/pytest.ini tests/backends

.venv-jax/.ready: locks/jax.txt | platform $(UV)
	@echo "Setting up .venv-jax"
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv-jax
	@$(UV) pip sync --quiet --python .venv-jax/bin/python --require-hashes locks/jax.txt
	@touch $@

mlflow: .venv-mlflow/.ready ## an MLflow server, in an environment of its own, which the tests of `tracking.mlflow` start

.venv-mlflow/.ready: locks/mlflow.txt | platform $(UV)
	@echo "Setting up .venv-mlflow"
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv-mlflow
	@$(UV) pip sync --quiet --python .venv-mlflow/bin/python --require-hashes locks/mlflow.txt
	@touch $@

databases: ## install Debian's PostgreSQL and MariaDB, which the tests of the cluster's store start; needs root
	@ls /usr/lib/postgresql/*/bin/initdb /usr/bin/mariadb-install-db >/dev/null 2>&1 || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql mariadb-server >/dev/null; }

browser: ## install Debian's Chromium, in which the tests open reports; needs root
	@command -v chromium >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; }

builder: ## install Debian's buildah and mmdebstrap, with which the tests build the image; needs root
	@command -v buildah >/dev/null && command -v mmdebstrap >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends buildah mmdebstrap debian-archive-keyring >/dev/null; }

lint: setup ## style, types and import direction
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

prose: setup ## the English of pages, help texts, settings and docstrings
	@$(BIN)/python -m tests.docs.prose

docs: setup ## build the site into build/site; any warning, such as a broken link, is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "build/site/index.html"

audit: $(UV) ## look for known vulnerabilities and withdrawn versions in the locked packages; needs the network
	@for lock in locks/*.txt; do $(UV) tool run pip-audit==$(PIP_AUDIT_VERSION) --disable-pip --require-hashes --progress-spinner off -r $$lock || failed=1; done; exit $${failed:-0}
	@for lock in locks/{current,older}{,-dev}.txt; do ! $(UV) pip install --dry-run --no-deps --reinstall --python-version 3.11 --python-platform x86_64-manylinux_2_39 --target build/nothing -r $$lock 2>&1 | grep "is yanked" || failed=1; done; exit $${failed:-0}

sbom: setup ## write CycloneDX documents of the locks into build/sbom; ROOT=<an image's mounted root> adds the image
	@$(BIN)/python -m tests.stack.sbom build/sbom $(ROOT)

bench: setup ## measure against the reference loop and print the table
	@$(BIN)/python -m tests.bench
	@$(BIN)/python -m tests.bench.imports

speed: setup ## measure training itself; TORCH=<a Python with PyTorch> compares with that too
	@$(BIN)/python -m tests.bench.speed 3 $(TORCH)
	@$(BIN)/python -m tests.bench.memory

scale: setup ## measure each node at 10,000 to 5,000,000 records; SIZES="10000 100000" measures these
	@$(BIN)/python -m tests.bench.scale $(SIZES)

chaos: setup ## damage a finished root in every way, call every command, and write docs/faults.md (an hour or more; needs root; goes on where it was stopped)
	@mkdir -p build/chaos
	@$(BIN)/python -m tests.faults build/chaos

soak: setup ## a simulated month of scheduled retraining, real runs and a moved clock (an hour or two); goes on after an end
	@$(BIN)/python -m tests.soak build/soak

ablation: setup ## train every way to mask, three seeds each, and write docs/ablation.md (an hour)
	@rm -f docs/ablation.json
	@$(BIN)/python -m tests.bench.ablation

COMPILE = $(UV) pip compile --quiet --generate-hashes --custom-compile-command "make lock"
CURRENT = $(COMPILE) --universal --python-version 3.11
OLDER = $(COMPILE) --python-version 3.11 --python-platform x86_64-manylinux_2_28 --override locks/older-overrides.txt

lock: $(UV) ## remake the locks from pyproject.toml
	@$(CURRENT) --group run --output-file locks/current.txt
	@$(CURRENT) --group dev --constraint locks/current.txt --output-file locks/current-dev.txt
	@$(OLDER) --group run --output-file locks/older.txt
	@$(OLDER) --group dev --constraint locks/older.txt --output-file locks/older-dev.txt
	@$(CURRENT) --group jax --output-file locks/jax.txt
	@$(CURRENT) --group mlflow --output-file locks/mlflow.txt

clean: ## remove the environment, the data and the pipeline root
	@rm -rf .venv .venv-jax .venv-mlflow .tools build data maskline-root
