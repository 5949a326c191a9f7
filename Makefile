.DEFAULT_GOAL := help
.PHONY: help demo test check format texts screenshots bench chaos lock clean

PYTHON ?= python3
BIN := .venv/bin
# Programs start over and over here, and are compiled once.
unexport PYTHONDONTWRITEBYTECODE
READY := .venv/.ready

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) ## Start Kafka, simulators and a worker, and send traffic (ARGS='--once …' is passed on)
	@$(BIN)/inm demo $(ARGS)

# Files are not split: their tests share a broker and workers, of which each process has its own.
test: $(READY) ## Run all tests, on a real Kafka (ARGS='tests/unit -k …' is passed on; -n 0 for one process)
	@$(BIN)/pytest -n 3 --dist loadfile $(ARGS)

check: $(READY) ## Lint, format, types, direction of imports, Dockerfile
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy inm tests
	$(BIN)/lint-imports --no-logo
	$(BIN)/hadolint Dockerfile

format: $(READY) ## Rewrite the code as `make check` wants it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# New texts come in untranslated, and a test says which: nothing is guessed.
texts: $(READY) ## Bring the console's catalogues up to its pages
	@$(BIN)/python -m inm.console.texts

screenshots: $(READY) ## Take the pictures of docs/console.md anew, of a demo, with Chromium (FOLDER=… for another place)
	@$(BIN)/python -m tests.screenshots $(FOLDER)

chaos: $(READY) ## Break things under traffic and balance the books (SEED=n, ARGS are passed on)
	@$(BIN)/inm chaos $(if $(SEED),--seed $(SEED)) $(ARGS)

bench: $(READY) ## Measure throughput and latency on this machine (ARGS is passed on)
	@$(BIN)/inm bench $(ARGS)

# --universal: one file for every Python and platform. No index is written down: each machine has its own.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url
lock: $(READY) ## Resolve the lock files anew from pyproject.toml (ARGS=--upgrade for newer versions)
	$(LOCK) $(ARGS) --extra demo --group dev --output-file requirements.lock pyproject.toml
	$(LOCK) --constraint requirements.lock --group build --output-file requirements-worker.lock pyproject.toml

clean: ## Remove the environment, downloads and everything built
	rm -rf .venv .cache .data build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find inm tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "INM needs Python 3.11 or newer; name one: make PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
