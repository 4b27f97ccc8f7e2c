# Every target that a person calls has one `##` line; `make` lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# What you set for good, such as CONFIG: git does not know it, so that an upgrade meets no change.
-include local.mk

PYTHON ?= python3
# The configuration that is packaged, and that `make config-push` pushes.
CONFIG ?= workers.yaml
STACK ?= ecs-queue-scaler
TOOLS := $(CURDIR)/.tools
VENV := $(TOOLS)/venv
BUSYBOX := $(TOOLS)/busybox/bin/busybox
SHELLS := $(TOOLS)/shells
CARGO_DENY_VERSION := 0.20.2
CARGO_DENY := $(TOOLS)/cargo-deny-$(CARGO_DENY_VERSION)/bin/cargo-deny
CARGO_AUDITABLE_VERSION := 0.7.7
CARGO_AUDITABLE := $(TOOLS)/cargo-auditable-$(CARGO_AUDITABLE_VERSION)/bin/cargo-auditable
CARGO_LAMBDA := $(TOOLS)/cargo-lambda
SAM := $(TOOLS)/sam
CHECKOV := $(TOOLS)/checkov
AWSCLI := $(TOOLS)/awscli
CDK := $(TOOLS)/cdk/node_modules/.package-lock.json
PAGE := $(TOOLS)/page/node_modules/.package-lock.json
CHROMIUM := $(TOOLS)/chromium
CARGO_HOME ?= $(HOME)/.cargo
ARCH ?= arm64
# One selection for all tests: with another, shared crates have other features, and the SDK is compiled
# once more.
CARGO_TEST := cargo test --locked --all-features --package decision --package ecs-queue-scaler
VALIDATE := cargo run --locked --quiet --features cli --bin queue-scaler -- validate
# Where cargo puts what it makes.
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
DEBUG_BINARY := $(TARGET)/debug/ecs-queue-scaler
PACKAGED := $(TARGET)/lambda/ecs-queue-scaler/bootstrap
BENCH := $(TARGET)/bench

# The function as the local AWS runs it. Whoever has to wait is told before.
define debug_build
@test -e $(DEBUG_BINARY) || printf '%s\n' \
	'Compiling the function and its crates, the AWS SDK among them.' \
	'The first time this takes about 6 minutes on two cores; later only what has changed.'
cargo build --locked
endef

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV) ## see the whole story on a local AWS: messages, containers, an empty queue
	$(debug_build)
	$(VENV)/bin/python tests/local/demo.py $(DEBUG_BINARY)

emulator: $(VENV) ## a local AWS to try `cargo lambda watch` on, until Ctrl-C
	$(VENV)/bin/python tests/local/emulator.py .tools/emulator.env

deploy-worker: $(VENV) ## a worker's next image goes out, and a broken one back, on a local AWS
	$(debug_build)
	$(VENV)/bin/python tests/local/worker_deployment.py

local-stack: $(VENV) ## the whole of template.yaml on a local AWS, with its schedule, until Ctrl-C
	$(debug_build)
	$(VENV)/bin/python tests/local/local_stack.py $(DEBUG_BINARY)

test: $(VENV) $(SAM) $(AWSCLI) $(BUSYBOX) $(SHELLS) $(CDK) $(PAGE) $(CHROMIUM) ## run all tests
	$(CARGO_TEST)
	cargo test --locked --package tick-bench
	$(VENV)/bin/python -m pytest -q tests/local examples

soak: ## run seeds in which everything goes wrong (SEEDS=2000, FROM=0, or SEED=17 with its event log)
	$(if $(SEED),SEED=$(SEED),SEEDS=$(or $(SEEDS),2000)) \
		$(CARGO_TEST) --test it soak::no_fault -- --nocapture
	$(if $(SEED),SEED=$(SEED),SEEDS=$$(($(or $(SEEDS),2000) / 10))) \
		$(CARGO_TEST) --test it soak::no_message -- --nocapture

soak-long: ## the same of workers that work for a day each: a night's work (SEEDS=200)
	LONG=1 $(if $(SEED),SEED=$(SEED),SEEDS=$(or $(SEEDS),200)) \
		$(CARGO_TEST) --test it soak::no_message -- --nocapture

soak-looking: ## a console that is looked at for two days, in virtual time (LOOKING_HOURS=48, LOOKING_WORKERS=500)
	LOOKING_HOURS=$(or $(LOOKING_HOURS),48) LOOKING_WORKERS=$(or $(LOOKING_WORKERS),500) \
		$(CARGO_TEST) --test it cli::looking -- --nocapture

situations: ## hours of some fifty kinds of workers, with the brake and without: the table of docs/workers.md
	SITUATIONS=1 $(CARGO_TEST) --test it model::situations::healthy -- --nocapture

# Our own code is optimized here, which a day spends its time in.
days: ## days of one worker in memory, without an SDK: brakes, breaker, idle containers (DAYS=10000, or DAY=17)
	$(if $(DAY),DAY=$(DAY),DAYS=$(or $(DAYS),10000)) CARGO_PROFILE_DEV_OPT_LEVEL=2 \
		$(CARGO_TEST) --test it days:: -- --nocapture

# Benchmarks are built as the release is: the decision is linked with its crates as they are, and the
# harness has few of its own (a minute).
bench: $(VENV) ## the speed of a tick beside boto3's; rewrites docs/benchmarks.md (QUICK=1: two minutes)
	mkdir -p $(BENCH)
	cargo build --locked --release
	cargo build --locked --release --features cli --bin queue-scaler
	cargo bench --locked --package decide-bench > $(BENCH)/decision.txt
	$(CARGO_TEST) --test it floor::launching -- --nocapture > $(BENCH)/launch.txt
	cargo bench --locked --package tick-bench --bench tick -- \
		$(if $(QUICK),--quick,--page $(CURDIR)/docs/benchmarks.md) \
		--binary $(TARGET)/release/ecs-queue-scaler --terminal $(TARGET)/release/queue-scaler --python $(VENV)/bin/python \
		--decision $(BENCH)/decision.txt --launch $(BENCH)/launch.txt

bench-looking: $(VENV) $(CHROMIUM) ## what top, console and its page take; rewrites docs/benchmarks.md (five minutes)
	cargo build --locked --release --features cli --bin queue-scaler
	cargo bench --locked --package tick-bench --bench tick --no-run
	$(VENV)/bin/python benches/tick/looking.py $(TARGET)/release/queue-scaler docs/benchmarks.md \
		cargo bench --locked --quiet --package tick-bench --bench tick -- --serve 500

bench-build: ## how long a first build takes, without the command line and with it; rewrites docs/benchmarks.md
	$(PYTHON) benches/build.py docs/benchmarks.md

bench-cold: ## only how a binary begins (BINARY=path, else the release build)
	$(if $(BINARY),,cargo build --locked --release)
	cargo bench --locked --package tick-bench --bench tick -- \
		--cold $(abspath $(or $(BINARY),$(TARGET)/release/ecs-queue-scaler))

ablation: ## take each defence away and see who notices; rewrites docs/reliability.md
	$(PYTHON) tests/ablation.py

docs: $(VENV) ## make the tables of docs/parameters.md, docs/policy.json, the schema and tables of the configuration
	$(VENV)/bin/python tests/local/parameters.py
	cargo build --locked --quiet --features cli --bin queue-scaler
	$(TARGET)/debug/queue-scaler schema > docs/workers.schema.json
	$(TARGET)/debug/queue-scaler schema --tables | $(PYTHON) tools/tables.py docs/configuration.md
	for shape in checks clean explain plan query room status validate worker; do \
		$(TARGET)/debug/queue-scaler schema --of $$shape > docs/schema/$$shape.json; done
	$(PYTHON) tools/help.py $(TARGET)/debug/queue-scaler docs/cli.md
	cargo build --locked --quiet
	$(VENV)/bin/python tests/local/cost.py $(DEBUG_BINARY)
	$(VENV)/bin/python tests/local/session.py docs/cli.md

check: $(VENV) $(CARGO_DENY) $(SAM) $(CHECKOV) ## format, lints, documentation, licences, template, workflows
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets --all-features -- --deny warnings
	$(PYTHON) tests/ablation.py --check
	$(PYTHON) tools/walks.py --check
	cargo test --locked --quiet --package decision generated_documents
	RUSTDOCFLAGS='--deny warnings' cargo doc --locked --all-features --no-deps --document-private-items \
		--quiet --package decision --package ecs-queue-scaler
	$(CARGO_DENY) --locked check --hide-inclusion-graph bans licenses sources
	./tools/advisories.sh $(CARGO_DENY)
	$(VENV)/bin/cfn-lint template.yaml examples/*/template.yaml
	SAM_CLI_TELEMETRY=0 $(SAM)/bin/sam validate --lint --region us-east-1 --template template.yaml
	$(CHECKOV)/bin/checkov --file template.yaml --framework cloudformation --compact --quiet \
		--skip-download
	$(CHECKOV)/bin/checkov --directory examples/terraform --framework terraform --compact --quiet \
		--skip-download
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml \
		examples/job-worker/deploy-worker.yml

# The binary lists its dependencies (`cargo audit bin`), and does not tell where it was built.
build: $(CARGO_LAMBDA) $(CARGO_AUDITABLE) ## build the function for Lambda (ARCH=arm64 or x86_64)
	$(VALIDATE) '$(CONFIG)'
	PATH="$(CARGO_LAMBDA)/bin:$(dir $(CARGO_AUDITABLE)):$$PATH" \
	RUSTFLAGS="--remap-path-prefix=$(CURDIR)=/build --remap-path-prefix=$(CARGO_HOME)=/cargo" \
	CFLAGS="-ffile-prefix-map=$(CURDIR)=/build -ffile-prefix-map=$(CARGO_HOME)=/cargo" \
		cargo auditable lambda build --locked --release --bin ecs-queue-scaler \
		$(if $(filter arm64,$(ARCH)),--arm64,--x86-64)
	$(PYTHON) tools/package.py $(PACKAGED)

package: build ## the function's zip: the same bytes from the same source (ARCH as for build)
	mkdir -p $(TARGET)/package
	$(PYTHON) tools/package.py $(PACKAGED) '$(CONFIG)' $(TARGET)/package/ecs-queue-scaler-$(ARCH).zip

cli-package: ## the command line with completions and manual pages, for this machine: a tar.gz
	cargo build --locked --release --features cli --bin queue-scaler
	$(PYTHON) tools/cli_package.py $(TARGET)/release/queue-scaler $(TARGET)/package

# What `sam build` calls: the package is the binary, and workers.yaml beside it.
build-ScalerFunction build-DrainFunction: deployable build
	cp $(PACKAGED) $(ARTIFACTS_DIR)
	cp '$(CONFIG)' $(ARTIFACTS_DIR)/workers.yaml

# The shipped example runs in no account.
deployable:
	$(VALIDATE) --for-deployment '$(CONFIG)'

config-push: deployable ## put CONFIG to where the stack's ScalerConfig says (STACK, or TO=ssm:/name, TO=s3://bucket/key)
	./tools/config-push.sh '$(CONFIG)' '$(STACK)' '$(TO)'

pictures: $(VENV) $(SHELLS) $(CHROMIUM) ## the pictures of README and docs/cli.md, of the demo's day
	cargo build --locked --quiet --features cli --bin queue-scaler
	$(VENV)/bin/python tests/local/pictures.py docs/pictures

uplot: $(PAGE) ## put the charts of the console into its page, as npm has them
	cp $(TOOLS)/page/node_modules/uplot/dist/uPlot.iife.min.js src/cli/console/page/uplot.js
	cp $(TOOLS)/page/node_modules/uplot/dist/uPlot.min.css src/cli/console/page/uplot.css
	cp $(TOOLS)/page/node_modules/uplot/LICENSE src/cli/console/page/uplot.LICENSE

tools: $(VENV) $(BUSYBOX) $(SHELLS) $(CARGO_DENY) $(SAM) $(CHECKOV) $(AWSCLI) $(CDK) $(PAGE) $(CHROMIUM) ## install what the other targets need, into .tools

clean: ## remove what was built and installed
	cargo clean --quiet
	rm -rf $(TOOLS)

$(VENV): tests/local/requirements.txt
	rm -rf $@
	$(PYTHON) -m venv $@
	$@/bin/pip install --quiet --disable-pip-version-check --requirement $<

$(CARGO_LAMBDA) $(SAM) $(CHECKOV) $(AWSCLI): $(TOOLS)/%: tools/%.txt
	rm -rf $@
	$(PYTHON) -m venv $@
	$@/bin/pip install --quiet --disable-pip-version-check --requirement $<

# What npm writes last. Not into examples/cdk, where nothing of it would be the example's.
$(CDK): examples/cdk/package-lock.json
	mkdir -p $(TOOLS)/cdk
	cp examples/cdk/package.json examples/cdk/package-lock.json $(TOOLS)/cdk
	npm ci --prefix $(TOOLS)/cdk --no-audit --no-fund --no-update-notifier --loglevel=error
	touch $@

$(PAGE): tools/page/package-lock.json
	mkdir -p $(TOOLS)/page
	cp tools/page/package.json tools/page/package-lock.json $(TOOLS)/page
	npm ci --prefix $(TOOLS)/page --no-audit --no-fund --no-update-notifier --loglevel=error
	touch $@

# A browser is as new as the machine offers it: one that is pinned would be one with known holes.
$(CHROMIUM): tools/chromium.sh
	./tools/chromium.sh
	if command -v chromedriver >/dev/null; then touch $@; fi

$(BUSYBOX): tools/busybox.sh tools/debian.sh
	./tools/busybox.sh
	touch -h $@

# Where there is no apt, the tests take those of the machine.
$(SHELLS): tools/shells.txt
	if command -v apt-get >/dev/null; then ./tools/debian.sh $@ $$(cat $<); else mkdir -p $@; fi
	touch $@

$(CARGO_DENY):
	cargo install cargo-deny --version $(CARGO_DENY_VERSION) --locked --debug --quiet \
		--root $(TOOLS)/cargo-deny-$(CARGO_DENY_VERSION)

$(CARGO_AUDITABLE):
	cargo install cargo-auditable --version $(CARGO_AUDITABLE_VERSION) --locked --debug --quiet \
		--root $(TOOLS)/cargo-auditable-$(CARGO_AUDITABLE_VERSION)

.PHONY: help demo emulator deploy-worker local-stack test soak soak-long soak-looking days situations bench bench-cold bench-looking bench-build \
	ablation docs pictures uplot check build package cli-package build-ScalerFunction build-DrainFunction deployable config-push tools clean
