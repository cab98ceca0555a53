# `make demo` and `make test` need Python 3.11, git and make; they set up everything else, once.

MAKEFLAGS += --no-print-directory
PY := .venv/bin/python

.NOTPARALLEL: # two targets must not install at the same time

# pytest's choice of tests: all but the slow ones, or all with `make test SLOW=1`.
SLOW ?=
TESTS := $(if $(SLOW),"slow or not slow","not slow")
# A whole Debian runs tests of its own: beside others it would keep both cores busy, and tests with time-outs waiting.
PLATFORMS := tests/docs/test_platforms.py
APART := $(if $(SLOW),--ignore $(PLATFORMS))
PROGRAMS := pgbouncer chromium zsh fish $(if $(SLOW),debootstrap firefox)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

.PHONY: demo
demo: .venv/.demo ## audit made-up users on real servers; the last line is the report's path
	@.venv/bin/sync-audit demo || [ $$? -eq 4 ]  # the demo is meant to find things
	@echo "$(CURDIR)/reports/demo.html"

.PHONY: test
test: .venv/.test $(PROGRAMS) ## run the tests; SLOW=1 runs the slow ones too
	@$(PY) -m pytest -n 3 -m $(TESTS) $(APART)
	$(if $(SLOW),@$(PY) -m pytest -m $(TESTS) $(PLATFORMS))

.PHONY: test-all
test-all: ## run all tests
	@$(MAKE) test SLOW=1

.PHONY: coverage
coverage: .venv/.test $(PROGRAMS) ## run the tests and say what they do not reach; SLOW=1 as with test
	@$(PY) -m coverage erase
	@$(PY) -m coverage run -m pytest -n 3 -m $(TESTS) $(APART)
	@$(PY) -m coverage combine --quiet
	@$(PY) -m coverage report

.PHONY: lowest
lowest: .venv/.test pgbouncer ## run most tests with the lowest versions of dependencies that are allowed
	.ci/lowest

.PHONY: lint
lint: .venv/.dev ## check format, style, types and layers, and the examples
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	.venv/bin/lint-imports
	@.ci/lint-examples

.PHONY: format
format: .venv/.dev ## put the code into shape
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

.PHONY: docs
docs: .venv/.docs ## build the documentation into site/
	.venv/bin/zensical build --strict --clean

.PHONY: dist
dist: .venv/.dev ## build sdist, wheel and bill of materials into dist/
	rm -rf dist
	.ci/dist dist
	.ci/sbom dist/*.whl dist/sbom.cdx.json

.PHONY: wheel
wheel: .venv/.dev ## build the wheel, install it elsewhere and use it there
	.ci/wheel

.PHONY: example
example: .venv/.test chromium ## write reports/example/ again, and the picture of it
	$(PY) -m tests.docs.example reports/example
	.ci/picture

.PHONY: screens
screens: .venv/.test ## draw the pictures of terminals again
	$(PY) -m tests.docs.screens docs/pictures

# All but the forecast, which takes long because it waits.
QUICK := cost start wait rate memory trainings

.PHONY: bench
bench: .venv/.test ## measure CPU, memory, rate and more, in some 3 minutes
	$(PY) -m benchmarks --users 3000 --rounds 2 $(QUICK:%=--part %) --largest 100000 --save benchmarks/results/quick

.PHONY: bench-full
bench-full: .venv/.test ## the same with a million users, into the documentation
	$(PY) -m benchmarks --users 20000 --largest 1000000 --save benchmarks/results; \
	missed=$$?; $(PY) -m benchmarks.page && exit $$missed

.PHONY: clean
clean: ## remove what make has made, reports excepted
	rm -rf .venv build dist site .cache *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.venv/.%: setup.cfg pyproject.toml .ci/venv
	@.ci/venv $*
	@touch $@

.PHONY: pgbouncer
pgbouncer:
	@PATH="$$PATH:/usr/sbin:/usr/local/sbin" command -v pgbouncer >/dev/null || .ci/apt-install pgbouncer

.PHONY: chromium zsh fish
chromium zsh fish:
	@command -v $@ >/dev/null || .ci/apt-install $@

# Debian calls the one that it keeps for long "firefox-esr".
.PHONY: firefox
firefox:
	@command -v firefox-esr >/dev/null || command -v firefox >/dev/null || .ci/apt-install firefox-esr

# Only root can make a Debian, so nobody else needs it.
.PHONY: debootstrap
debootstrap:
	@[ "$$(id -u)" -ne 0 ] || PATH="$$PATH:/usr/sbin" command -v $@ >/dev/null || .ci/apt-install $@
