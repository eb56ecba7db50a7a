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
# The other engine of the end-to-end tests needs other versions of what ours are made of.
OTHER_ENGINE := .venv-ministack
# So does the peer that `make bench` measures against.
PEER := .venv-bench
# Seeds of the simulation: `make sim` runs them all, `make test` a handful.
SEEDS  ?= 300

# Silent where the floor holds, so that pytest's own closing line is the last word.
floor   = $(BIN)/coverage report --fail-under=$(1) --include=$(2) > .floors || { cat .floors; exit 1; }
COMMA  := ,

# What the functions are built for. COMPILE_WITH: an interpreter of that version, where PATH does not lead to one.
TARGET_PYTHON   ?= 3.13
TARGET_PLATFORM ?= aarch64-manylinux_2_28
COMPILE_WITH    ?=
# A folder whose contents are put beside the code in each artifact: the deployer's package of named controllers.
CONTROLLERS_FROM ?=
LIBRARIES       := build/$(TARGET_PLATFORM)-$(TARGET_PYTHON)
# botocore describes every service of AWS in 20 MB; the artifacts keep those that the code has clients for.
AWS_SERVICES    := dynamodb kms lambda scheduler

.PHONY: environments check test sim bench demo up key examples settings e2e artifacts build format clean

# The lock names everything, so nothing is left to resolve; and pip before 23.3, asked to, takes `coverage[toml]`
# for a requirement of its own and stops at the first release newer than the lock.
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

environments: $(READY) $(SAM_READY) $(OTHER_ENGINE)/.ready  ## All that is installed; with `-j` at the same time.

check: $(READY) $(SAM_READY)  ## Style, types, import rules, dependencies, the template.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/cfn-lint template.yaml
	$(SAM) validate --lint

test: $(READY)  ## Every test, with the coverage floors.
	$(BIN)/python -m pytest -n 2 --ignore=tests/e2e --ignore=tests/template/test_artifacts.py --cov --cov-report= --durations=5
	@$(call floor,95,'*')
	@$(call floor,100,'shared/expressions/*$(COMMA)shared/domain/*$(COMMA)shared/application/*')

sim: $(READY)  ## The main job under crashes, doubled and lost doorbells, lost replies.
	SIMULATION_SEEDS=$(SEEDS) $(BIN)/python -m pytest tests/simulation -n 2

bench: $(READY) $(PEER)/.ready  ## CPU time of a task and of cold starts, beside a peer and a bare client; about four minutes.
	$(BIN)/python -m dev.bench

demo: $(READY)  ## Seventeen months of three strategies on the local stack; checks every date and every call.
	$(BIN)/python -m dev.demo

up: $(READY)  ## The local stack until Ctrl-C, at http://127.0.0.1:8080.
	$(BIN)/python -m dev.up

key: $(READY)  ## An access key of an account: ACCOUNT= ROLE=, STAGE= (prod) or LOCAL= (the local stack's address).
	@$(BIN)/python -m dev.key --account '$(ACCOUNT)' --role '$(ROLE)' --stage '$(or $(STAGE),prod)' $(if $(LOCAL),--local '$(LOCAL)')

examples: $(READY)  ## The examples of the OpenAPI document, played again; after a change of what is answered.
	$(BIN)/python -m dev.examples
	$(BIN)/python -m dev.automation_examples

settings: $(READY)  ## The reference of the settings in docs/api/core.md, and build/strategy.schema.json for editors.
	$(BIN)/python -m dev.settings_table
	$(BIN)/python -m dev.settings_schema build/strategy.schema.json

e2e: artifacts $(OTHER_ENGINE)/.ready  ## The artifacts, deployed on another engine; the local stack in real time and under kill -9, and under whatever its OpenAPI document allows; about six minutes, much of it waiting.
	$(BIN)/python -m pytest tests/e2e -n 5 --dist loadscope --no-loadscope-reorder -p no:randomly --durations=12

artifacts: $(READY) $(SAM_READY)  ## Each function's artifact, built for this machine and imported by itself.
	$(BIN)/python -m pytest tests/template/test_artifacts.py -p no:randomly

build: $(LIBRARIES).ready  ## What is deployed: one artifact a function, with its size.
	$(SAM) build
	@$(PYTHON) -m dev.artifacts .aws-sam/build

# The locked libraries for the target, without what no function ever reads. The stub files and sources that the CEL
# wheel carries outside its package, and the extensions of CEL that are not loaded, are a third of the whole.
$(LIBRARIES).ready: requirements/runtime.txt Makefile $(SAM_READY)
	rm -rf $(LIBRARIES) $(LIBRARIES).compiled
	$(SAM_BIN)/uv pip install --quiet --require-hashes --only-binary :all: --link-mode copy --python $(SAM_BIN)/python \
	  --python-version $(TARGET_PYTHON) --python-platform $(TARGET_PLATFORM) --target $(LIBRARIES) -r requirements/runtime.txt
	cd $(LIBRARIES) && rm -rf .lock bin bazel-project cel_expr_python/ext boto3/examples
	find $(LIBRARIES) -type d -name tests -prune -exec rm -rf {} +
	find $(LIBRARIES) -type f -name '*.pyi' -exec rm -f {} +
	find $(LIBRARIES)/botocore/data -mindepth 1 -maxdepth 1 -type d $(AWS_SERVICES:%=! -name %) -exec rm -rf {} +
	touch $@

# SAM asks for build-<LogicalId>; StepRunner is the function in functions/step_runner.
build-%: folder = functions/$(shell echo $* | sed -E 's/([a-z0-9])([A-Z])/\1_\2/g' | tr '[:upper:]' '[:lower:]')
build-%: $(LIBRARIES).ready
	@test -n "$(ARTIFACTS_DIR)" || { echo "ARTIFACTS_DIR= must say where to" >&2; exit 1; }
	@mkdir -p "$(ARTIFACTS_DIR)/functions"
	@cp functions/__init__.py "$(ARTIFACTS_DIR)/functions"
	@cp -R $(folder) "$(ARTIFACTS_DIR)/functions"
	@cp -R shared "$(ARTIFACTS_DIR)"
	@$(reference)
	@test -z "$(CONTROLLERS_FROM)" || cp -R "$(CONTROLLERS_FROM)/." "$(ARTIFACTS_DIR)"
	@cd "$(ARTIFACTS_DIR)" && find functions shared -type d -name __pycache__ -prune -exec rm -rf {} +
	@$(compile)
	@cp -R $(LIBRARIES)/. "$(ARTIFACTS_DIR)"

# What the reference of a dialect answers, made from its routes by this machine's environment: a cold start has no time.
APIS := $(addprefix build-,CoreApi AutomationApi OrdersApi ProcessApi)
$(APIS): reference = $(BIN)/python -m dev.openapi $(patsubst functions/%_api,%,$(folder)) "$(ARTIFACTS_DIR)/$(folder)"
$(APIS): $(READY)

# Bytecode that is taken as it is (unchecked-hash): without any every cold start compiles all it imports, since Lambda
# has no place to keep it. Another minor version would not read it. An interpreter is asked for its version rather
# than believed by its name: a version manager's python3.13 may only say that there is none. The libraries are
# compiled once, for all the artifacts.
compileall = $$python -m compileall -q --invalidation-mode unchecked-hash -p /var/task
define compile
for python in $(COMPILE_WITH) python$(TARGET_PYTHON) $(PYTHON); do \
  if test "$$($$python -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>&1)" = $(TARGET_PYTHON); then \
    test -e $(LIBRARIES).compiled || { $(compileall) -s $(LIBRARIES) $(LIBRARIES) && touch $(LIBRARIES).compiled; } && \
    exec $(compileall) -s "$(ARTIFACTS_DIR)" "$(ARTIFACTS_DIR)"; \
    exit 1; \
  fi; \
done; echo "$*: no .pyc, for want of a Python $(TARGET_PYTHON) (COMPILE_WITH=)"
endef

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) $(SAM_VENV) $(OTHER_ENGINE) $(PEER) build .aws-sam .coverage .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
