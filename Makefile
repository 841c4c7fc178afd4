# doorbuster: `make demo` runs a demonstration, `make test` the tests. Both set up what they need.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
# -qq hides pip's warnings, such as those about a misconfigured package index, and shows its errors.
PIP    := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt
SKIPPED := $(VENV)/skipped.txt
NOT_LONG := not truth and not shops
ROUNDS ?= 20
FAULTS ?=
# Tests that import Locust need a process of their own, because Locust patches the interpreter.
NOT_LOCUST := --ignore-glob='tests/load/test_*'

# Keep compiled bytecode, whatever the environment says: the tests start many short commands.
export PYTHONDONTWRITEBYTECODE =
test: export DOORBUSTER_SKIPPED = $(SKIPPED)

.DELETE_ON_ERROR:
.PHONY: help demo season-demo test check format sample fuzz truth shops faults bench wheel clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "doorbuster needs Python 3.11 or later; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) --no-compile -e '.[dev]'
	@touch $@

demo: $(READY) ## Run the M&S Christmas sale of 2004 in about 90 seconds
	@$(BIN)/doorbuster run ms-christmas-2004; code=$$?; \
	  if [ $$code -eq 99 ]; then exit 0; else exit $$code; fi

# The orders of a British gift retailer (UCI Online Retail II, by the hour); without the file, init uses its built-in
# example. The shop of the demonstration has 98 times its orders, so that the peak suits the embedded shop.
ORDERS ?= $(wildcard ../shared/data/uci_hourly_orders.csv)
SEASON ?= reports/season-demo

# Stages that are done are not repeated: after an interruption, the same command goes on.
season-demo: $(SEASON)/capacity/first/capacity.json ## Build a season on the embedded shop in about ten minutes: forecast, run, capacity, page
	$(BIN)/doorbuster season report $(SEASON)

$(SEASON)/season.yaml: | $(READY)
	$(BIN)/doorbuster season init $(SEASON) $(if $(ORDERS),--history $(ORDERS) --growth 9700%..9900% --conversion 6%..12%)

# A shop that fails its thresholds (99) is a result, not an error, and so is an inconclusive one (96).
$(SEASON)/runs/first/summary.json: | $(SEASON)/season.yaml
	@$(BIN)/doorbuster run $(SEASON)/forecast/peak-median.yaml --profile in-house-2004 --out $(SEASON)/runs/first; \
	  code=$$?; [ $$code -eq 0 ] || [ $$code -eq 99 ] || [ $$code -eq 96 ] || exit $$code

$(SEASON)/capacity/first/capacity.json: | $(SEASON)/runs/first/summary.json
	@$(BIN)/doorbuster capacity $(SEASON)/forecast/peak-median.yaml --profile in-house-2004 --warmup 4s --budget 6m \
	  --start-rate "6 customers/s" --out $(SEASON)/capacity/first; code=$$?; [ $$code -eq 0 ] || [ $$code -eq 96 ] || exit $$code

test: $(READY) ## Run the tests in three groups: parallel, time measurements, Locust; the last line lists what was skipped
	@: > $(SKIPPED)
	$(BIN)/python -m pytest -q -n 4 --dist loadfile $(NOT_LOCUST) -m "not alone and $(NOT_LONG)"
	$(BIN)/python -m pytest -q $(NOT_LOCUST) -m "alone and $(NOT_LONG)"
	@# Two processes side by side: these tests wait more than they compute. xdist cannot run what Locust patches.
	$(BIN)/python -m pytest -q tests/load/test_[a-m]*.py -m "$(NOT_LONG)" & first=$$!; \
	  $(BIN)/python -m pytest -q tests/load/test_[n-z]*.py -m "$(NOT_LONG)"; second=$$?; \
	  wait $$first && exit $$second
	@$(BIN)/python tests/helpers/skipped.py $(SKIPPED)

check: $(READY) ## Format, lint, types, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(MAKE) test

format: $(READY) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

sample: $(READY) ## Write the report of the sample run again, with which the tests compare every output format
	$(BIN)/doorbuster report reports/sample
	COLUMNS=100 $(BIN)/doorbuster analyse reports/sample --all | sed 's/ *$$//' > tests/report/sample_terminal.txt

fuzz: $(READY) ## Run every fuzzer for a minute with new seeds; SECONDS=600 SEED=1 for more, or to repeat
	$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),60) --seed $(or $(SEED),$(shell date +%s))

truth: $(READY) ## Run the long validations against closed forms
	$(PIP) -e '.[truth,s3,http2]'
	$(BIN)/python -m pytest $(NOT_LOCUST) -m truth
	$(BIN)/python -m pytest tests/load --ignore=tests/load/http -m truth

shops: $(READY) ## Run the drivers against real shops, built on first use (450 MB in the cache folder of the user)
	$(BIN)/python -m pytest -q tests/real_shops -m shops

faults: $(READY) ## Break runs on purpose and count the guarantees kept (ROUNDS=20, FAULTS="clock disk" for some of them)
	$(BIN)/python tests/faults/drill.py --rounds $(ROUNDS) $(FAULTS)

bench: $(READY) ## Run the benchmarks against other load generators
	$(PIP) -e '.[bench]'
	$(BIN)/python -m benchmarks

wheel: $(READY) ## Build the wheel and the source archive into dist/
	rm -rf dist
	$(BIN)/python -m build --quiet

clean: ## Remove everything that was built and installed
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
