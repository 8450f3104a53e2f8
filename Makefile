# Two commands: `make book` and `make test`. Each makes the environment in .venv first where it is missing or where
# requirements.txt has changed since.

VENV      := .venv
BIN       := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PROFILE   ?= paper
DATASETS  ?=
SEEDS     ?=
FRESH     := _build/reproduce/$(PROFILE)
ALL       := tests notebooks --nbval-lax --nbval-current-env
CORE      := $(patsubst %,tests/test_%.py,config streams models trainer metrics statistics published house lint) \
             tests/engines tests/records -m "not slow"

# The first Python of 3.11 to 3.14 on the path; the pins have no wheels for others.
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))
PYTHON ?= $(shell for p in python3 python python3.13 python3.12 python3.11 python3.14; do \
            "$$p" -c '$(FITS)' 2>/dev/null && { echo "$$p"; break; }; done)

UV ?= $(shell command -v uv 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help book pdf test lint lab reproduce bench faults lock clean

help:           ## this list
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:[^#]*## */|/' | awk -F'|' '{ printf "  make %-10s %s\n", $$1, $$2 }'

book: $(INSTALLED)  ## build the book from the committed records, into _build/html
	@echo "Building the book (about 3 minutes the first time)."
	@$(BIN)/python -m bbatch.publishing.book

pdf: book       ## the book as one PDF, _build/book.pdf (needs Chromium or Chrome on the path; no LaTeX)
	@echo "Printing the pages."
	@$(BIN)/python -m bbatch.publishing.pdf

test: $(INSTALLED)  ## run all tests: package, notebooks, book and its pages (up to 15 minutes); FAST=1: the core's, in one
	@echo "Testing $(if $(FAST),the core,package and notebooks and book)."
	@BBATCH_STORE="$${BBATCH_STORE:-$(CURDIR)/_build/store}" $(BIN)/python -m pytest $(if $(FAST),$(CORE),$(ALL))

lint: $(INSTALLED)  ## check format, rules and types; `ruff format` and `ruff check --fix` in .venv/bin mend much of it
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/mypy

lab: $(INSTALLED)  ## open the notebooks in JupyterLab
	@echo "Starting JupyterLab in notebooks/; Ctrl-C ends it."
	@$(BIN)/jupyter lab --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/notebooks

reproduce: $(INSTALLED)  ## train everything anew, no record used: PROFILE=smoke, quick or paper; DATASETS="mnist cifar10"; SEEDS=3
	@if [ -e $(FRESH)/complete ]; then rm -rf $(FRESH); fi
	@echo "Training the $(PROFILE) profile of $(if $(DATASETS),$(DATASETS),all data sets) from nothing into $(FRESH);"
	@echo "interrupted, the same command goes on where it stopped."
	@BBATCH_STORE=$(CURDIR)/$(FRESH) $(BIN)/bbatch sweep $(DATASETS) --profile $(PROFILE) $(if $(SEEDS),--seeds $(SEEDS)) --fresh
	@touch $(FRESH)/complete
	@echo "The new records are in $(CURDIR)/$(FRESH)."

bench: $(INSTALLED)  ## measure the trainer against the plain PyTorch loop
	@echo "Measuring speed; close other programs first."
	@$(BIN)/python -m benchmarks

faults: $(INSTALLED)  ## inject faults at length: 50 kills of each kind, damage, full disks, a cluster (about 10 minutes)
	@echo "Injecting faults; everything happens in temporary folders."
	@$(BIN)/python -m tests.faults

lock:           ## renew requirements.txt from requirements.in (needs uv)
	uv pip compile --universal --python-version 3.11.0 --no-header --no-annotate --upgrade requirements.in -o requirements.txt
	@echo "Renewed $(CURDIR)/requirements.txt."

clean:          ## remove what `make` made, except the environment and the records
	rm -rf _build .pytest_cache .ruff_cache .mypy_cache bbatch.egg-info
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# uv installs in seconds, pip in minutes. `make UV= book` leaves uv aside, as where only pip knows the package index.
ifneq ($(UV),)
  INSTALLER := uv
  NEW_VENV  := uv venv --python "$(PYTHON)" $(VENV)
  INSTALL   := uv pip install --python $(BIN)/python
  SOUND     := $(FITS)
else
  INSTALLER := pip (2 to 10 minutes; PyTorch is large)
  NEW_VENV  := $(PYTHON) -m venv $(VENV)
  INSTALL   := $(BIN)/python -m pip install --disable-pip-version-check
  SOUND     := import pip; $(FITS)
endif

$(INSTALLED): requirements.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python from 3.11 to 3.14 was found; install one, or name it: make PYTHON=/path/to/python3"; exit 1; } >&2
	@$(BIN)/python -c '$(SOUND)' 2>/dev/null || { \
	  echo "Making the environment $(VENV) with $$($(PYTHON) --version)."; rm -rf $(VENV); $(NEW_VENV); } || { \
	  echo "$(VENV) could not be made; on Debian and Ubuntu, install the package python3-venv."; exit 1; } >&2
	@echo "Installing requirements.txt into $(VENV) with $(INSTALLER)."
	@$(INSTALL) -r requirements.txt || { echo "requirements.txt could not be installed; the lines above say why."; exit 1; } >&2
	@echo "Installing bbatch itself."
	@$(INSTALL) --quiet --no-build-isolation --no-deps --editable .
	@touch $(INSTALLED)
	@echo "The environment is ready: $(CURDIR)/$(VENV)"
