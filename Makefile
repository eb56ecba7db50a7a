# Each target installs what it needs. A machine needs python3 (3.11 or newer) and make. `make help` lists the targets.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
# SAM's command line needs other versions than the code, so it has its own environment. uv is there too, so that
# everything that builds is in one place.
SAM_VENV  := .venv-sam
SAM_BIN   := $(SAM_VENV)/bin
SAM_READY := $(SAM_VENV)/.ready
SAM       := SAM_CLI_TELEMETRY=0 $(SAM_BIN)/sam
# So does checkov.
CHECKOV_VENV := .venv-checkov
# The other engine of the end-to-end tests needs other versions too.
OTHER_ENGINE := .venv-ministack
# And so does the peer that `make bench` compares with.
PEER := .venv-bench
RESTATE := build/restate
RESTATE_SERVER := @restatedev/restate-server@1.7.12
# Seeds of the simulation: `make sim` runs all of them, `make test` a few.
SEEDS  ?= 300
# Each hundred has its own report, so a long run that is ended has said what it found. One run of all slows down.
SEEDS_AT_ONCE := 100

# Prints nothing if the floor holds, so that pytest's closing line is the last one.
floor   = $(BIN)/coverage report --fail-under=$(1) --include=$(2) > .floors || { cat .floors; exit 1; }
COMMA  := ,

# The target of the build. COMPILE_WITH names an interpreter of that version if there is none on PATH.
TARGET_PYTHON   ?= 3.13
TARGET_PLATFORM ?= aarch64-manylinux_2_28
COMPILE_WITH    ?=
# A folder whose contents go into each artifact: the deployer's package of named controllers.
CONTROLLERS_FROM ?=
LIBRARIES       := build/$(TARGET_PLATFORM)-$(TARGET_PYTHON)
# botocore describes every service of AWS in 20 MB; the artifacts keep those that the code uses.
AWS_SERVICES    := dynamodb events kms lambda s3 scheduler secretsmanager sqs ssm

.PHONY: help environments check checkov test calendars model mutants sim bench demo chaos up invoke sam-env smoke key restore examples settings golden e2e artifacts build format clean

# The lock names everything, so nothing needs resolving (--no-deps): pip before 23.3 takes `coverage[toml]` for a
# requirement of its own, and fails once there is a newer release than the locked one.
define environment
	$(PYTHON) -m venv $(1)
	$(1)/bin/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $<
	$(1)/bin/pip check --quiet --disable-pip-version-check
	touch $@
endef

$(READY): requirements/dev.txt
	$(call environment,$(VENV))

.venv-%/.ready: requirements/%.txt
	$(call environment,.venv-$*)

help:  ## List the targets.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

environments: $(READY) $(SAM_READY) $(CHECKOV_VENV)/.ready $(OTHER_ENGINE)/.ready  ## Install every environment; with -j side by side.

check: $(READY) $(SAM_READY)  ## Check style, types, words, import rules, dependencies and the template.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m dev.words
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/cfn-lint template.yaml
	$(SAM) validate --lint
	$(MAKE) --no-print-directory checkov

checkov: $(CHECKOV_VENV)/.ready $(SAM_READY)  ## Check the security of the template as CloudFormation sees it.
	$(SAM_BIN)/python -m dev.processed build/processed.json
	$(CHECKOV_VENV)/bin/checkov --config-file .checkov.yaml --file build/processed.json

test: $(READY)  ## Run every test, with the coverage floors.
	$(BIN)/python -m pytest -n 2 --ignore=tests/e2e --ignore=tests/template/test_artifacts.py --ignore=tests/template/test_processed.py --ignore=tests/template/test_permissions.py --cov --cov-report= --durations=5
	@$(call floor,95,'*')
	@$(call floor,100,'shared/expressions/*$(COMMA)shared/domain/*$(COMMA)shared/application/*')

calendars: $(READY)  ## Compute many generated calendars with moved dates, and let the engine run every twentieth: CALENDARS=.
	CALENDARS=$(or $(CALENDARS),10000) $(BIN)/python -m pytest tests/domain/planning/test_generated_calendars.py -n 2

model: $(READY)  ## Search every state of a model of the protocol; a few minutes.
	$(BIN)/python -m tests.model

mutants: $(READY)  ## Put bugs in by hand: each must be noticed by a test.
	$(BIN)/python -m dev.mutants

sim: $(READY)  ## Simulate crashes, races, lost replies, and lost and doubled wakeups: SEEDS= is the last seed, FIRST= the first.
	@first=$(or $(FIRST),1); failed=0; \
	while :; do \
	  last=$$((first + $(SEEDS_AT_ONCE) - 1)); [ $$last -lt $(SEEDS) ] || last=$(SEEDS); \
	  echo "seeds $$first to $$last"; \
	  SIMULATION_SEEDS=$$last SIMULATION_FIRST_SEED=$$first $(BIN)/python -m pytest tests/simulation -n 2 || failed=1; \
	  first=$$((last + 1)); [ $$first -le $(SEEDS) ] || break; \
	done; exit $$failed

bench: $(READY) $(PEER)/.ready $(RESTATE)/.ready  ## Measure CPU time beside peers and a bare client: ROUNDS= TASKS= PLOT=; about six minutes.
	$(BIN)/python -m dev.bench $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(TASKS),--tasks $(TASKS)) $(if $(PLOT),--plot '$(PLOT)')

# Only npm ships the Restate server. Without npm it is not measured.
$(RESTATE)/.ready:
	@mkdir -p $(RESTATE)
	@if command -v npm > /dev/null; then \
	  npm install --silent --no-audit --no-fund --no-package-lock --ignore-scripts --prefix $(RESTATE) $(RESTATE_SERVER); \
	  touch $@; \
	else echo "Restate is not measured, because there is no npm"; fi

demo: $(READY)  ## Run seventeen months of three strategies and check every date and call.
	$(BIN)/python -m dev.demo

chaos: $(READY)  ## Kill, stop and disturb the local stack in real time and compare ledger and history: MINUTES= KILLS= SEED=.
	MINUTES='$(MINUTES)' KILLS='$(KILLS)' SEED='$(SEED)' $(BIN)/python -m dev.chaos

up: $(READY)  ## Serve the local stack at http://127.0.0.1:8080 until Ctrl-C.
	$(BIN)/python -m dev.up

invoke: $(READY)  ## Invoke a function against a running `make up`, without Docker: F=CoreApi E=events/core_api.json.
	@$(BIN)/python -m dev.invoke --function '$(F)' --event '$(E)'

sam-env: $(READY)  ## Write what `sam local` needs to reach a running `make up` that has CONTAINERS_AT= set.
	@$(BIN)/python -m dev.sam_env

smoke: $(READY)  ## Try a deployment in about two minutes: URL= and KEY=, an administrator's.
	@KEY='$(KEY)' $(BIN)/python -m dev.smoke --url '$(URL)'

key: $(READY)  ## Create an access key: ACCOUNT= ROLE=, and STAGE= (prod) or LOCAL= (a local stack's address).
	@$(BIN)/python -m dev.key --account '$(ACCOUNT)' --role '$(ROLE)' --stage '$(or $(STAGE),prod)' $(if $(LOCAL),--local '$(LOCAL)')

restore: $(READY)  ## Restore a deployment's tables under new names: STAGE= (prod) SUFFIX=, and AT= or PREPARE=1.
	@$(BIN)/python -m dev.restore --stage '$(or $(STAGE),prod)' --suffix='$(SUFFIX)' --source='$(SOURCE)' \
	  $(if $(AT),--at '$(AT)') $(if $(PREPARE),--prepare)

examples: $(READY)  ## Play the OpenAPI examples and write those of notifications, after a change of an answer.
	$(BIN)/python -m dev.examples
	$(BIN)/python -m dev.automation_examples
	$(BIN)/python -m dev.notification_docs

settings: $(READY)  ## Write the settings reference in docs/api/core.md, and build/strategy.schema.json for editors.
	$(BIN)/python -m dev.settings_table
	$(BIN)/python -m dev.settings_schema build/strategy.schema.json

golden: $(READY)  ## Write golden items of what is newly stored; files that exist are never changed.
	@$(BIN)/python -m tests.golden

e2e: artifacts $(OTHER_ENGINE)/.ready  ## Test the artifacts on another engine, and the local stack under kill -9; about eight minutes.
	$(BIN)/python -m pytest tests/e2e -n 5 --dist loadscope --no-loadscope-reorder -p no:randomly --durations=12

artifacts: $(READY) $(SAM_READY)  ## Build each artifact for this machine and import it by itself; check the template after its transform.
	$(BIN)/python -m pytest tests/template/test_artifacts.py tests/template/test_processed.py tests/template/test_permissions.py -p no:randomly

build: $(LIBRARIES).ready  ## Build what is deployed: a layer with the libraries, and an artifact for each function, with sizes.
	$(SAM) build
	@$(PYTHON) -m dev.artifacts .aws-sam/build

# The locked libraries for the target, without what no function reads. The stubs and sources that the CEL wheel has
# outside its package, and the CEL extensions that are not loaded, are a third of the whole. Of the holidays' names only
# the English ones are read, and the holidays of stock exchanges not at all. holidays.countries only imports all 250
# countries, for which the first date of a country would wait.
$(LIBRARIES).ready: requirements/runtime.txt Makefile $(SAM_READY)
	rm -rf $(LIBRARIES)
	$(SAM_BIN)/uv pip install --quiet --require-hashes --only-binary :all: --link-mode copy --python $(SAM_BIN)/python \
	  --python-version $(TARGET_PYTHON) --python-platform $(TARGET_PLATFORM) --target $(LIBRARIES) -r requirements/runtime.txt
	cd $(LIBRARIES) && rm -rf .lock bin bazel-project cel_expr_python/ext boto3/examples holidays/financial
	find $(LIBRARIES) -type d -name tests -prune -exec rm -rf {} +
	find $(LIBRARIES) -type f -name '*.pyi' -exec rm -f {} +
	find $(LIBRARIES)/holidays/locale -mindepth 1 -maxdepth 1 -type d ! -name en_US -exec rm -rf {} +
	: > $(LIBRARIES)/holidays/countries/__init__.py
	find $(LIBRARIES)/botocore/data -mindepth 1 -maxdepth 1 -type d $(AWS_SERVICES:%=! -name %) -exec rm -rf {} +
	@$(call compile,$(LIBRARIES),/opt/python)
	touch $@

# The layer with the libraries. Lambda unpacks it into /opt and finds /opt/python. Several builds may copy at once, so
# none of them writes to the libraries.
build-Libraries: $(LIBRARIES).ready
	@test -n "$(ARTIFACTS_DIR)" || { echo "ARTIFACTS_DIR= must say where to" >&2; exit 1; }
	@mkdir -p "$(ARTIFACTS_DIR)/python"
	@cp -R $(LIBRARIES)/. "$(ARTIFACTS_DIR)/python"

# SAM asks for build-<LogicalId>; StepRunner is the function in functions/step_runner.
build-%: folder = functions/$(shell echo $* | sed -E 's/([a-z0-9])([A-Z])/\1_\2/g' | tr '[:upper:]' '[:lower:]')
build-%:
	@test -n "$(ARTIFACTS_DIR)" || { echo "ARTIFACTS_DIR= must say where to" >&2; exit 1; }
	@mkdir -p "$(ARTIFACTS_DIR)/functions"
	@cp functions/__init__.py "$(ARTIFACTS_DIR)/functions"
	@cp -R $(folder) "$(ARTIFACTS_DIR)/functions"
	@cp -R shared "$(ARTIFACTS_DIR)"
	@$(reference)
	@rm -rf "$(ARTIFACTS_DIR)/shared/api/reference"
	@test -z "$(CONTROLLERS_FROM)" || cp -R "$(CONTROLLERS_FROM)/." "$(ARTIFACTS_DIR)"
	@cd "$(ARTIFACTS_DIR)" && find functions shared -type d -name __pycache__ -prune -exec rm -rf {} +
	@$(call compile,"$(ARTIFACTS_DIR)",/var/task)

# The reference pages of a dialect, made from its routes at build time, because a cold start has no time for it. What
# makes them is not in the artifact.
APIS := $(addprefix build-,CoreApi AutomationApi OrdersApi ProcessApi)
$(APIS): reference = $(BIN)/python -m dev.openapi $(patsubst functions/%_api,%,$(folder)) "$(ARTIFACTS_DIR)/$(folder)"
$(APIS): $(READY)

# Bytecode that is used without a check of its source (unchecked-hash). Without it every cold start compiles all it
# imports, because Lambda's file system is read-only. Only the same minor version can read it. The interpreter's own
# version decides, not its name: a version manager's python3.13 may be a shim without a Python behind it. The first
# argument is the folder, the second where Lambda has it.
define compile
for python in $(COMPILE_WITH) python$(TARGET_PYTHON) $(PYTHON); do \
  if test "$$($$python -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>&1)" = $(TARGET_PYTHON); then \
    exec $$python -m compileall -q --invalidation-mode unchecked-hash -s $(1) -p $(2) $(1); \
  fi; \
done; echo "$(@:build-%=%): no .pyc, because there is no Python $(TARGET_PYTHON) (COMPILE_WITH=)"
endef

format: $(READY)  ## Format the code and fix what ruff can fix.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## Remove everything that was installed or built.
	rm -rf $(VENV) $(SAM_VENV) $(CHECKOV_VENV) $(OTHER_ENGINE) $(PEER) build .aws-sam .coverage .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
