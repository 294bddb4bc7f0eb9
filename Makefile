# On a bare machine: `make demo` shows httptop, `make test` tests it. Both install what they need, and say so.

VENV := .venv
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo --preserve-env=CI,HTTPTOP_CORPUS)

.PHONY: help setup demo test matrix kernels truth fuzz bench screenshots lint clean

help:
	@echo "make setup   BCC from the distribution, httptop into $(VENV)"
	@echo "make demo    the live screen on traffic that httptop makes itself"
	@echo "make test    all tests, as root (ARGS=... goes to pytest)"
	@echo "make matrix  who served and who asked, with real servers and clients of every kind"
	@echo "make kernels whether other kernels load it: those of the distribution, in a virtual machine"
	@echo "make truth   recall and precision on captures that other people made"
	@echo "make fuzz    the parser and the path from file to messages, a minute each"
	@echo "make bench   what httptop costs (ARGS=--quick for a first look)"
	@echo "make screenshots   pictures and a film of the screen on live traffic, into screenshots/"
	@echo "make lint    ruff and mypy"
	@echo "make clean   remove what make has made"

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml .ci/packages
	@.ci/packages run
	@test -x $(VENV)/bin/python || "$$(.ci/packages python)" -m venv $(VENV)
	@echo "httptop: installing into $(VENV), with what it needs from PyPI"
	@$(PIP) --editable .
	@$(VENV)/bin/python -m compileall -q httptop
	@touch $@
	@echo "httptop: ready; start it with: sudo $(CURDIR)/$(VENV)/bin/httptop"

$(VENV)/.ready-dev: $(VENV)/.ready
	@echo "httptop: installing what tests and lint need from PyPI into $(VENV)"
	@$(PIP) --editable '.[dev]'
	@touch $@

$(VENV)/.ready-test: $(VENV)/.ready-dev
	@.ci/packages test
	@touch $@

demo: setup
	$(SUDO) $(CURDIR)/$(VENV)/bin/httptop --demo

test: $(VENV)/.ready-test
	$(SUDO) $(CURDIR)/$(VENV)/bin/python -m pytest --ignore=tests/matrix --ignore=tests/kernels $(ARGS)

$(VENV)/.ready-matrix: $(VENV)/.ready-test
	@$(PIP) --editable '.[matrix]'
	@.ci/packages matrix
	@touch $@

matrix: $(VENV)/.ready-matrix
	$(SUDO) $(CURDIR)/$(VENV)/bin/python -m pytest tests/matrix $(ARGS)

kernels: $(VENV)/.ready-dev
	@.ci/packages kernels
	$(SUDO) $(CURDIR)/$(VENV)/bin/python -m pytest tests/kernels $(ARGS)

truth: $(VENV)/.ready-dev
	$(VENV)/bin/python -m tests.truth.score --verbose
	$(SUDO) $(CURDIR)/$(VENV)/bin/python -m pytest tests/truth tests/kernel/test_corpus.py

$(VENV)/.ready-fuzz: $(VENV)/.ready-dev
	@$(PIP) --editable '.[fuzz]'
	@touch $@

fuzz: $(VENV)/.ready-fuzz
	@for target in heads files talks; do \
		mkdir -p build/fuzz; \
		$(VENV)/bin/python -m tests.fuzz $$target -max_total_time=60 -artifact_prefix=build/fuzz/ || exit 1; \
	done

bench: $(VENV)/.ready-dev
	@.ci/packages bench
	$(SUDO) $(CURDIR)/$(VENV)/bin/python -m tests.bench $(ARGS)

screenshots: $(VENV)/.ready-dev
	@.ci/packages screenshots
	$(SUDO) $(CURDIR)/$(VENV)/bin/python -m tests.tui.shoot screenshots --live

lint: $(VENV)/.ready-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

clean:
	rm -rf $(VENV) build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
