# Everything a clone needs. The environment is .venv, made from the lock in requirements/ and made again when that changes.

PYTHON ?= python3
ARGS ?=

BIN := .venv/bin
INSTALLED := .venv/installed
AUDIT := .venv-audit
# What bandit looks for and ruff does not: all else of it is among ruff's S rules.
NOT_IN_RUFF := B613,B614,B615,B703
SAMPLE := .telemetry/sample.csv

# The tests start hundreds of processes, each of which would compile the package anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test slow fuzz soak bench bench-store bench-record compare lint audit sbom lock dist clean

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(INSTALLED) $(SAMPLE) ## run the whole system on this machine, on a sample that is replayed
	$(BIN)/telemetry up --csv $(SAMPLE) --replay $(ARGS)

# Most of the time most of the workers wait for processes: two for each of two cores.
test: $(INSTALLED) ## run all tests on a real Postgres and a real broker; make test ARGS='-k name'
	$(BIN)/pytest -n 4 --dist worksteal -m 'not slow' $(ARGS)

slow: $(INSTALLED) ## run the tests that make test leaves out for their length, and properties on all of their examples
	EXAMPLES=all $(BIN)/pytest -n 2 -m 'slow or hypothesis' $(ARGS)

fuzz: $(INSTALLED) ## give spoilt bytes to what takes foreign ones, and ask the API thousands of questions; make fuzz ARGS='--minutes 10'
	$(BIN)/python -m tests.fuzz $(ARGS)
	SCHEMATHESIS_CASES=$${SCHEMATHESIS_CASES:-100} $(BIN)/pytest -n 2 --timeout 7200 -rP -k schemathesis tests/api/test_specification.py

soak: $(INSTALLED) ## break the system at random under load, and count rows lost and doubled; make soak ARGS='--runs 20'
	$(BIN)/python -m tests.faults.soak $(ARGS)

bench: $(INSTALLED) ## measure side by side with what this is compared with; make bench ARGS='--quick'
	$(BIN)/python -m benchmarks $(ARGS)

bench-store: $(INSTALLED) ## measure layouts of sealed days, and sealed days beside rows
	$(BIN)/python -m benchmarks.store $(ARGS)

bench-record: $(INSTALLED) ## measure what `telemetry record` costs a node; ARGS=--real on one that has GPUs
	$(BIN)/python -m benchmarks.record $(ARGS)

compare: $(INSTALLED) ## measure another commit and this one in turn; make compare ARGS='HEAD~1'
	$(BIN)/python -m benchmarks.compare $(ARGS)

lint: $(INSTALLED) ## check style, format, types and the order of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint docker/Dockerfile
	$(BIN)/zizmor --offline --quiet .github/workflows

audit: $(AUDIT)/installed ## look for known faults of the dependencies, which asks a server on the internet, and of the code
	$(AUDIT)/bin/pip-audit --require-hashes --disable-pip $(foreach lock,edge central dev image audit,-r requirements/$(lock).txt)
	$(AUDIT)/bin/bandit --quiet --recursive --tests $(NOT_IN_RUFF) telemetry migrations scripts

sbom: $(INSTALLED) $(AUDIT)/installed ## write what the images are made of, and the licences of all packages, to dist/
	@mkdir -p dist
	$(AUDIT)/bin/cyclonedx-py requirements requirements/edge.txt --output-file dist/sbom-edge.json
	$(AUDIT)/bin/cyclonedx-py requirements requirements/central.txt --output-file dist/sbom-central.json
	$(AUDIT)/bin/pip-licenses --python $(BIN)/python --format markdown --with-urls --output-file dist/licences.md

lock: $(INSTALLED) ## pin the dependencies of setup.cfg anew
	$(BIN)/pip install --quiet uv
	PATH="$(CURDIR)/$(BIN):$$PATH" scripts/lock

dist: $(INSTALLED) ## build the wheel that other machines install, in dist/
	$(BIN)/python -m build --wheel --no-isolation --outdir dist .

clean: ## remove the environment and all that was built; not the data in .telemetry
	rm -rf .venv $(AUDIT) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .fuzz
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' || \
		{ echo "$(PYTHON) has no venv module; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv

$(INSTALLED): requirements/dev.txt setup.cfg pyproject.toml | $(BIN)/python
	@echo "installing into .venv, which takes about a minute"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(AUDIT)/installed: requirements/audit.txt
	$(PYTHON) -m venv $(AUDIT)
	$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(SAMPLE): | $(INSTALLED)
	@mkdir -p $(@D)
	$(BIN)/telemetry simulate --hosts 2 --gpus 8 --interval 5 --duration 600 --force -o $@.new
	@mv $@.new $@
