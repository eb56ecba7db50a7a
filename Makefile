# Every target sets up what it needs; python3 (3.11 or newer) and make are all a machine must have.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
# SAM's command line wants other versions than the code does, so it has an environment of its own, and uv is in it
# too: what builds is then in one place, whoever asks for a build.
SAM_VENV  := .venv-sam
SAM_BIN   := $(SAM_VENV)/bin
SAM_READY := $(SAM_VENV)/.ready
SAM       := SAM_CLI_TELEMETRY=0 $(SAM_BIN)/sam
# Seeds of the simulation: `make sim` runs them all, `make test` a handful.
SEEDS  ?= 300

# Silent where the floor holds, so that pytest's own closing line is the last word.
floor   = $(BIN)/coverage report --fail-under=$(1) --include=$(2) > .floors || { cat .floors; exit 1; }
COMMA  := ,

.PHONY: check test sim demo up e2e format clean

# The lock names everything, so nothing is left to resolve; and pip before 23.3, asked to, takes `coverage[toml]`
# for a requirement of its own and stops at the first release newer than the lock.
$(READY): requirements/dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/dev.txt
	$(BIN)/pip check --quiet --disable-pip-version-check
	touch $(READY)

$(SAM_READY): requirements/sam.txt
	$(PYTHON) -m venv $(SAM_VENV)
	$(SAM_BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/sam.txt
	$(SAM_BIN)/pip check --quiet --disable-pip-version-check
	touch $(SAM_READY)

check: $(READY) $(SAM_READY)  ## Style, types, import rules, dependencies, the template.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/cfn-lint template.yaml
	$(SAM) validate --lint

test: $(READY)  ## Every test, with the coverage floors.
	$(BIN)/python -m pytest -n 2 --ignore=tests/e2e --cov --cov-report= --durations=5
	@$(call floor,95,'*')
	@$(call floor,100,'shared/expressions/*$(COMMA)shared/domain/*$(COMMA)shared/application/*')

sim: $(READY)  ## The main job under crashes, doubled and lost doorbells, lost replies.
	SIMULATION_SEEDS=$(SEEDS) $(BIN)/python -m pytest tests/simulation -n 2

demo: $(READY)  ## A year of two strategies on the local stack; checks every date and every call.
	$(BIN)/python -m dev.demo

up: $(READY)  ## The local stack until Ctrl-C, at http://127.0.0.1:8080.
	$(BIN)/python -m dev.up

e2e: $(READY)  ## The local stack in real time and under kill -9; about five minutes.
	$(BIN)/python -m pytest tests/e2e -n 2 -p no:randomly

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) $(SAM_VENV) .coverage .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
