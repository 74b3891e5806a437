# `make run` and `make test` need Python 3.11 or newer and nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUNNABLE := $(VENV)/.ready-to-run
READY := $(VENV)/.ready
# Machines for builds often set it. Then each of the hundreds of processes that tests start would
# compile anew all that it loads, for as long as it takes to start.
unexport PYTHONDONTWRITEBYTECODE
# Test processes side by side; each starts servers of its own.
JOBS ?= 2

.PHONY: run test test-slow simulate coverage bench js docs picture lint lock clean

# What the service needs to run here, and what its tests need besides: each installed once.
$(RUNNABLE): requirements-run.txt pyproject.toml
	$(call install,270 MiB,a minute or two,requirements-run.txt)
	@touch $(RUNNABLE)

$(READY): requirements-dev.txt pyproject.toml
	$(call install,840 MiB,some minutes,requirements-dev.txt)
	@touch $(RUNNABLE) $(READY)

# install(how much, how long, the lock file)
define install
	@$(PYTHON) -c 'import sys; v = sys.version_info; \
	  sys.exit(0 if v >= (3, 11) else "This needs Python 3.11 or newer, and $(PYTHON) is %d.%d: name another, as in make PYTHON=python3.12 $(MAKECMDGOALS)" % v[:2])'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) has no venv: install it first (apt-get install python3-venv)." >&2; exit 1; }
	@echo "Installing $(1) into $(VENV), once. It takes $(2), and pip is silent for the last half of it."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --progress-bar on --no-compile --disable-pip-version-check --require-hashes -r $(3)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
endef

run: $(RUNNABLE)  ## start everything on this machine
	@exec $(BIN)/claimcheck dev

test: $(READY)  ## run every test that this machine can run
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "not slow" $(ARGS)

test-slow: $(READY)  ## run the tests that take minutes
	$(BIN)/python -m pytest -m slow $(ARGS)

simulate: $(READY)  ## live seeds, as long as ARGS="--minutes 60" says; those that fail are kept in .simulation
	$(BIN)/python -m tests.simulation --jobs $(JOBS) --keep .simulation $(ARGS)

coverage: $(READY)  ## run them half as fast, and show the lines that none of them reaches
	@$(MAKE) test ARGS="--cov --cov-report=term-missing:skip-covered $(ARGS)"

bench: $(READY)  ## measure it beside its peers; needs wrk (apt-get install wrk)
	$(BIN)/python -m bench $(ARGS)

js:  ## build app/static anew from clients/js; needs Node.js and npm
	cd clients/js && npm ci --ignore-scripts --no-audit --no-fund && node build.mjs

docs: $(READY)  ## make docs/problems.md anew from app/errors.py
	$(BIN)/python docs/problems.py

picture: $(READY)  ## take the pictures of README and docs anew; needs Chromium and Ceph RGW
	$(BIN)/python -m tests.browser.picture docs/page.png
	PICTURES=docs $(BIN)/python -m pytest -q tests/admin/test_story.py tests/admin/test_upload_field_staff.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --config-file clients/django/pyproject.toml
	$(BIN)/lint-imports
	$(BIN)/python alembic/check.py
	@# There are wheels of it for Linux on x86-64 alone.
	test ! -x $(BIN)/hadolint || $(BIN)/hadolint Dockerfile

LOCK := uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --generate-hashes --no-header --no-strip-extras

lock:  ## needs uv on the path
	$(LOCK) --extra build --extra admin pyproject.toml -o requirements.txt
	$(LOCK) --extra build --extra embedded --extra admin -c requirements.txt pyproject.toml -o requirements-run.txt
	$(LOCK) --extra build --extra embedded --extra admin --extra dev -c requirements-run.txt pyproject.toml -o requirements-dev.txt

clean:
	rm -rf $(VENV) .coverage .pytest_cache .mypy_cache .ruff_cache *.egg-info
