# Everything there is to do, with nothing installed but Python 3.11 or later. `make help` lists it.
PYTHON ?= python3
PG ?= embedded
ARGS ?=
NEWER ?= python3.13
ROWS ?= $(if $(NIGHT),20000,100000)
VENV ?= .venv
BIN = $(VENV)/bin
# Given on make's command line, it is for the programs too.
export DATABASE_URL
ifeq ($(strip $(DATABASE_URL)),)
unexport DATABASE_URL
endif
# Some images forbid it. Each of the hundreds of programs that the tests start would compile the project for itself.
unexport PYTHONDONTWRITEBYTECODE

# What the site has: pages, and what they link to.
PAGES = $(wildcard *.md) LICENSE .env.example docs deploy bench/README.md client/README.md client/examples \
	client-js/README.md

.DEFAULT_GOAL = help
.PHONY: help install run test test-all client-js serve bench torture seed docs screenshots lock clean

help: ## List these commands.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

install: $(VENV)/.run ## Install what the server needs into .venv.

run: $(VENV)/.dev ## The whole thing on this machine: server, three demo bots, sample jobs, sweeps. Ctrl-C stops it.
	@exec $(BIN)/python -m jobsite.dev.demo

test: $(VENV)/.dev ## Every test, on a real PostgreSQL. PG=system: Debian's own; ARGS="-k release": some of them.
ifeq ($(PG),system)
	@$(BIN)/python -m jobsite.dev.postgres exec --bin system .postgres/system -- $(BIN)/python -m pytest $(ARGS)
else ifeq ($(PG),pgbouncer)
	@$(BIN)/python -m jobsite.dev.postgres exec .postgres/pgbouncer -- $(BIN)/python -m jobsite.dev.pgbouncer exec -- \
		$(BIN)/python -m pytest $(ARGS)
else
	@$(BIN)/python -m pytest $(ARGS)
endif

test-all: client-js test ## The same again on Debian's PostgreSQL, through PgBouncer, and with Python 3.13; wheels and the docs' site. NEWER=/path/to/python3.13: another one.
	@$(MAKE) test PG=pgbouncer
	@$(NEWER) -c 'import sys; sys.exit(sys.version_info < (3, 13))' || \
		{ echo "There is no Python 3.13 as $(NEWER). Try: make test-all NEWER=/path/to/python3.13"; exit 1; }
	@TEST_ALL=1 CHAOS_JOBS=5000 SCHEDULE_OCCURRENCES=10000 $(MAKE) test PG=system PYTHON="$(NEWER)" \
		VENV=.venv-newer

client-js: ## Build and test the TypeScript client; needs Node 20 and npm's registry.
	@cd client-js && npm ci --no-audit --no-fund && npm run --silent build && npm test --silent

serve: $(VENV)/.run ## The web server as in production. Settings come from the environment or from .env.
	@exec $(BIN)/python manage.py serve

bench: $(VENV)/.dev ## Measure beside other queues; needs wrk and Node. ARGS="lifecycle --quick"; see bench/README.md.
	@$(BIN)/python -m bench $(ARGS)

torture: $(VENV)/.dev ## Faults against the whole installation, checked by logs and rows. ARGS="--fault crash --seed 7"; --help lists them.
	@$(BIN)/python -m tests.torture $(ARGS)

seed: $(VENV)/.dev ## Fill the development database with a believable past: ROWS=1000000 of it. NIGHT=1: with an outage.
	@DEBUG=1 $(BIN)/python manage.py migrate --verbosity 0
	@DEBUG=1 $(BIN)/python manage.py seed $(ROWS) $(if $(NIGHT),--night)

docs: $(VENV)/.dev .venv-docs/.docs ## Write docs/reference/ from the code, and build all pages as a site into .site/html.
	@$(BIN)/python -m tests.docs.reference
	@rm -rf .site && mkdir -p .site/pages
	@tar -c --exclude=__pycache__ $(PAGES) | tar -x -C .site/pages
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --quiet
	@echo "The site is in .site/html. To read it: python3 -m http.server --directory .site/html"

screenshots: $(VENV)/.dev ## Make the pictures of the README and the docs anew, from a database of their own.
	@$(BIN)/python -m pytest -n 0 tests/browser/screenshots.py

lock: $(VENV)/.dev ## Write requirements*.txt from requirements*.in: every package, its version, and the hashes of its files.
	@for name in requirements requirements-dev requirements-docs; do UV_CUSTOM_COMPILE_COMMAND="make lock" \
		$(BIN)/uv pip compile --quiet --generate-hashes --no-annotate --universal --python-version 3.11 $$name.in -o $$name.txt || exit 1; done

clean: ## Remove what the other commands made: environment, database, caches.
	rm -rf client-js/node_modules client-js/dist .venv .venv-newer .venv-docs .site .postgres .run .static .bench \
		.mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Jobsite needs Python 3.11 or later; $(PYTHON) is older. Try: make PYTHON=python3.12 …"; exit 1; }
	@echo "Making $(VENV) …"
	@$(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "Python's venv module is missing. On Debian: apt-get install python3-venv"; exit 1; }

# With a hash at each package, pip installs no file that has another. The client is this repository's own.
PIP = $(BIN)/python -m pip install --disable-pip-version-check

$(VENV)/.dev: $(VENV)/bin/python requirements-dev.txt client/pyproject.toml
	@echo "Installing what development needs …"
	@$(PIP) -r requirements-dev.txt
	@$(PIP) --no-deps -e ./client
	@touch $(VENV)/.dev $(VENV)/.run

$(VENV)/.run: $(VENV)/bin/python requirements.txt
	@echo "Installing what the server needs …"
	@$(PIP) -r requirements.txt
	@touch $(VENV)/.run

.venv-docs/.docs: requirements-docs.txt
	@echo "Installing what the docs' site needs …"
	@$(PYTHON) -m venv .venv-docs
	@.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-docs.txt
	@touch .venv-docs/.docs
