# Two commands: `make book` and `make test`. Each makes the environment in .venv first where it is missing or moved, where
# its interpreter is gone, or where requirements.txt has changed since.
#
# Recipes run in this folder and name everything relative to it, so that its own path may hold blanks and quotes.

VENV     := .venv
BIN      := $(VENV)/bin
PROFILE  ?= paper
DATASETS ?=
SEEDS    ?=
FLAGS    ?=

# Records of a reproduction, one folder for each profile and choice of data sets; `make clean` leaves store/ alone.
EMPTY    :=
FRESH    := store/reproduce/$(PROFILE)/$(or $(subst $(EMPTY) $(EMPTY),+,$(strip $(DATASETS))),all)

# Three processes share the files of tests, for some wait: for a browser, a kernel, a process to be killed.
ALL      := tests notebooks --nbval-lax --nbval-current-env \
            --numprocesses 3 --dist loadfile --no-loadscope-reorder
CORE     := $(patsubst %,tests/test_%.py,config streams models trainer metrics statistics published house lint) \
            tests/engines tests/records -m "not slow"

# The first Python of 3.11 to 3.14 on the path; the pins have no wheels for others.
FITS   := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))
PYTHON ?= $(shell for p in python3 python python3.13 python3.12 python3.11 python3.14; do \
            "$$p" -c '$(FITS)' 2>/dev/null && { echo "$$p"; break; }; done)

UV ?= $(shell command -v uv 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help book pdf outputs test lint lab reproduce bench faults mutants lock clean

help:           ## this list
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:[^#]*## */|/' | awk -F'|' '{ printf "  make %-10s %s\n", $$1, $$2 }'

book: $(VENV)/.installed  ## build the book from the committed records, into _build/html
	@echo "Building the book (about 5 minutes the first time)."
	@$(BIN)/python -m bbatch.publishing book

pdf: book       ## the book as one PDF, _build/book.pdf (needs Chromium or Chrome on the path; no LaTeX)
	@echo "Printing the pages."
	@$(BIN)/python -m bbatch.publishing pdf

outputs: $(VENV)/.installed  ## renew the outputs that nbval compares, from the committed records: NOTEBOOKS="03 07", or all
	@$(BIN)/python -m bbatch.publishing outputs $(NOTEBOOKS)

test: $(VENV)/.installed  ## run all tests: package, notebooks, book and its pages (7 to 25 minutes on two cores); FAST=1: the core's, in one
	@echo "Testing $(if $(FAST),the core,package and notebooks and book)."
	@BBATCH_STORE="$${BBATCH_STORE:-_build/store}" $(BIN)/python -m pytest $(if $(FAST),$(CORE),$(ALL))

lint: $(VENV)/.installed  ## check format, rules and types; `ruff format` and `ruff check --fix` in .venv/bin mend much of it
	@$(BIN)/python -m ruff format --check
	@$(BIN)/python -m ruff check
	@$(BIN)/python -m mypy

lab: $(VENV)/.installed  ## open the notebooks in JupyterLab
	@echo "Starting JupyterLab in notebooks/; Ctrl-C ends it."
	@$(BIN)/python -m jupyterlab --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/notebooks $(FLAGS)

reproduce: $(VENV)/.installed  ## train everything anew, no record used: PROFILE=smoke, quick or paper; DATASETS="mnist cifar10"; SEEDS=3
	@if [ -e "$(FRESH)/complete" ]; then rm -rf "$(FRESH)"; fi
	@echo "Training the $(PROFILE) profile of $(or $(DATASETS),all data sets) from nothing into $(FRESH);"
	@echo "interrupted, the same command goes on where it stopped."
	@BBATCH_STORE="$(FRESH)" $(BIN)/python -m bbatch sweep $(DATASETS) --profile "$(PROFILE)" $(if $(SEEDS),--seeds $(SEEDS)) --fresh
	@touch "$(FRESH)/complete"
	@echo "The new records are in $$PWD/$(FRESH)."

bench: $(VENV)/.installed  ## measure the trainer against the plain PyTorch loop
	@echo "Measuring speed; close other programs first."
	@$(BIN)/python -m benchmarks

faults: $(VENV)/.installed  ## inject faults at length: 50 kills of each kind, damage, full disks, a cluster (about 10 minutes)
	@echo "Injecting faults; everything happens in temporary folders."
	@$(BIN)/python -m tests.faults

mutants: $(VENV)/.installed  ## seed faults into the package and tell which test notices (up to an hour): ROOMS="analysis claims"
	@echo "Seeding faults; the files stay as they are."
	@$(BIN)/python -m tests.mutants $(ROOMS)

lock:           ## renew requirements.txt from requirements.in (needs uv)
	uv pip compile --universal --python-version 3.11.0 --no-header --no-annotate --upgrade requirements.in -o requirements.txt
	@echo "Renewed requirements.txt."

clean:          ## remove what `make` made; the environment, records and notebooks that you executed stay
	rm -rf .pytest_cache .ruff_cache .mypy_cache bbatch.egg-info
	if [ -d _build ]; then find _build -mindepth 1 -maxdepth 1 ! -name executed -exec rm -rf {} +; fi
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# uv installs in seconds, pip in minutes. `make UV= book` leaves uv aside, as where only pip knows the package index.
ifneq ($(UV),)
  INSTALLER := uv
  NEW_VENV  := "$(UV)" venv --python "$(PYTHON)" $(VENV)
  INSTALL   := "$(UV)" pip install --python $(BIN)/python
  NEEDED    := os
else
  INSTALLER := pip (2 to 10 minutes; PyTorch is large)
  NEW_VENV  := "$(PYTHON)" -m venv $(VENV)
  INSTALL   := $(BIN)/python -m pip install --disable-pip-version-check
  NEEDED    := pip
endif

# `make CPU=1 book` installs PyTorch without CUDA, 0.2 instead of 5 GB, from an index of its own: as the container does.
LIST := requirements.txt
ifneq ($(CPU),)
  LIST  := $(VENV)/without-cuda.txt
  INDEX := $(if $(UV),--torch-backend cpu,--extra-index-url https://download.pytorch.org/whl/cpu)
endif

# The environment is sound where its interpreter runs and fits, and what it has installed is this checkout and no other.
SOUND := import json, os, sys, urllib.parse, $(NEEDED); from importlib.metadata import distributions; \
         urls = [d.read_text("direct_url.json") for d in distributions(name="bbatch")]; \
         places = [urllib.parse.unquote(json.loads(u)["url"])[7:] for u in urls if u]; \
         sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14) or any(os.path.realpath(p) != os.getcwd() for p in places))
ifneq ($(shell $(BIN)/python -I -c '$(SOUND)' 2>/dev/null && echo sound),sound)
.PHONY: $(VENV)/.requirements
endif

$(VENV)/.requirements: requirements.txt
	@test -n "$(PYTHON)" || { echo "No Python from 3.11 to 3.14 was found; install one, or name it: make PYTHON=/path/to/python3"; exit 1; } >&2
	@$(BIN)/python -I -c '$(SOUND)' 2>/dev/null || { \
	  echo "Making the environment $(VENV) with $$("$(PYTHON)" --version)."; rm -rf $(VENV); $(NEW_VENV); } || { \
	  echo "$(VENV) could not be made; on Debian and Ubuntu, install the package python3-venv."; exit 1; } >&2
	@echo "Installing requirements.txt into $(VENV) with $(INSTALLER)."
	@$(if $(CPU),grep -vE '^(cuda|nvidia|triton)' requirements.txt > $(LIST))
	@$(INSTALL) $(INDEX) -r $(LIST) || { echo "requirements.txt could not be installed; the lines above say why."; exit 1; } >&2
	@touch $@

$(VENV)/.installed: $(VENV)/.requirements pyproject.toml
	@echo "Installing bbatch itself."
	@$(INSTALL) --quiet --no-build-isolation --no-deps --editable .
	@touch $@
	@echo "The environment is ready: $$PWD/$(VENV)"
