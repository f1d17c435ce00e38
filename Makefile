# The two commands of a newcomer are `make demo` and `make test`; both set everything up by themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test check lint types layers format bench torture clean
.DEFAULT_GOAL := help

help:
	@echo "make demo   the main job on real customers"
	@echo "make test   all tests (PostgreSQL's are skipped by name where there is no server)"
	@echo "make check  everything a change must pass: lint, types, layers, tests"
	@echo "make torture  300 kills, 200 stops, full disks; 100,000 random customers on both databases against the naive interpreter: hours"

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Treue needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another one: make PYTHON=python3.12 demo")'
	@echo 'Makes a Python environment in $(VENV) …'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet uv
	@echo 'Installs Treue and its libraries …'
	@$(BIN)/python -m uv pip install --quiet --python $(BIN)/python --editable '.[dev]'
	@echo "Loads the demo's data …"
	@# The demo's data is optional: without it, the demo runs on a generated shop and says so.
	@$(BIN)/python -m uv pip install --quiet --python $(BIN)/python --no-deps 'lifetimes==0.11.3' || echo 'The CDNOW data could not be installed; the demo will use a generated shop.'
	@echo 'Compiles, so that everything starts faster …'
	@# Byte-code now, or the first `import prefect` takes twice as long.
	@$(BIN)/python -m compileall -q -j 0 $(VENV)/lib src flows channels >/dev/null 2>&1 || true
	@touch $@

demo: $(STAMP)
	@$(BIN)/treue demo

test: $(STAMP)
	@$(BIN)/python -m pytest -n 2 --dist loadgroup --no-fold-skipped

check: lint types layers test

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(STAMP)
	@$(BIN)/mypy

layers: $(STAMP)
	@$(BIN)/lint-imports

format: $(STAMP)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# The differential and the metamorphic test at length: CASES customers' lives, or SEED=n for one world again.
CASES ?= 100000
torture: $(STAMP)
	@TREUE_TORTURE=$(CASES) TREUE_SEED=$(SEED) TREUE_TEST_DARK=100000 TREUE_TEST_STORM=full $(BIN)/python -m pytest tests/kills tests/differential tests/metamorphic tests/acceptance tests/render/test_render_mail.py tests/channels/test_smtp_dialogue.py -n 2 --no-fold-skipped

bench: $(STAMP)
	@$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) .treue build dist .mypy_cache .ruff_cache .hypothesis
