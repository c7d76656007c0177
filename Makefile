# Each target creates what it needs, once: the virtual environment, the packages, the language-ID model, the sample.
#
# LANG is also the locale variable. Only LANG=xx on make's command line names a language; the user's locale does not,
# and children always get a valid UTF-8 locale rather than LANG=ko.
ifeq ($(origin LANG),command line)
  CODE := $(strip $(LANG))
else
  CODE := ko
endif
override export LANG := C.UTF-8
override export LC_ALL := C.UTF-8
export PYTHONUTF8 := 1
# Without bytecode every process compiles all sources again, and the tests start many.
unexport PYTHONDONTWRITEBYTECODE

SHELL  := /bin/bash
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --constraint constraints.txt

# One word of the shell, whatever the value holds; and a value as the inside of a double-quoted YAML string.
quoted = '$(subst ','\'',$1)'
escaped = $(subst ",\",$(subst \,\\,$(WARC)))

KNOWN  := $(sort $(basename $(notdir $(wildcard filters/languages/*.yaml))))
RECIPE := $(firstword $(wildcard pipelines/$(CODE).yaml) pipelines/web.yaml)
OTHER  := $(if $(filter pipelines/web.yaml,$(RECIPE)),--set name=$(CODE) --set language=$(CODE))
SETS   := $(OTHER) $(if $(WARC),--set $(call quoted,sources.crawl.paths=["$(escaped)"])) $(foreach s,$(SET),--set $(call quoted,$(s)))
ROOMS  := pipelines stages filters classifiers tokenize train_handoff testing
SAMPLE := runs/sample/sample.warc.gz

.DEFAULT_GOAL := help
.PHONY: help pipeline train test bench experiment check sample known ran

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10
	@echo
	@echo "LANG=xx (default ko; known: $(KNOWN)), WARC=path-or-glob, SET=\"stage.key=value ...\" (no spaces inside a value)"

pipeline: known $(VENV)/.installed $(if $(WARC),,$(SAMPLE)) ## curate the bundled sample, or WARC=...: funnel, and where the shards are
	$(BIN)/winnow run $(RECIPE) $(SETS)

train: known ran $(VENV)/.installed-train ## take training steps on the shards of `make pipeline` (SET="train.steps=100")
	$(BIN)/winnow train $(RECIPE) $(SETS)

test: $(VENV)/.installed-dev ## every test, several files at a time
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder $(TESTS)

bench: $(VENV)/.installed-dev ## every benchmark: ratios against peers, measured in one run
	@for b in tests/bench/bench_*.py; do echo "== $$b"; $(BIN)/python $$b || exit 1; done

experiment: $(VENV)/.installed-dev ## which Korean selection trains the better model: docs/selection-quality.md (TIER=0 or 1)
	$(BIN)/python tests/bench/selection_quality/experiment.py --tier $(or $(TIER),1)

check: $(VENV)/.installed-dev ## ruff, mypy and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache --no-logo
	@mkdir -p .typing && ln -sfn .. .typing/winnow
	cd .typing && MYPYPATH=. ../$(BIN)/mypy --config-file ../pyproject.toml $(foreach r,$(ROOMS),-p winnow.$(r))

sample: $(SAMPLE) ## write the bundled sample crawl to runs/sample

known:
	$(if $(and $(filter 1,$(words $(CODE))),$(filter $(KNOWN),$(CODE))),,$(error no language pack for '$(CODE)'; known languages: $(KNOWN). For another: winnow fit language, then a declaration with its file))

ran: # before torch is installed for nothing
	@test -e runs/$(CODE)/run.json || { echo "no finished run in runs/$(CODE): run 'make pipeline LANG=$(CODE)' first" >&2; exit 1; }

$(SAMPLE): $(VENV)/.installed $(wildcard pipelines/sample/*.py pipelines/sample/texts/* pipelines/sample/templates/*)
	$(BIN)/python -m winnow.pipelines.sample.generate $(@D)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "winnow needs Python 3.11 or later; name one with PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable .
	$(BIN)/python -m winnow.classifiers.artifacts lid.176
	$(BIN)/winnow compile
	@touch $@

$(VENV)/.installed-train: $(VENV)/.installed | ran
	$(PIP) --editable '.[train]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) --editable '.[dev]'
	@touch $@
