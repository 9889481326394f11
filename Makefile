# Two targets are all a newcomer needs: `make demo` and `make test`. Each installs what it misses.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
# Tests without browsers, which do not mind others beside them. Who counts what several clients get does.
BROWSERLESS := tests/unit $(filter-out %_fairness.py,$(wildcard tests/wire/test_*.py)) tests/checks/test_estimators.py \
		tests/faults/test_check_process.py \
		tests/faults/test_orchestrator_kill.py $(wildcard tests/faults/test_validator_*.py)
MODELS := bert-base-uncased:4,vit-base-patch16-224:1,whisper-tiny:1

.PHONY: help setup engines models demo test check bench loop clients soak format clean

help:
	@echo "make demo    run three models together in a browser, prediction beside measurement"
	@echo "make test    all tests, with real browsers"
	@echo "make check   linters and types"
	@echo "make bench   measured speed, as ratios"
	@echo "make loop    the predictor learns: errors of 60 random executions, and of 60 while a load comes and goes, as a picture"
	@echo "make clients a minute of clients that want different amounts, one of 20 at two browsers, and a stream through a proxy that cuts after 10 s"
	@echo "make soak    thousands of runs, after which nothing may have grown"

demo: setup engines models
	$(BIN)/corun run --models $(MODELS) --platform wasm

test: setup engines models tests/node/node_modules
	$(BIN)/pytest --numprocesses auto $(BROWSERLESS)
	$(BIN)/pytest $(addprefix --ignore ,$(BROWSERLESS))

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy protos/hatch_build.py
	$(BIN)/lint-imports
	cd protos && ../$(BIN)/buf lint
	cd services/corun/resource_pool/page && npm run --silent check

bench: setup models
	$(BIN)/python -m tests.bench

clients: setup engines models tests/node/node_modules
	CORUN_TEST_CLIENT_SECONDS=60 $(BIN)/pytest -s tests/wire/test_orchestrator_fairness.py tests/e2e/test_many_clients.py
	CORUN_TEST_IDLE_SECONDS=10 $(BIN)/pytest tests/wire/test_orchestrator_proxy.py
	CORUN_TEST_HISTORIES=120 $(BIN)/pytest --timeout 900 tests/wire/test_orchestrator_histories.py

loop: setup models
	$(BIN)/python -m tests.bench.bench_loop

soak: setup engines models
	$(BIN)/python -m tests.bench.soak

format: setup
	$(BIN)/ruff check --fix --exit-zero .
	$(BIN)/ruff format .

setup: $(STAMP)

# The stream is read from Node too.
tests/node/node_modules: tests/node/package-lock.json
	cd tests/node && npm ci --silent || echo "note: going on without the tests of Node"

# Without network, or on another processor than x86-64, the other browsers do.
engines: $(STAMP)
	$(BIN)/corun engines --install || echo "note: going on without chromium-shell"

models: $(STAMP)
	$(BIN)/corun models --install

$(STAMP): pyproject.toml deploy/install-system-packages.sh protos/hatch_build.py $(wildcard protos/corun/v1/*.proto) \
		$(wildcard services/corun/resource_pool/page/src/*) services/corun/resource_pool/page/package-lock.json
	deploy/install-system-packages.sh
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) services/corun/v1 services/buf services/corun/resource_pool/page/dist \
		services/corun/resource_pool/page/node_modules
