# Takeoff: `make study` sets up and runs the default study, `make test` sets up and passes the tests.
configured = $(shell sed -n 's/^$(1): *\([^ \#]*\).*/\1/p' config/config.yaml)
ifndef STUDY
STUDY := $(call configured,study)
endif
# As they were given: quotes and dollar signs reach the commands through the environment.
override STUDY := $(value STUDY)
override SET := $(value SET)
override ARCHIVES := $(value ARCHIVES)
export STUDY SET ARCHIVES
PYTHON ?= python3
CORES ?= all
VENV := .venv
RUN := PATH="$(CURDIR)/$(VENV)/bin:$$PATH"
export PYTHONDONTWRITEBYTECODE :=
# In a container there may be no home that can be written to; Snakemake and uv keep something there.
ifneq ($(shell test -w "$$HOME" && echo yes),yes)
export XDG_CACHE_HOME ?= $(CURDIR)/.cache
endif

# A file of tests stays in one process: its tests share what they set up. One process more than there are cores, since
# a cluster, a browser and servers are waited for.
PARALLEL := -n $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1) --maxprocesses 8 --dist loadfile --no-loadscope-reorder
CONFIG := "study=$$STUDY" $(if $(SET),"set=$$SET") $(if $(ARCHIVES),"archives={$$ARCHIVES}")
SNAKEMAKE := $(RUN) snakemake --cores $(CORES) --config $(CONFIG)
# The folder of the study's results, in the shell variable `folder`; made where it is not there.
FOLDER := folder=$$($(RUN) python scripts/folder.py $(CONFIG)) && mkdir -p "$$folder"

.PHONY: help study unlock plan report track ui benchmark test test-quick coverage test-faults lint lock clean

help: ## say what can be made
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

study: $(VENV)/ready ## run a study, write its report: make study STUDY=digits SET='seeds=8 recipe.epochs=20' ARCHIVES='cifar10: PATH'
	@$(FOLDER) && $(SNAKEMAKE) --report "$$folder/report.html" --report-after-run

unlock: $(VENV)/ready ## after a kill -9: let Snakemake run again
	$(SNAKEMAKE) --unlock

plan: $(VENV)/ready ## print what the study would train, and for how long
	$(SNAKEMAKE) -- plan

report: $(VENV)/ready ## write the HTML report of what has run
	@$(FOLDER) && $(RUN) snakemake --config $(CONFIG) --report "$$folder/report.html"

benchmark: $(VENV)/ready ## measure how fast this machine trains, against plain loops: two minutes
	$(SNAKEMAKE) -- benchmark

track: $(VENV)/ready ## log a study's runs to MLflow, also anew after its results were moved
	$(SNAKEMAKE) --forcerun track_runs track -- track

ui: $(VENV)/ready ## compare runs in MLflow's UI: make ui STUDY=digits PORT=5001
	@$(RUN) python scripts/ui.py $(CONFIG) $(if $(PORT),--port $(PORT))

test: $(VENV)/ready ## every test and check
	$(MAKE) lint
	$(RUN) pytest $(PARALLEL)

test-quick: $(VENV)/ready ## the tests without whole studies and benchmarks, about 5 minutes
	$(RUN) pytest $(PARALLEL) -m "not slow"

coverage: $(VENV)/ready ## how much of the code those tests run, of commands too; a page of it in .cache/coverage
	$(RUN) pytest $(PARALLEL) -m "not slow" --cov --cov-report=term --cov-report=html:.cache/coverage

test-faults: $(VENV)/ready ## every fault: kills, hostile input, damaged files, stores, full disks, a cluster's; about an hour
	TAKEOFF_FAULTS=whole $(RUN) pytest $(PARALLEL) tests/faults

lint: $(VENV)/ready ## style, types and workflow checks
	$(RUN) ruff check . && $(RUN) ruff format --check .
	$(RUN) snakefmt --check Snakefile workflow
	$(RUN) codespell
	$(RUN) mypy
	$(RUN) snakemake --lint

lock: $(VENV)/ready ## resolve the versions of pyproject.toml anew
	$(VENV)/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --custom-compile-command "make lock" --group dev --upgrade pyproject.toml -o requirements.lock

clean: ## remove the environment and every cache; results stay
	rm -rf $(VENV) .cache .coverage* .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# uv installs from its cache in seconds; the imports write the bytecode that the commands will use.
$(VENV)/ready: requirements.lock envs/uv.txt
	@$(PYTHON) -c 'import sys; (3, 11) <= sys.version_info < (3, 14) or sys.exit( \
	  "error: $(PYTHON) is Python %d.%d; valid: 3.11 to 3.13, as in: make study PYTHON=python3.12" % sys.version_info[:2])'
	@test ! -L $(VENV) || { echo "error: $(VENV) is a link to $$(readlink $(VENV)), which would be emptied; \
	valid: to remove the link, or to bring what it points to up to date by hand" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/pip install --quiet --require-hashes -r envs/uv.txt
	VIRTUAL_ENV=$(VENV) $(VENV)/bin/uv pip install --quiet --require-hashes -r requirements.lock
	$(VENV)/bin/python envs/warm.py
	@touch $@
