# doorbuster: `make demo` shows what it does, `make test` proves it. Both set up everything they need.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
NOT_LONG := not truth and not shops
# Those import Locust, which patches the interpreter, so they get a process of their own.
NOT_LOCUST := --ignore-glob='tests/load/test_*'

# Many short commands share what the first of them compiled, whatever the caller says.
export PYTHONDONTWRITEBYTECODE =

.PHONY: help demo test check format truth shops bench wheel clean

help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "doorbuster needs Python 3.11 or later; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(READY) ## Recreate the M&S one-day Christmas sale of 2004 in about 90 seconds
	@$(BIN)/doorbuster run ms-christmas-2004; code=$$?; \
	  if [ $$code -eq 99 ]; then exit 0; else exit $$code; fi

test: $(READY) ## Run the tests: those that may share the processor, those that measure, those that load Locust
	$(BIN)/python -m pytest -q -n 2 --dist loadfile $(NOT_LOCUST) -m "not alone and $(NOT_LONG)"
	$(BIN)/python -m pytest -q $(NOT_LOCUST) -m "alone and $(NOT_LONG)"
	$(BIN)/python -m pytest -q tests/load --ignore=tests/load/http -m "$(NOT_LONG)"

check: $(READY) ## Format, lint, types, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(MAKE) test

format: $(READY) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

truth: $(READY) ## Long proofs against closed forms
	$(BIN)/python -m pytest -m truth

shops: $(READY) ## Drivers against real shops, built on first use (450 MB in the user's cache folder)
	$(BIN)/python -m pytest -q tests/shops -m shops

bench: $(READY) ## Benchmarks side by side with the peers
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python -m benchmarks

wheel: $(READY) ## Build the wheel and the source archive into dist/
	rm -rf dist
	$(BIN)/python -m build --quiet

clean: ## Remove what was built and installed
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
