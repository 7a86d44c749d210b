# Stygian: build, test and look. `make help` lists the targets.
.DEFAULT_GOAL := help
.PHONY: help setup build plugins demo demo-secure test test-spark lint bench chaos chaos-secure soak cluster-up cluster-down fuzz audit
timed := $(abspath .ci/timed)
target := $(or $(CARGO_TARGET_DIR),target)
stygian := $(abspath $(target))/debug/stygian
demo := $(abspath $(target))/demo
cluster := $(abspath $(target))/cluster
FUZZ_MINUTES ?= 10
secure_faults := $(or $(FAULTS),150)
FAULTS ?= 300
SEED ?= 1
MINUTES ?= 30
HDFS ?= 0
TICKET_LIFE ?= 10h

help: ## this list
	@grep -hE "^[a-z-]+:.*##" $(MAKEFILE_LIST) | sed "s/:.*## /\t/" | expand -t 14

setup: ## install what is missing
	@.ci/setup

build: setup ## everything, in the one profile
	@$(timed) build cargo build --workspace --all-targets --locked

plugins: build ## the plugins as components, in target/wasm/plugins
	@$(timed) plugins $(stygian) plugin build --locked plugins/clean plugins/enrich plugins/route plugins/totals plugins/sessionise plugins/fraud plugins/spread

demo: plugins ## make 2 million events and run the reference job on them
	@rm -rf $(demo) && mkdir -p $(demo) && cp tests/demo/*.toml $(demo)
	@cd $(demo) && $(timed) events $(stygian) run make-events.toml
	@cd $(demo) && $(timed) report $(stygian) run report.toml --plugins $(abspath $(target))/wasm/plugins
	@cd $(demo) && echo "the report:" && find report -type f | sort

demo-secure: plugins ## the reference job between Kafka and HDFS that Kerberos guards, which it starts and ends
	@$(timed) demo-secure $(abspath $(target))/debug/demo-secure tests/demo-secure $(abspath $(target))/demo-secure

test: plugins ## every test
	@$(timed) test cargo test --workspace --locked

test-spark: plugins ## Spark reads the reference job's Parquet in HDFS (fetches 430 MB the first time)
	@$(timed) test-spark $(abspath $(target))/debug/test-spark

lint: setup ## formatting and clippy, warnings are errors; cargo deny where it is installed
	@$(timed) format cargo fmt --all --check
	@$(timed) clippy cargo clippy --workspace --all-targets --locked -- -D warnings
	@if command -v cargo-deny >/dev/null; then $(timed) deny cargo deny --locked --offline check bans licenses sources; fi

bench: ## figures, one JSON line each (release build; takes minutes)
	@tests/bench/run

chaos: plugins ## kill jobs at random moments and named places, two processes on one job; count what is lost or doubled; FAULTS=300 SEED=1
	@$(abspath $(target))/debug/chaos $(FAULTS) $(SEED)

chaos-secure: plugins ## break a job between Kerberos-guarded topics, its broker and its KDC; FAULTS=150 SEED=1, RESUME=FILE adds up over runs
	@$(abspath $(target))/debug/chaos-secure $(secure_faults) $(SEED) $(if $(RESUME),--resume $(RESUME))

soak: plugins ## run that job on 40-second tickets, where nobody may notice anything; MINUTES=30
	@$(abspath $(target))/debug/soak $(MINUTES)

cluster-up: setup ## a KDC, a Kafka broker and (HDFS=1, or HDFS=ha) HDFS on loopback, until Ctrl-C; TICKET_LIFE=10h
	@cargo build -p stygian-cluster --locked
	@$(abspath $(target))/debug/cluster up --dir $(cluster) --ticket-life $(TICKET_LIFE) $(if $(filter 1,$(HDFS)),--hdfs) $(if $(filter ha,$(HDFS)),--ha)

cluster-down: ## end what `make cluster-up` started, from another terminal
	@$(abspath $(target))/debug/cluster down --dir $(cluster)

fuzz: ## fuzz what guests hand over and pipeline files (needs nightly and cargo-fuzz); FUZZ_MINUTES=10
	@tests/fuzz/run $(FUZZ_MINUTES)

audit: ## known vulnerabilities of dependencies (needs cargo-deny and the network)
	@command -v cargo-deny >/dev/null || { echo "cargo-deny is missing: cargo install --locked cargo-deny"; exit 1; }
	cargo deny check advisories
