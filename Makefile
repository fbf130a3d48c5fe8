# Everything is set up in .venv from the lock files; all that is needed is make and Python 3.11 or newer.
#   PYTHON=python3.12   the Python to make .venv with (default: the first suitable one found)
#   UV=no               install with plain pip; UV=/path/to/uv takes that uv
#   ARGS="-k battery"   more arguments for demo, test, attack, audit-deps and lock
#   JOBS=3              how many processes share the tests (default: one a processor for all of them, this one for some)

PYTHON ?=
UV     ?= auto
ARGS   ?=
JOBS   ?= $(if $(ARGS),0,auto)

# SEED=7 makes fuzz and chaos do the same again (chaos takes several, one run each); CASES and CONTRACTS say how much.
SEED      ?=
CASES     ?= 10000
CONTRACTS ?= 1000

# Images: $(IMAGE_PREFIX)/operator:$(TAG) and $(IMAGE_PREFIX)/runtime:$(TAG). BUILD_ARGS are more arguments of docker build.
PROJECT_VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
IMAGE_PREFIX    ?= wattmesh
TAG             ?= $(PROJECT_VERSION)
BUILD_ARGS      ?=

VENV      := .venv
BIN       := $(VENV)/bin
INSTALLED := $(VENV)/.installed
RUNNABLE  := $(VENV)/.runnable
GROUPS    := --all-groups --all-extras

# A broken link within the site is a warning, and a warning fails.
SPHINX := --quiet --fail-on-warning --keep-going --doctree-dir build/doctrees

# What the images do without: their locks are requirements.lock less these and what only these need.
NOT_IN_RUNTIME  := async-solipsism jinja2 plotly rich typer
NOT_IN_OPERATOR := $(NOT_IN_RUNTIME) langchain-core langgraph pynacl python-jsonpath sqlalchemy

SUITABLE := import sys; sys.exit(sys.version_info < (3, 11))
VERSION  := import platform; print(platform.python_version())

# An existing .venv is kept when its Python works and is the version asked for.
VENV_PYTHON := $(shell $(BIN)/python -c '$(SUITABLE)' 2>/dev/null && $(BIN)/python -c '$(VERSION)')
WANTED      := $(if $(PYTHON),$(shell $(PYTHON) -c '$(VERSION)' 2>/dev/null),$(VENV_PYTHON))

# Makes pip work in .venv, which is made without: that takes seconds, and uv does not need it.
NEED_PIP = $(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip --upgrade >/dev/null
# The pip of the Python that .venv was made with, which can install into it.
PIP_OF_BASE = "$$(sed -n 's/^executable = //p' $(VENV)/pyvenv.cfg)" -m pip --python $(BIN)/python

# Sets $$uv to a uv that works, or to nothing: the one asked for, the one on PATH, the one in .venv, a new one in .venv.
FIND_UV = uv=; case "$(UV)" in \
	no) ;; \
	auto|yes|'') \
	  if uv --version >/dev/null 2>&1; then uv=uv; \
	  elif $(BIN)/uv --version >/dev/null 2>&1 || $(PIP_OF_BASE) install --quiet uv >/dev/null 2>&1 || \
	    { $(NEED_PIP) && $(BIN)/python -m pip install --quiet uv >/dev/null 2>&1; }; then uv=$(BIN)/uv; fi ;; \
	*) uv="$(UV)" ;; \
	esac

.DEFAULT_GOAL := help
.PHONY: help demo test lint chaos fuzz attack conformance nightly audit-deps sbom bench crds chart chart-test postgresql-test browser-test wheel-test docs docs-test screenshots image \
  kind-up kind-down e2e release clean lock FORCE

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(RUNNABLE) ## Run the demo: a street of households trading energy
	@$(BIN)/wattmesh demo $(ARGS)

test: $(INSTALLED) ## Run the tests
	@$(BIN)/pytest --numprocesses $(JOBS) --dist loadfile $(ARGS)

lint: $(INSTALLED) ## Check format, style, types and the direction of imports
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

chaos: $(INSTALLED) ## Trade while processes are killed and messages lost, then check the books (SEED="1 2", CONTRACTS=1000, ARGS="--protocols v2")
	@$(BIN)/python -m tests.chaos --seed $(or $(SEED),1) --contracts $(CONTRACTS) $(ARGS)

fuzz: $(INSTALLED) ## Send a running street thousands of calls that make no sense, or nearly (CASES=10000 SEED=7)
	@$(BIN)/python -m tests.fuzz.campaign --cases $(CASES) $(SEED:%=--seed %)

attack: $(INSTALLED) ## Attack a running street in every known way, and compare what the honest sell (ARGS="--output json")
	@$(BIN)/python -m tests.attack $(ARGS)

conformance: $(INSTALLED) ## Check all that a trading street says against Beckn's published schemas (SPECS=folder, which has them)
	@$(BIN)/python -m tests.conformance $(or $(SPECS),specs) $(ARGS)

nightly: $(INSTALLED) ## Run what a change does not wait for: 10 chaos seeds, 10,000 fuzz cases, one more fault, a large cluster and chaos in it
	@$(MAKE) --no-print-directory chaos SEED="1 2 3 4 5 6 7 8 9 10"
	@$(MAKE) --no-print-directory fuzz CASES=10000
	@EXTRA_FAULTS=1 $(BIN)/pytest -s tests/correctness
	@E2E_LONG=1 E2E_LARGE=1 $(MAKE) --no-print-directory e2e

audit-deps: $(INSTALLED) ## Look for known vulnerabilities in the locked packages (asks PyPI)
	@$(BIN)/python hack/audit_deps.py $(ARGS)

sbom: $(INSTALLED) ## Write what is in the images, as CycloneDX, into build/sbom/
	@hack/sbom

bench: $(INSTALLED) ## Measure what trading costs on this machine (PARTS="search days"; KEEP=1 puts it into docs/)
	@$(BIN)/python -m bench $(PARTS) $(if $(KEEP),--keep)

crds: $(INSTALLED) ## Write crds/ anew from the operator's models
	$(BIN)/python -m wattmesh_operator.crd crds

chart: $(INSTALLED) ## Write what the chart has from elsewhere: its crds/ from crds/, its README from values.yaml
	$(BIN)/python charts/generate.py

chart-test: $(INSTALLED) ## Run the tests of what Helm makes of the chart, and of what the documentation gives kubectl and helm (needs both)
	@helm version --short >/dev/null 2>&1 || { echo "make chart-test needs helm: https://helm.sh/docs/intro/install/" >&2; exit 1; }
	@kubectl version --client >/dev/null 2>&1 || { echo "make chart-test needs kubectl: https://kubernetes.io/docs/tasks/tools/" >&2; exit 1; }
	@$(BIN)/pytest -m helm $(ARGS) tests/chart tests/docs

postgresql-test: $(INSTALLED) ## Run the gateway's tests with its registry in PostgreSQL (needs its programs; a server of their own)
	@$(BIN)/pytest --database postgresql $(ARGS) tests/gateway

browser-test: $(INSTALLED) ## Run the tests of what people see in a browser (needs Chromium)
	@for name in chromium chromium-browser google-chrome google-chrome-stable; do command -v $$name >/dev/null && exit; done; \
	echo "make browser-test needs Chromium on PATH: apt-get install chromium (Debian, Ubuntu), dnf install chromium (Fedora), brew install --cask chromium (macOS)" >&2; exit 1
	@$(BIN)/pytest -m browser $(ARGS) tests/browser

wheel-test: $(INSTALLED) ## Follow the README and the tutorial from the built wheel, on a busy machine (needs uv and a package index)
	@$(FIND_UV); UV="$$uv" $(BIN)/pytest -m wheel $(ARGS) tests/wheel

docs: $(INSTALLED) ## Build the documentation as a site, into build/docs/ (LINKS=1 asks the links to other hosts, too)
	@$(BIN)/python -m sphinx --builder html $(SPHINX) docs build/docs
	@$(if $(LINKS),$(BIN)/python -m sphinx --builder linkcheck $(SPHINX) docs build/docs-links)

docs-test: $(INSTALLED) ## Follow every page of the documentation; `make test` checks each of its blocks
	@$(BIN)/pytest -m docs $(ARGS) tests/docs

screenshots: $(INSTALLED) ## Make the pictures in docs/images/ anew, of a real run (needs Chromium)
	@$(BIN)/python -m hack.screenshots $(ARGS)

image: ## Build the images wattmesh/operator and wattmesh/runtime (needs docker; TAG=, IMAGE_PREFIX=)
	@IMAGE_PREFIX=$(IMAGE_PREFIX) TAG=$(TAG) hack/image $(BUILD_ARGS)

kind-up: ## Run examples/street.yaml in a local Kubernetes (needs docker, kind, kubectl, helm)
	@hack/kind-up

kind-down: ## Remove that Kubernetes
	@hack/kind-down

e2e: $(INSTALLED) ## Run the tests on a real cluster of their own (needs docker, kind, kubectl, helm; KEEP=1 keeps it)
	@hack/e2e $(ARGS)

release: $(INSTALLED) ## Publish this version: package, images, chart (DRY_RUN=1 makes and checks all and publishes nothing)
	@$(FIND_UV); UV="$$uv" IMAGE_PREFIX=$(IMAGE_PREFIX) hack/release $(if $(DRY_RUN),--dry-run)

clean: ## Remove .venv, caches and the data of local runs
	rm -rf $(VENV) .wattmesh .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist
	find market common operator agents gateway beckn cli wattmesh tests -name __pycache__ -type d -prune -exec rm -rf {} +

lock: $(VENV)/pyvenv.cfg ## Write uv.lock and the requirements locks anew (ARGS=--upgrade takes newer versions)
	@$(FIND_UV); \
	if [ -z "$$uv" ]; then echo "make lock needs uv: https://docs.astral.sh/uv/" >&2; exit 1; fi; \
	unset VIRTUAL_ENV UV_INDEX_URL UV_EXTRA_INDEX_URL UV_INDEX UV_DEFAULT_INDEX UV_FIND_LINKS UV_EXCLUDE_NEWER; \
	export UV_PROJECT_ENVIRONMENT=$(VENV) UV_PYTHON=$(BIN)/python UV_PYTHON_DOWNLOADS=never UV_NO_CONFIG=1; \
	"$$uv" lock --default-index https://pypi.org/simple $(ARGS) && \
	requirements() { "$$uv" export --quiet --frozen --no-emit-project --no-header --format requirements-txt "$$@"; } && \
	requirements $(GROUPS) --output-file requirements.lock && \
	requirements --no-dev --extra operator $(NOT_IN_OPERATOR:%=--prune %) --output-file requirements-operator.lock && \
	requirements --no-dev --extra postgresql $(NOT_IN_RUNTIME:%=--prune %) --output-file requirements-runtime.lock

ifneq ($(VENV_PYTHON),$(WANTED))
$(VENV)/pyvenv.cfg: FORCE
endif
ifeq ($(VENV_PYTHON),)
$(VENV)/pyvenv.cfg: FORCE
endif
$(VENV)/pyvenv.cfg:
	@for python in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11 python); do \
	  if "$$python" -c '$(SUITABLE)' >/dev/null 2>&1; then \
	    echo "Making $(VENV) with $$("$$python" --version)"; \
	    exec "$$python" -m venv --clear --without-pip $(VENV); \
	  fi; \
	done; \
	echo "wattmesh needs Python 3.11 or newer: $(if $(PYTHON),$(PYTHON) is not one,there is none on PATH)." >&2; \
	echo "Install one, or name it: make PYTHON=/path/to/python3" >&2; \
	exit 1

# To run wattmesh takes a third of the packages; what is there besides stays.
$(RUNNABLE): SYNC := --no-dev --inexact
$(INSTALLED): SYNC := --compile-bytecode $(GROUPS)
$(RUNNABLE) $(INSTALLED): $(VENV)/pyvenv.cfg pyproject.toml uv.lock requirements.lock
	@$(FIND_UV); set -e; unset VIRTUAL_ENV; \
	if [ -n "$$uv" ]; then \
	  echo "Installing from uv.lock"; \
	  UV_PROJECT_ENVIRONMENT=$(VENV) UV_PYTHON_DOWNLOADS=never \
	    "$$uv" sync --quiet --locked $(SYNC) --python $(BIN)/python || \
	    { echo "uv could not install. After a change of dependencies: make lock. To install with plain pip: make UV=no" >&2; exit 1; }; \
	else \
	  echo "Installing from requirements.lock"; \
	  $(NEED_PIP); \
	  $(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock; \
	  $(BIN)/python -m pip install --quiet --no-deps -e .; \
	fi; \
	touch $(RUNNABLE) $@

FORCE:
