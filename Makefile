# actcodec: every target is a thin wrapper of the command line; `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BUILD := build
RUN := $(BIN)/actcodec

# What the flow targets work on.
MODEL ?= mnist-resnet12
TARGET ?= 2.0
METHOD ?= demo
METHODS ?= p1q,waterfill,uniform
TARGETS ?= 4,3
CONFIG ?= default
DEVICE ?= DDR4-2400
SIM ?= verilator
IMAGE ?= 0
PLAN ?= $(BUILD)/$(MODEL)/plan
TABLES ?= $(BUILD)/$(MODEL)/tables
SITE ?= conv1
# The process-in-memory macro (configs/pim), and the convolution whose codes it works on.
ARRAY ?= default
LAYER ?= layer2.1.conv1
# A Dask scheduler whose workers run the sweep or the co-simulations (docs/cluster.md): tcp://HOST:PORT.
SCHEDULER_OPTION = $(if $(SCHEDULER),--scheduler $(SCHEDULER))
# Test processes beside each other.
JOBS ?= 2
# Tables know their codec; one that is asked for has to take them.
CODEC_OPTION = $(if $(filter-out file,$(origin CONFIG)),--codec $(CONFIG))
# DATA: folder with cifar10/ and pretrained/; default $$ACTCODEC_DATA.
DATA_OPTION = $(if $(DATA),--data-root $(DATA))

# CODECS: what `actcodec measure` wrote; ACCELERATOR: a name in configs/accelerator or a file.
CODECS_OPTION = $(if $(CODECS),--codecs $(CODECS))
ACCELERATOR_OPTION = $(if $(ACCELERATOR),--accelerator $(ACCELERATOR))

# A barrier on a core that another program holds costs more than the second thread brings.
export OMP_NUM_THREADS ?= 1

HASH := $(shell cat pyproject.toml constraints.txt | sha256sum | cut -c1-16)
STAMP = $(VENV)/.ready-$(HASH)
# The tools of synthesis come only where they are asked for; a new set-up takes this stamp with it.
SYNTH_STAMP = $(VENV)/.ready-synth-$(HASH)

.PHONY: help
help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 12
	@echo
	@echo "variables: MODEL=$(MODEL) TARGET=$(TARGET) METHOD=$(METHOD) METHODS=$(METHODS) TARGETS=$(TARGETS) CONFIG=$(CONFIG) DEVICE=$(DEVICE) SIM=$(SIM) IMAGE=$(IMAGE) SITE=$(SITE) ARRAY=$(ARRAY) LAYER=$(LAYER) WAVES=1 DATA=folder CODECS=file ACCELERATOR=name SCHEDULER=address"

.PHONY: setup
setup: $(STAMP)  ## make the Python environment (implied by every other target)

$(STAMP): pyproject.toml constraints.txt
	@missing=""; for tool in $(PYTHON) g++ iverilog ccache; do command -v $$tool > /dev/null || missing="$$missing $$tool"; done; \
	$(PYTHON) -c 'import venv, ensurepip' 2> /dev/null || missing="$$missing python3-venv"; \
	if [ -n "$$missing" ]; then echo "error: missing:$$missing; install with: apt-get install -y python3 python3-venv make g++ iverilog ccache" >&2; exit 1; fi
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: $(PYTHON) is older than 3.11" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	rm -f $(VENV)/.ready-*
	touch $@

$(SYNTH_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[synth]'
	touch $@

.PHONY: demo
demo: setup  ## the main job end to end on embedded data: build/demo/summary.json, build/demo/report/index.html
	$(RUN) demo --out $(BUILD)/demo --cache $(BUILD)/cache

.PHONY: test
test: lint  ## linters, then every test
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

.PHONY: docs
docs: setup  ## the API reference: build/docs/index.html; a warning is an error
	$(BIN)/python -W error::UserWarning -m pdoc --docformat markdown --output-directory $(BUILD)/docs actcodec actcodec_rtl actcodec_sim

.PHONY: lint
lint: setup docs  ## ruff, mypy --strict, the API reference, Verilator --lint-only -Wall on the Verilog of every configuration
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@for config in configs/codec/*.toml; do $(RUN) rtl --lint --codec $$config --out $(BUILD)/rtl/$$(basename $$config .toml) || exit 1; done
	@for array in configs/pim/*.toml; do $(RUN) pim rtl --lint --array $$array --out $(BUILD)/rtl/pim/$$(basename $$array .toml) || exit 1; done

.PHONY: learn
learn: setup  ## learn a plan for MODEL at TARGET bits a value by METHOD (configs/learn)
	$(RUN) learn --model $(MODEL) --target-bits $(TARGET) --recipe $(METHOD) --codec $(CONFIG) --out $(PLAN) $(DATA_OPTION)

.PHONY: export
export: setup  ## freeze the plan of MODEL into integer tables
	$(RUN) export --plan $(PLAN) --out $(TABLES)

.PHONY: rtl
rtl: setup  ## Verilog of CONFIG, ports, file lists, template (and table images where MODEL's tables exist)
	$(RUN) rtl --out $(BUILD)/rtl/$(CONFIG) $(if $(wildcard $(TABLES)/manifest.json),--tables $(TABLES)) $(CODEC_OPTION)

.PHONY: vectors
vectors: setup  ## a frame of SITE of MODEL's tables for a testbench of your own: build/MODEL/vectors
	$(RUN) vectors --tables $(TABLES) --site $(SITE) --out $(BUILD)/$(MODEL)/vectors $(CODEC_OPTION)

.PHONY: synth
synth: $(SYNTH_STAMP)  ## gate equivalents by block, ECP5 and iCE40 figures of CONFIG: build/synth/CONFIG (minutes)
	$(RUN) rtl --codec $(CONFIG) --out $(BUILD)/rtl/$(CONFIG)
	$(BIN)/python benchmarks/synth.py --verilog $(BUILD)/rtl/$(CONFIG)/files.f --top actcodec_codec --name $(CONFIG) --out $(BUILD)/synth/$(CONFIG)

.PHONY: pim
pim: $(SYNTH_STAMP)  ## process-in-memory macro of ARRAY: Verilog, energy per MAC on LAYER of MODEL: build/pim.json (minutes)
	$(RUN) pim rtl --array $(ARRAY) --out $(BUILD)/rtl/pim/$(ARRAY)
	$(RUN) pim energy --array $(ARRAY) --model $(MODEL) --layer $(LAYER) --cache $(BUILD)/cache --out $(BUILD)/pim.json $(DATA_OPTION)

.PHONY: formal
formal: setup  ## prove packer, unpacker, skid buffer and code placing under all stalls, and catch their mutants (minutes)
	$(BIN)/python -m actcodec_rtl.formal --out $(BUILD)/formal.json

.PHONY: cosim
cosim: setup  ## co-simulate MODEL's tables on test image IMAGE, SIM=verilator|icarus [WAVES=1] [CONFIG=decoder-only]
	$(RUN) cosim --tables $(TABLES) --sim $(SIM) --image $(IMAGE) --cache $(BUILD)/cache --out $(BUILD)/$(MODEL)/cosim $(if $(filter 1,$(WAVES)),--waves) $(CODEC_OPTION) $(DATA_OPTION) $(SCHEDULER_OPTION)

.PHONY: coverage
coverage: setup  ## co-simulate what closes functional coverage: build/coverage.json, holes named (minutes)
	$(BIN)/python benchmarks/functional_coverage.py --cache $(BUILD)/cache --out $(BUILD)/coverage.json

.PHONY: traffic
traffic: setup  ## memory traffic of MODEL's tables (or of CODECS) on DEVICE (configs/dram) [ACCELERATOR=name: of both]
	$(RUN) traffic $(if $(CODECS),$(if $(ACCELERATOR),--tables $(TABLES)),--tables $(TABLES)) --device $(DEVICE) $(CODECS_OPTION) $(ACCELERATOR_OPTION)

.PHONY: report
report: setup  ## traffic.csv, traffic.json, index.html of MODEL's tables, with co-simulations and a sweep found [CODECS=file, ACCELERATOR=name]
	$(RUN) report --tables $(TABLES) --device $(DEVICE) $(CODECS_OPTION) $(ACCELERATOR_OPTION) --out $(BUILD)/$(MODEL)/report $(foreach file,$(wildcard $(BUILD)/$(MODEL)/cosim/*.json),--cosim $(file)) $(foreach file,$(wildcard $(BUILD)/$(MODEL)/sweep/sweep.json),--sweep $(file))

.PHONY: picture
picture: setup  ## docs/report.png: the top of a report's page (needs chromium)
	PYTHONPATH=tests $(BIN)/python benchmarks/report_picture.py

.PHONY: sweep
sweep: setup  ## METHODS × TARGETS on MODEL: accuracy on the whole test set, build/MODEL/sweep/sweep.json and .svg
	$(RUN) sweep --model $(MODEL) --methods $(METHODS) --targets $(TARGETS) --out $(BUILD)/$(MODEL)/sweep $(DATA_OPTION) $(SCHEDULER_OPTION)

.PHONY: clean
clean:  ## remove what was built (the environment stays)
	rm -rf $(BUILD)
