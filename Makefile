# Stygian: build, test and look. `make help` lists the targets.
.DEFAULT_GOAL := help
.PHONY: help setup build test lint
timed := .ci/timed

help: ## this list
	@grep -hE "^[a-z]+:.*##" $(MAKEFILE_LIST) | sed "s/:.*## /\t/" | expand -t 12

setup: ## install what is missing
	@.ci/setup

build: setup ## everything, in the one profile
	@$(timed) build cargo build --workspace --all-targets --locked

test: build ## every test
	@$(timed) test cargo test --workspace --locked

lint: setup ## formatting and clippy, warnings are errors
	@$(timed) format cargo fmt --all --check
	@$(timed) clippy cargo clippy --workspace --all-targets --locked -- -D warnings
