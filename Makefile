# One place for every command. `make app` and `make test` prepare what they need; nothing is done twice.
#
#   make app                     set up and open SAPO Viz on this machine (127.0.0.1:8501)
#   make app HOST=0.0.0.0        … for everyone who can reach this machine: read the README first
#   make app PORT=8600           … on another port
#   make test                    set up with the tests' extras and run the tests
#   make check                   format, lint, types, tests: what .ci/run calls
#   make bench                   measure and refresh docs/benchmarks.md
#   make bench-trl               the engine beside TRL's trainer, in .venv-trl: docs/benchmarks-trl.md
#   make policies samples formulas   make assets/ anew
#   make experiments             run the shipped experiments anew: assets/experiments, docs/experiments.md (30 min)
#   make reference               write docs/reference.md anew from the catalogue
#   make clean                   remove the virtual environment and caches (runs/ stays)

HOST ?= 127.0.0.1
PORT ?= 8501
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# The first of these that is Python 3.11 or newer makes the environment; `make PYTHON=…` chooses another.
PYTHONS := $(or $(PYTHON),python3.11 python3 python3.12 python3.13 python3.14 python)

.PHONY: app test check format bench bench-trl policies samples formulas experiments reference clean help
.DEFAULT_GOAL := help

help:
	@sed -n '3,12s/^# *//p' Makefile

app: $(VENV)/.app-ready
	@$(BIN)/python -m streamlit run app.py --server.address $(HOST) --server.port $(PORT)

test: $(VENV)/.dev-ready
	@$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.dev-ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest $(ARGS)

format: $(VENV)/.dev-ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev-ready
	$(BIN)/python -m benchmarks

bench-trl: $(VENV)/.dev-ready .venv-trl/.ready
	$(BIN)/python -m benchmarks.trl_compare $(ARGS)

policies: $(VENV)/.app-ready
	$(BIN)/python scripts/make_policies.py

samples: $(VENV)/.app-ready
	$(BIN)/python scripts/make_samples.py

formulas: $(VENV)/.app-ready
	@$(BIN)/python -m sapo_viz.core.browser > assets/formulas.js.new && mv assets/formulas.js.new assets/formulas.js

experiments: $(VENV)/.app-ready
	@$(BIN)/python scripts/make_experiments.py

reference: $(VENV)/.app-ready
	@$(BIN)/python scripts/make_reference.py

clean:
	rm -rf $(VENV) .venv-trl .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps are newer than the requirements they were made from, so a second `make app` installs nothing.
$(VENV)/.app-ready: requirements.txt | $(BIN)/python
	@echo "Installing what the app needs (once; torch is large) …"
	@$(PIP) -r requirements.txt
	@touch $@

$(VENV)/.dev-ready: requirements-dev.txt requirements.txt | $(BIN)/python
	@echo "Installing what the app and its tests need (once; torch is large) …"
	@$(PIP) -r requirements-dev.txt
	@touch $@ $(VENV)/.app-ready

# TRL and what it needs; the app never imports it.
.venv-trl/.ready: requirements-trl.txt | $(BIN)/python
	@echo "Installing TRL beside the app (once; torch is large) …"
	@$(BIN)/python -m venv .venv-trl
	@.venv-trl/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-trl.txt
	@touch $@

$(BIN)/python:
	@for python in $(PYTHONS); do \
	  if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	    $$python -m venv $(VENV) >/dev/null 2>&1 && exit 0; \
	    rm -rf $(VENV); \
	    echo "$$python is here but cannot make a virtual environment; install its venv module (Debian, Ubuntu: apt-get install python3-venv) and try again." >&2; \
	    exit 1; \
	  fi; \
	done; \
	echo "SAPO Viz needs Python 3.11 or newer and found none; install it, or name it: make $(MAKECMDGOALS) PYTHON=path/to/python3.11" >&2; \
	exit 1
