# Every target works from a fresh clone: it makes .venv first, and again only when the locks change.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Without bytecode the imports behind a run are two to four times slower.
unexport PYTHONDONTWRITEBYTECODE

# The interpreter that .venv is made from, and the problem that the targets work on.
PYTHON ?=
# The Python 3.9 of auto-sklearn, a peer of `make study-house-prices`; found by itself where it is empty.
AUTOSKLEARN_PYTHON ?=
PROBLEM ?= flights

VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
# Feast's command in feature_repo/, on the home folder that is set.
FEAST := ../$(BIN)/feast
ifneq ($(HEADRACE_HOME),)
FEAST := HEADRACE_HOME=$(abspath $(HEADRACE_HOME)) ../$(BIN)/feast -f home.yaml
endif
STAMP := $(VENV)/.installed
# The peers that searches are measured against live apart from what runs in production.
BENCH_VENV := .venv-bench
BENCH_STAMP := $(BENCH_VENV)/.installed
BENCH := $(BENCH_VENV)/bin/python
# What attacks and audits is no part of Headrace.
SECURITY_STAMP := .venv-security/.installed
DOCS_STAMP := .venv-docs/.installed
# Helm, schemas and linters that read infra/.
INFRA_STAMP := .venv-infra/.installed
# Neural networks, with PyTorch.
NEURAL := .venv-neural/bin/python
NEURAL_STAMP := .venv-neural/.installed
# PySpark and Sail; PySpark takes 450 MB.
SPARK := .venv-spark/bin/python
SPARK_STAMP := .venv-spark/.installed
# A registered model is loaded where MLflow is, and Headrace is not.
MODEL_STAMP := .venv-model/.installed
PEERS := .venv-featuretools/.installed .venv-getml/.installed .venv-fastdfs/.installed
# One lock serves every Python from 3.11 on, on Linux and on Apple's processors.
# Data of the built-in problems.
DATA := --extra demo --extra nafld
SOURCES := --extra postgres --extra duckdb --extra delta --extra iceberg --extra s3
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11.0 --generate-hashes --no-emit-index-url --no-header

##@ The two commands

run-pipeline: $(STAMP) ## Run the main job: raw tables to a served model
	@$(BIN)/headrace run --prefect $(PROBLEM)

notebooks: $(STAMP) ## Execute the notebooks of docs/notebooks and store their outputs
	@$(BIN)/python infra/notebooks.py

test: $(STAMP) ## Run the fast tests (as CI does)
	@$(BIN)/python -m pytest --numprocesses auto --dist loadfile

##@ Production on this machine

up: $(STAMP) ## Start Prefect, MLflow, a worker and the prediction API; print their addresses
	@$(BIN)/headrace up $(PROBLEM)

down: $(STAMP) ## Stop the services that `make up` started
	@$(BIN)/headrace down

status: $(STAMP) ## Show the champion, the last run and the production clock
	@$(BIN)/headrace status $(PROBLEM)

deploy: $(STAMP) ## Register the flows' schedules on the running Prefect server
	@$(BIN)/headrace deploy $(PROBLEM)

serve: $(STAMP) ## Run the prediction API in the foreground
	@$(BIN)/python -m headrace.api --problem $(PROBLEM)

plan: $(STAMP) ## Show what `make apply` would change in the feature store (feast plan)
	@cd feature_repo && $(FEAST) plan

apply: $(STAMP) ## Apply the published definitions to the feature store (feast apply)
	@cd feature_repo && $(FEAST) apply

replay: $(STAMP) ## Replay months of production and compare retraining policies (PROBLEM=..., SHUFFLE=1)
	@$(BIN)/headrace replay $(PROBLEM) $(if $(SHUFFLE),--shuffle)

drift-demo: $(STAMP) ## Demonstrate monitoring and retraining on a replayed feed, in ten minutes (QUICK=1, FRESH=1)
	@$(BIN)/python -m headrace.flows.demo $(if $(QUICK),--quick) $(if $(FRESH),--fresh)

##@ Working on Headrace

setup: $(STAMP) ## Create .venv from the hashed lock (other targets do this when needed)

lint: $(STAMP) style types contracts dependencies ## Run all static checks: style, types, import contracts

style: $(STAMP) ## Check rules and formatting with ruff
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(STAMP) ## Check types with mypy --strict
	@$(BIN)/mypy

contracts: $(STAMP) ## Check the import contracts between rooms
	@$(BIN)/lint-imports

docs: $(STAMP) $(DOCS_STAMP) ## Build the documentation in site/ and check its links
	@mkdir -p build/docs
	@$(BIN)/python -m typer headrace.cli utils docs --name headrace --title Command --output build/docs/command.md >/dev/null
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --quiet
	@echo "site: site/index.html"

dashboards: $(STAMP) $(INFRA_STAMP) ## Write Grafana's dashboards of infra/grafana
	@.venv-infra/bin/python infra/grafana/dashboards.py

drawing: $(STAMP) ## Draw the rooms and the imports between them: docs/images/rooms.svg
	@$(BIN)/python infra/drawing.py docs/images/rooms.svg

dependencies: $(STAMP) ## Check that imports and declared dependencies agree
	@$(BIN)/deptry src flows

test-pages: $(STAMP) ## Drive the page in headless Chromium: axe-core, keyboard, phone width (part of `make test`)
	@$(BIN)/python -m pytest tests/pages -rs

screenshots: $(STAMP) ## Take screenshots of every page that `make up` serves, at desktop and phone width (FOLDER=..., DARK=1)
	@$(BIN)/python infra/screenshots.py $(or $(FOLDER),build/screenshots) $(if $(DARK),--dark)

wrong-inputs: $(STAMP) ## Write the table of docs/wrong-inputs.md: wrong inputs and their answers
	@$(BIN)/python -m tests.docs.wrong_inputs

chaos: $(STAMP) $(MODEL_STAMP) ## Kill the pipeline, damage files, fill the disk; write the table of docs/reliability.md
	@$(BIN)/python -m pytest -m chaos
	@sed -n '/damage matrix: begin/,/damage matrix: end/p' docs/reliability.md

test-chaos: chaos ## Same as `make chaos`

security: $(STAMP) $(SECURITY_STAMP) ## Attack a running installation: web pages, rebinding, hostile requests, audit (QUICK=1)
	@$(BIN)/python -m pytest tests/security -m 'security$(if $(QUICK), and not long)' --security-report security-report
	@echo "report: security-report/report.html"

sbom: $(STAMP) ## Write the bill of materials of the locked production packages: build/sbom.json (CycloneDX, offline)
	@mkdir -p build
	@$(BIN)/cyclonedx-py requirements requirements/production.lock --pyproject pyproject.toml --output-reproducible \
		--short-PURLs --validate --of JSON --output-file build/sbom.json
	@echo "bill of materials: build/sbom.json"

test-neural: $(NEURAL_STAMP) ## Run the tests of neural networks, in an environment with PyTorch
	@$(NEURAL) -m pytest -m "not chaos" tests/networks

test-spark: $(SPARK_STAMP) ## Run the engine on Spark in local mode (needs Java 17) and on Sail, in an environment with both
	@HEADRACE_TEST_ENGINE=sail $(SPARK) -m pytest -m 'not chaos' tests/spark
	@HEADRACE_TEST_ENGINE=spark $(SPARK) -m pytest -m 'not chaos' tests/spark

test-slow: $(STAMP) ## Run the files of tests that `make test` leaves out because they take long
	@$(BIN)/python -m pytest -m 'slow and not chaos' --numprocesses auto --dist loadfile

test-production: $(STAMP) ## Run the loop of infra/docker on PostgreSQL, Redis and an S3 API without containers, and kill each
	@$(BIN)/python -m pytest -m production tests/production

test-infra: $(STAMP) $(INFRA_STAMP) ## Render and check infra/ with Helm, Kubernetes' schemas, hadolint, Terraform, promtool
	@$(SHELL) infra/promtool.sh .venv-infra/bin
	@PATH="$(CURDIR)/.venv-infra/bin:$$PATH" .venv-infra/bin/python -m pytest -m infra tests/infra/tools

test-wheel: $(STAMP) ## Install the wheel into an empty environment and run every command in an empty folder
	@$(BIN)/python -m pytest -m wheel tests/infra

feast-conformance: $(STAMP) ## Run Feast's universal online tests on our online store and on SQLite (FEAST_SOURCE=a checkout)
	@$(BIN)/python -m tests.conformance.universal $(if $(FEAST_SOURCE),--source $(FEAST_SOURCE))

bench-pipeline: $(STAMP) ## Measure the pipeline's overhead outside the stages' own work
	@$(BIN)/python -m benchmarks.bench_pipeline

bench-replay: $(STAMP) ## Replay retraining policies on plain tables (TABLES=folder; ONLY=bike; resumes)
	@$(BIN)/python -m benchmarks.bench_replay "$(or $(TABLES),$(error give TABLES=folder of the tables))" $(if $(ONLY),--only $(ONLY))

bench-drift: $(STAMP) .venv-nannyml/.installed ## Measure false alarms, power and speed of the drift tests (QUICK=1; resumes)
	@$(BIN)/python -m benchmarks.bench_drift

bench-estimates: $(STAMP) .venv-nannyml/.installed ## Compare estimates of performance before labels with the truth and with NannyML (QUICK=1)
	@$(BIN)/python -m benchmarks.bench_estimates

bench-racing: $(BENCH_STAMP) ## Measure the CPU time that racing saves, and compare studies with Hyperopt (QUICK=1: minutes)
	@$(BENCH) -m benchmarks.bench_racing

bench-search: $(BENCH_STAMP) ## Compare the searchers with Hyperopt, Optuna and SMAC3 on real trainings (QUICK=1: minutes)
	@$(BENCH) -m benchmarks.bench_search

study-example: $(BENCH_STAMP) ## Compare fifty trials with the complete grid of 600 (QUICK=1, SEEDS=3; resumes)
	@$(BENCH) -m benchmarks.study_example

study-house-prices: $(STAMP) .venv-autogluon/.installed .venv-flaml/.installed ## Compare AutoML systems on House Prices (MINUTES=5, SEED=0, CORES=1, ONLY=headrace; QUICK=1; resumes)
	@[ -e .venv-autosklearn/.installed ] || $(SHELL) infra/make-autosklearn.sh $(UV) $(AUTOSKLEARN_PYTHON)
	@$(BIN)/python -m benchmarks.study_house_prices

bench-tables: $(BENCH_STAMP) ## Evaluate the configurations of the surrogate benchmark again (hours; resumes)
	@$(BENCH) -m benchmarks.surrogate.build

portfolio: $(STAMP) ## Evaluate configurations on data sets for the portfolio of AutoML (hours; resumes; QUICK=1)
	@$(BIN)/python -m benchmarks.portfolio.build

bench-portfolio: $(STAMP) ## Replay searches that begin with the portfolio beside random search (seconds)
	@$(BIN)/python -m benchmarks.bench_portfolio

bench-automl: $(STAMP) .venv-autogluon/.installed .venv-flaml/.installed ## Compare AutoML systems at equal time (QUICK=1, SECONDS=60, MINUTES=90, ONLY=..., PARTS=1; resumes)
	@[ -e .venv-autosklearn/.installed ] || $(SHELL) infra/make-autosklearn.sh $(UV) $(AUTOSKLEARN_PYTHON)
	@$(BIN)/python -m benchmarks.bench_automl

bench-ensemble: $(STAMP) ## Compare an ensemble of families with search alone on the flights' next month (QUICK=1, SECONDS_EACH=300)
	@$(BIN)/python -m benchmarks.bench_ensemble

bench-small: $(STAMP) ## Compare champions of small tables, old rule and new, with LightGBM's defaults (QUICK=1; resumes)
	@$(BIN)/python -m benchmarks.bench_small

bench-retrain-search: $(STAMP) ## Compare eight trials of a retrain with fifty from scratch (QUICK=1: minutes; resumes)
	@$(BIN)/python -m benchmarks.bench_retrain_search

bench-dfs: $(STAMP) $(PEERS) ## Compare feature synthesis with featuretools, getML, fastdfs and DuckDB (QUICK=1: five minutes)
	@$(BIN)/python -m benchmarks.bench_dfs

bench-memory: $(STAMP) ## Measure time and peak memory of synthesis with and without a memory limit (QUICK=1)
	@$(BIN)/python -m benchmarks.bench_memory

bench-scale: $(SPARK_STAMP) ## Measure synthesis of tables larger than memory, on Spark and Sail, beside DuckDB (QUICK=1: five minutes; resumes)
	@$(SPARK) -m benchmarks.bench_scale

bench-incremental: $(STAMP) ## Measure the cost of a new batch, incremental against full computation (QUICK=1)
	@$(BIN)/python -m benchmarks.bench_incremental

bench-store: $(STAMP) .venv-store/.installed ## Compare the feature store with Feast's stores, DuckDB and Polars (QUICK=1, ONLY=frames|online|growth)
	@$(BIN)/python -m benchmarks.bench_store
bench-events: $(STAMP) ## Measure the time from an event to the served feature
	@$(BIN)/python -m benchmarks.bench_events

bench-serving: $(STAMP) .venv-litserve/.installed ## Measure the prediction API under load beside MLflow's server and LitServe (QUICK=1: minutes)
	@$(BIN)/python -m benchmarks.bench_serving

soak: $(STAMP) ## Load two API processes for long, with swaps, retention and metrics; memory, handles, disk (MINUTES=10, QUICK=1)
	@MINUTES=$(MINUTES) $(BIN)/python -m benchmarks.soak_serving

bench-observability: $(STAMP) ## Measure what ids, metrics, logs and traces add to a request, in process
	@$(BIN)/python -m benchmarks.bench_observability

bench-relational: $(BENCH_STAMP) .venv-featuretools/.installed .venv-getml/.installed ## Compare features of relational tables: ours, featuretools', getML's (QUICK=1: minutes; ONLY=...; resumes)
	@$(BENCH) -m benchmarks.bench_relational

bench-selection: $(STAMP) ## Compare feature selection with all candidates and with other methods (QUICK=1: minutes)
	@$(BIN)/python -m benchmarks.bench_selection

parity-goldens: $(STAMP) .venv-featuretools/.installed ## Compute reference values with featuretools for tests/parity
	@$(BIN)/python -m tests.parity.make_goldens

study-flights: $(STAMP) ## Measure AUC by month on the flights: no history, hand-made, synthesised features
	@$(BIN)/python -m benchmarks.study_flights

study-audit: $(STAMP) ## Audit the features of a month of flights bit for bit, and find one that was changed (QUICK=1)
	@$(BIN)/python -m benchmarks.study_audit

study-drift: $(STAMP) ## Measure the drift tests on the flights: weeks after training, left-out weeks, planted shifts (QUICK=1)
	@$(BIN)/python -m benchmarks.study_drift

study-rollout: $(STAMP) ## Measure error rates and speed of the test that decides rollouts (QUICK=1: a minute)
	@$(BIN)/python -m benchmarks.study_rollout

study-nas: $(NEURAL_STAMP) ## Compare architecture searches with random search, DARTS, compound scaling (QUICK=1: minutes; resumes)
	@$(NEURAL) -m benchmarks.study_nas

study-embeddings: $(NEURAL_STAMP) ## Compare learned vectors of categories with one-hot and target encoding (QUICK=1: minutes)
	@$(NEURAL) -m benchmarks.study_embeddings

bench-neural: $(NEURAL_STAMP) ## Compare networks with LightGBM and scikit-learn's MLP on thirteen tables (QUICK=1; resumes)
	@$(NEURAL) -m benchmarks.bench_neural

bench-neural-ensemble: $(NEURAL_STAMP) ## Measure what networks add to AutoML's ensemble at 600 s (QUICK=1; resumes)
	@$(NEURAL) -m benchmarks.bench_neural_ensemble

lock: $(STAMP) ## Compile the hashed locks within requirements/constraints.txt
	@$(COMPILE) pyproject.toml -c requirements/constraints.txt -o requirements/core.lock
	@$(COMPILE) pyproject.toml --extra postgres --extra redis --extra s3 --extra signing --extra auth -c requirements/constraints.txt -o requirements/production.lock
	@$(COMPILE) pyproject.toml --extra dev --extra automl --extra signing --extra auth $(SOURCES) $(DATA) -c requirements/constraints.txt -o requirements/dev.lock
	@$(COMPILE) pyproject.toml --extra bench $(DATA) -c requirements/constraints.txt -o requirements/bench.lock
	@echo torch | $(COMPILE) pyproject.toml requirements/neural.in --extra dev --extra automl --extra signing --extra auth --extra neural $(SOURCES) $(DATA) --excludes /dev/stdin -c requirements/constraints.txt -o requirements/neural.lock
	@$(COMPILE) pyproject.toml --extra dev --extra duckdb --extra spark --extra sail -c requirements/constraints.txt -o requirements/spark.lock
	@$(COMPILE) requirements/uv.in -o requirements/uv.lock
	@$(COMPILE) requirements/security.in -o requirements/security.lock
	@$(COMPILE) requirements/infra.in -o requirements/infra.lock
	@$(COMPILE) requirements/docs.in -c requirements/constraints.txt -o requirements/docs.lock
	@$(COMPILE) requirements/model-env.in -c requirements/constraints.txt -o requirements/model-env.lock
	@for peer in store featuretools getml fastdfs nannyml autogluon flaml litserve; do $(COMPILE) requirements/peers-$$peer.in -o requirements/peers-$$peer.lock; done
	@$(UV) pip compile --quiet --python-version 3.9 --generate-hashes --no-emit-index-url --no-header \
		-b requirements/build-autosklearn.txt requirements/peers-autosklearn.in -o requirements/peers-autosklearn.lock
	@$(BIN)/python -m headrace.flows.deployments > prefect.yaml

doctor: $(STAMP) ## Check this installation: interpreter, packages, problem, state
	@$(BIN)/python --version
	@$(UV) pip check --python $(BIN)/python
	@$(BIN)/headrace check $(PROBLEM)
	@$(BIN)/headrace status $(PROBLEM)

clean: ## Remove caches and build leftovers; keep .headrace and .venv
	@rm -rf build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache src/*.egg-info
	@find src flows tests benchmarks feature_repo -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "; print "make TARGET [PROBLEM=flights]"} \
		/^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The stamp is written last, so an interrupted install is taken up again. uv comes by pip, pinned and hashed.
$(STAMP): requirements/uv.lock requirements/dev.lock pyproject.toml
	@[ -x $(BIN)/python ] || $(SHELL) infra/make-venv.sh $(VENV) $(PYTHON)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.lock
	@$(UV) pip sync --quiet --require-hashes --python $(BIN)/python requirements/dev.lock
	@$(UV) pip install --quiet --no-deps --no-build-isolation --python $(BIN)/python --editable .
	@$(BIN)/python -c 'from headrace.core.openmp import ensure_openmp; ensure_openmp()'
	@touch $@

$(BENCH_STAMP): $(STAMP) requirements/bench.lock
	@[ -x $(BENCH) ] || $(BIN)/python -m venv --without-pip $(BENCH_VENV)
	@$(UV) pip sync --quiet --require-hashes --python $(BENCH) requirements/bench.lock
	@$(UV) pip install --quiet --no-deps --no-build-isolation --python $(BENCH) --editable .
	@touch $@

# PyTorch comes last: it is not in the lock, and `uv pip sync` removes what is not.
$(NEURAL_STAMP): $(STAMP) requirements/neural.lock requirements/torch.lock
	@[ -x $(NEURAL) ] || $(BIN)/python -m venv --without-pip .venv-neural
	@$(UV) pip sync --quiet --require-hashes --python $(NEURAL) requirements/neural.lock
	@$(UV) pip install --quiet --no-deps --no-build-isolation --python $(NEURAL) --editable .
	@$(SHELL) infra/install-torch.sh $(NEURAL) $(BIN)/pip $(UV)
	@touch $@

$(SPARK_STAMP): $(STAMP) requirements/spark.lock
	@[ -x $(SPARK) ] || $(BIN)/python -m venv --without-pip .venv-spark
	@$(UV) pip sync --quiet --require-hashes --python $(SPARK) requirements/spark.lock
	@$(UV) pip install --quiet --no-deps --no-build-isolation --python $(SPARK) --editable .
	@touch $@

$(SECURITY_STAMP): $(STAMP) requirements/security.lock
	@[ -x .venv-security/bin/python ] || $(BIN)/python -m venv --without-pip .venv-security
	@$(UV) pip sync --quiet --require-hashes --python .venv-security/bin/python requirements/security.lock
	@touch $@

$(INFRA_STAMP): $(STAMP) requirements/infra.lock
	@[ -x .venv-infra/bin/python ] || $(BIN)/python -m venv --without-pip .venv-infra
	@$(UV) pip sync --quiet --require-hashes --python .venv-infra/bin/python requirements/infra.lock
	@touch $@

$(DOCS_STAMP): $(STAMP) requirements/docs.lock
	@[ -x .venv-docs/bin/python ] || $(BIN)/python -m venv --without-pip .venv-docs
	@$(UV) pip sync --quiet --require-hashes --python .venv-docs/bin/python requirements/docs.lock
	@touch $@

$(MODEL_STAMP): requirements/model-env.lock $(STAMP)
	@[ -x .venv-model/bin/python ] || $(BIN)/python -m venv --without-pip .venv-model
	@$(UV) pip sync --quiet --require-hashes --python .venv-model/bin/python requirements/model-env.lock
	@touch $@

# Other engines, for parity and benchmarks only: what they need would not resolve beside what Headrace needs.
.venv-%/.installed: requirements/peers-%.lock $(STAMP)
	@[ -x .venv-$*/bin/python ] || $(BIN)/python -m venv --without-pip .venv-$*
	@$(UV) pip sync --quiet --require-hashes --python .venv-$*/bin/python requirements/peers-$*.lock
	@touch $@

.PHONY: sbom test-slow test-infra dashboards bench-observability test-production notebooks test-pages portfolio bench-portfolio bench-automl bench-ensemble screenshots study-house-prices wrong-inputs dependencies docs drawing study-audit study-drift study-flights help setup run-pipeline test lint style types contracts up down status deploy serve replay drift-demo bench-pipeline bench-drift bench-replay bench-estimates bench-racing bench-search bench-tables study-example chaos test-chaos test-wheel security feast-conformance bench-dfs bench-events bench-incremental bench-memory bench-relational bench-retrain-search bench-selection bench-serving bench-store bench-small parity-goldens \
	plan apply clean lock doctor
.PHONY: soak test-spark bench-scale test-neural study-rollout study-nas study-embeddings bench-neural bench-neural-ensemble
