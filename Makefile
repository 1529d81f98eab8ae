# What a newcomer types. `make` alone lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Exact versions of everything that is installed; pyproject.toml has the ranges. Python compiles what is imported, when it
# is: compiling all 22,000 files while installing took as long as the rest of the installation.
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt

# What the benchmarks compare with (benchmarks/peers.txt) wants other versions than the project.
PEERS := .venv-peers

.PHONY: help bench bench-peers demo serve ui search checks doctor test test-all test-opensearch lint format clean java chromium
.DEFAULT_GOAL := help

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

demo: java $(VENV)/.installed ## Materialise the whole graph on the sample world, then search it
	$(BIN)/booksearch demo

serve: $(VENV)/.installed ## Serve the search page and its API on what the demo published
	$(BIN)/booksearch serve

ui: java $(VENV)/.installed ## Open the Dagster UI on the demo's instance
	$(BIN)/booksearch ui

checks: $(VENV)/.installed ## Run every asset check on what is committed; fails when one fails
	$(BIN)/booksearch checks

doctor: $(VENV)/.installed ## Examine this machine and deployment
	$(BIN)/booksearch doctor

test: java chromium $(VENV)/.installed-test lint ## Lint, types, import rules, definitions, and all tests but those of whole systems
	$(BIN)/python -m pytest -n 3 -m "not system" $(PYTEST_ARGS)

test-all: java chromium $(VENV)/.installed-test lint ## The same, and whole deployments on EMR's stand-in, in the UI, and killed
	$(BIN)/python -m pytest -n 3 $(PYTEST_ARGS)

test-opensearch: $(VENV)/.installed-test ## Run the contract of vector stores on an OpenSearch of yours, given as OPENSEARCH_URL
	@test -n "$(OPENSEARCH_URL)" || { \
	  echo "OPENSEARCH_URL names no OpenSearch. Start one, of 2.19 or of 3.x, then run this again:"; \
	  echo "  docker run -d -p 127.0.0.1:9200:9200 -e discovery.type=single-node -e DISABLE_SECURITY_PLUGIN=true opensearchproject/opensearch:2.19.1"; \
	  echo "  make test-opensearch OPENSEARCH_URL=http://127.0.0.1:9200"; \
	  echo "With a user, put it into the URL and the password into OPENSEARCH_PASSWORD: docs/opensearch.md"; exit 1; }
	OPENSEARCH_URL='$(OPENSEARCH_URL)' $(BIN)/python -m pytest -k "opensearch or words" booksearch_assets_tests/vectorstores booksearch_assets_tests/search/test_words.py $(PYTEST_ARGS)

bench: java $(VENV)/.installed-bench ## Run every benchmark beside its peers: twenty minutes; sizes in BENCH_ARGS, as --quick
	$(BIN)/python benchmarks/run.py $(BENCH_ARGS)

bench-peers: $(PEERS)/.installed ## Install the programs that the benchmarks compare with, apart from everything else

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(VENV)/.installed-test ## Format the code and mend what lint can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove the demo's data (covers, vectors, runs); keeps the environment
	rm -rf data

# Spark needs Java 17 or 21. Installed here where that needs no question: as root on Debian.
java:
	@$(PYTHON) -m booksearch_assets.java --install

# The tests of the search page drive the machine's own Chromium.
chromium:
	@command -v chromium >/dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "no Chromium found; installing it: apt-get install -y chromium"; \
	  apt-get update -qq && apt-get install -y -qq chromium >/dev/null; \
	else \
	  echo "the tests of the page need a program called chromium on PATH: sudo apt-get install -y chromium"; exit 1; \
	fi

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "Python 3.11, 3.12 or 3.13 is needed, $(PYTHON) is $$($(PYTHON) --version). Try: make demo PYTHON=python3.11"; exit 1; }
	@echo "creating $(VENV)"
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing packages into $(VENV): about 1.5 GB, some minutes the first time"
	$(PIP_INSTALL) -e .
	@touch $@

$(VENV)/.installed-test: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing packages and test tools into $(VENV): about 2 GB, some minutes the first time"
	$(PIP_INSTALL) -e '.[test,fast]'
	@touch $(VENV)/.installed $@

$(VENV)/.installed-bench: $(VENV)/.installed
	$(PIP_INSTALL) -e '.[bench]'
	@touch $@

# torch first and by itself, as the project's own; then the rest as listed, so that nothing else comes with it.
$(PEERS)/.installed: benchmarks/peers.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' \
	  || { echo "img2dataset needs Python 3.11 or 3.12, $(PYTHON) is $$($(PYTHON) --version). Try: make bench-peers PYTHON=python3.11"; exit 1; }
	@echo "installing the peers into $(PEERS): about 1.6 GB, some minutes"
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r benchmarks/peers.txt
	@touch $@
