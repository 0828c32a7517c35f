# The two commands of a day: `make run` and `make test`. Both build .venv/ when it is absent or out of date: `make run`
# with what a run needs, `make test` and the rest with everything.

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
RUNS := .venv/.runs
BUILT := .venv/.built

# Test processes; `make test TEST_PROCESSES=0 ARGS=tests/unit` runs a part in one.
# One more than there are processors: many tests wait for a process or an emulator of theirs.
TEST_PROCESSES ?= $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')

# Where bytecode is not written, each of the many processes of a test compiles the project anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: run test check lint bench bench-scale bench-completions bench-predictions bench-pushes bench-start bench-season bench-peers simulate chaos reliability docs picture lock clean

# One day on one machine, e.g. `make run ARGS="--game-date 2026-01-30 --data DIR"`.
run: $(RUNS)
	@$(BIN)/tipoff run $(ARGS)

# All checks. What a machine lacks (an emulator, say) skips here and fails where CI=true. EVERY_WAREHOUSE=1 runs every
# consolidation test on local-bigquery too, which takes half an hour more.
test: lint
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadgroup $(ARGS)

# The inner loop: style, types and the tests that need no other process.
check: lint
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) tests/unit $(ARGS)

lint: $(BUILT)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/hadolint Dockerfile.coordinator Dockerfile.worker

# A day beside its floor, e.g. `make bench DATA=DIR DATE=2026-01-30`.
bench: $(BUILT)
	$(BIN)/python -m bench.run_day $(if $(DATA),--data "$(DATA)") $(if $(DATE),--date $(DATE)) $(ARGS)

# A day of 423 to 100,110 players: seconds, calls a player, memory, beside the floor. ARGS="--leagues 3,28" for fewer.
bench-scale: $(BUILT)
	$(BIN)/python -m bench.scale $(ARGS)

# Completions a second beside the one-document design, on the Firestore emulator (Java and the Google Cloud SDK).
bench-completions: $(BUILT)
	$(BIN)/python -m bench.completions $(ARGS)

# Rows a second of the worker's compute, all players at once beside one by one.
bench-predictions: $(BUILT)
	$(BIN)/python -m bench.predictions

# Players a second through the whole system: on one machine and on the emulators.
bench-pushes: $(BUILT)
	$(BIN)/python -m bench.pushes $(ARGS)

# Import and start of each service beside Flask and the Google clients alone.
bench-start: $(BUILT)
	$(BIN)/python -m bench.start $(ARGS)

# A real season through the services against the backtest of the same model: `make bench-season DATA=DIR`.
bench-season: $(BUILT)
	$(BIN)/python -m bench.season --data "$(DATA)" $(ARGS)

# Tipoff beside Celery, DBOS, dlt and bare engines, and all benches above; writes docs/benchmarks.md.
# One part: ARGS="--part fan-out --sizes 450,2000".
bench-peers: $(BUILT)
	$(BIN)/python -m bench $(ARGS)

# Seeded days of the whole system under faults, e.g. `make simulate SEEDS=0:20000`; `make simulate SEEDS=4091` tells of one.
SEEDS ?= 0:20000
simulate: $(BUILT)
	$(BIN)/python -m tests.simulation $(SEEDS)

# Days on the emulated cloud, each with a service killed or paused or a connection cut.
MINUTES ?= 5
chaos: $(BUILT)
	$(BIN)/python -m tests.simulation.chaos --minutes $(MINUTES)

# All that docs/reliability.md tells, measured anew (hours); one part of it with ARGS="chaos --minutes 5".
reliability: $(BUILT)
	$(BIN)/python -m tests.simulation.report $(ARGS)

# The pages of docs/ as a site in build/site/: what follows from the code is written first; a dead link, or a page that the
# site's table of contents leaves out, stops it.
docs: $(BUILT)
	$(BIN)/python -m docs.site.reference
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --config-file docs/site/mkdocs.yml
	@echo "open build/site/index.html"

# The README's picture of the dashboard, taken anew of a sample day by the system's Chromium.
picture: $(BUILT)
	$(BIN)/python -m docs.site.picture

# Every package is pinned by hash, the build backend too, so the project itself installs without fetching anything.
# The pins are the whole of what is installed: without --no-deps, pip looks for the newest release of a package that
# another one names with an extra, and stops because that release has no hash.
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps
$(RUNS): pyproject.toml constraints-run.txt
	@echo "building .venv from pinned packages, once: half a minute"
	@rm -rf .venv
	@$(PYTHON) -m venv .venv
	@$(INSTALL) --require-hashes -r constraints-run.txt
	@$(INSTALL) --no-build-isolation -e .
	@touch $@

$(BUILT): $(RUNS) constraints-dev.txt
	$(INSTALL) --require-hashes -r constraints-dev.txt
	$(BIN)/python -m pip check
	touch $@

# Pin the newest releases that pyproject.toml allows: constraints-dev.txt is everything; a run and the images take their
# own parts of it. Run it on the oldest Python that pyproject.toml allows.
LOCK := build/lock
PIN := $(LOCK)/bin/pip-compile --quiet --upgrade --generate-hashes --strip-extras --allow-unsafe --no-header \
	--no-emit-options
lock:
	$(PYTHON) -m venv --clear $(LOCK)
	$(LOCK)/bin/pip install --quiet pip-tools
	$(PIN) --all-extras --output-file constraints-dev.txt pyproject.toml
	$(PIN) --constraint constraints-dev.txt --extra coordinator --extra worker --extra local \
		--output-file constraints-run.txt pyproject.toml
	$(PIN) --constraint constraints-dev.txt --extra coordinator --output-file constraints-coordinator.txt pyproject.toml
	$(PIN) --constraint constraints-dev.txt --extra worker --output-file constraints-worker.txt pyproject.toml

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
