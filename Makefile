# Each target is one line that calls nox or harness; what they do is in noxfile.py.
# The first call makes .bootstrap, a small environment with nox and uv in it.
PYTHON ?= python3
NOX := .bootstrap/bin/nox
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help test lint test-e2b-smoke test-e2b-live test-e2b-parity test-e2b-orphans \
	e2b-cleanup e2b-cleanup-force secret-scan report doctor clean

help: ## this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

test: $(NOX) ## the project's tests: lint, types, unit, contract, smoke, parity, orphans
	@$(NOX) -s lint types parity tests

lint: $(NOX) ## style, layers, types
	@$(NOX) -s lint types

test-e2b-smoke: $(NOX) ## smoke tests on the emulator; live too with E2B_LIVE_TESTS=1 and a key
	@$(NOX) -s smoke -- $(ARGS)

test-e2b-live: $(NOX) ## smoke and live tests on the real E2B (needs E2B_API_KEY, E2B_LIVE_TESTS=1)
	@$(NOX) -s smoke-live -- $(ARGS)

test-e2b-parity: $(NOX) ## the matrix: the released Osiris here and in a sandbox, compared
	@$(NOX) -s parity -- $(ARGS)

test-e2b-orphans: $(NOX) ## is every sandbox ended that was started?
	@$(NOX) -s orphans -- $(ARGS)

e2b-cleanup: $(NOX) ## list what a clean-up would end (dry run)
	@$(NOX) -s harness -- orphans sweep $(ARGS)

e2b-cleanup-force: $(NOX) ## end our orphaned sandboxes
	@$(NOX) -s harness -- orphans sweep --force $(ARGS)

secret-scan: $(NOX) ## look for secrets in the repository, the runs and the reports
	@$(NOX) -s secret-scan -- $(ARGS)

report: $(NOX) ## one junit.xml and one summary.md out of all sessions
	@$(NOX) -s report

doctor: $(NOX) ## is this machine ready, and are the settings?
	@$(NOX) -s harness -- doctor

clean: ## remove what runs and set-up made
	rm -rf .bootstrap .nox testing_env/runs testing_env/reports testing_env/logs testing_env/envs testing_env/templates

$(NOX):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "this Python is too old: `$(PYTHON) --version`" >&2; echo "expected: Python 3.11 or newer" >&2; \
	  echo "next: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 2; }
	@$(PYTHON) -m venv .bootstrap || { \
	  echo "no virtual environment could be made with $(PYTHON)" >&2; echo "expected: the venv module (Debian: python3-venv)" >&2; \
	  echo "next: install it, then call make again" >&2; rm -rf .bootstrap; exit 2; }
	@.bootstrap/bin/python -m pip install --quiet --disable-pip-version-check "nox[uv]>=2026.8.10" || { rm -rf .bootstrap; exit 2; }
