# tepui: everything a newcomer, a developer and CI type. `make help` lists it.

# Build products live outside the checkout: what others wrote is compiled once.
CACHE            ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tepui
export CARGO_TARGET_DIR ?= $(CACHE)/target
export TEPUI_CACHE := $(CACHE)
# A Node that installer/node.sh fetched is there only where the machine's own was not usable.
export PATH      := $(CACHE)/node/bin:$(HOME)/.cargo/bin:$(PATH)
# The C++ of RocksDB comes from the compiler cache when there is one, for every profile alike. Asked
# when a command runs, not when this file is read: `prepare` installs it in between, and another
# compiler the next time would compile RocksDB anew.
CCACHE     = $(shell command -v ccache >/dev/null && echo 'ccache ')
export CC  = $(CCACHE)gcc
export CXX = $(CCACHE)g++
# RocksDB as installer/rocksdb.sh compiled it; where it could not, its crate compiles it.
# Without ROCKSDB_STATIC the library is looked for when the program is linked, not before.
export ROCKSDB_LIB_DIR := $(CACHE)/rocksdb/lib
export ROCKSDB_COMPILE  = $(shell test -f $(CACHE)/rocksdb/lib/librocksdb.a || echo 1)

TEPUI    := $(CARGO_TARGET_DIR)/debug/tepui
RELEASE  := $(CARGO_TARGET_DIR)/release/tepui
DEB      := $(CARGO_TARGET_DIR)/debian
ARCHIVE  := $(CARGO_TARGET_DIR)/archive
DATA_DIR ?= $(CACHE)/dev
PREFIX   ?= /usr/local
NEXTEST  := $(shell command -v cargo-nextest 2>/dev/null)
ARGS     ?=

# The checkout that compiled last.
LAST     := $(CARGO_TARGET_DIR)/checkout

.DEFAULT_GOAL := help
.PHONY: help own run build test quick first-start pages pauses rig mixed fuzz strangers soak bench demo verify fmt lint deny ui sim install ui-gallery clean prepare prepare-tools prepare-test crates deb archive
# Prerequisites are steps that follow each other.
.NOTPARALLEL:

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 14

# Checkouts share what they compile, and cargo takes what another one compiled for its own where the files
# here are older. One that did not compile last has this crate compiled again.
own:
	@[ "$$(cat $(LAST) 2>/dev/null)" = "$(CURDIR)" ] || \
	  { touch src/lib.rs && mkdir -p $(CARGO_TARGET_DIR) && echo "$(CURDIR)" > $(LAST); }

run: build ## install what is missing, build, start the whole system on this machine
	@installer/prepare.sh docker
	@exec $(TEPUI) dev --data-dir $(DATA_DIR) $(ARGS)

build: own prepare-tools ui crates ## build with progress
	cargo build --bin tepui

# RocksDB's compiler and cargo each leave cores idle at times: a first build runs them side by side, as
# only the program needs the library. An empty ROCKSDB_COMPILE: that it is not there yet is no reason
# for the crate to compile it.
crates:
	@installer/rocksdb.sh $(CACHE) & ROCKSDB_COMPILE= cargo build --lib; rc=$$?; wait; exit $$rc

test: own prepare-test ui ## every test, with real Docker containers and a real browser
ifneq ($(NEXTEST),)
	cargo nextest run --no-fail-fast $(ARGS)
else
	@# Many of them wait for a clock or a container: half more of them than there are cores run at a time.
	cargo test --no-fail-fast -- --test-threads=$$((3 * $$(nproc) / 2)) $(ARGS)
endif

quick: own ## check, lint and unit tests: under two minutes when warm
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	@# Many of them wait for a clock: more of them than there are cores run at a time.
	cargo test --lib --quiet -- --test-threads=$$((3 * $$(nproc)))

first-start: prepare-test build ## the demo on an engine that never ran before, and after restarts in any order
	@installer/prepare.sh demo
	tests/machine/first-start.sh $(TEPUI)

pages: prepare-test build ## the page in a browser at length: whole tasks, logs, map, German; some minutes
	tests/machine/pages.sh $(TEPUI) $(ARGS)

pauses: prepare-test build ## processes stopped, clocks stepped, agents away, on two hosts; about an hour
	@installer/prepare.sh rig
	tests/machine/pauses.sh $(TEPUI) $(ARGS)

fuzz: own prepare-test ## mutated input for every parser a stranger reaches, SECONDS=60 each
	FUZZ_SECONDS=$(or $(SECONDS),60) cargo test --test it fuzz:: -- --nocapture

strangers: own prepare-test ui ## what callers without a token can cost; prints a table, writes docs/strangers.md
	cargo bench --bench strangers -- --write docs/strangers.md $(ARGS)

# Each build's programs, by the features it has.
MIXED = cargo build --bin tepui --bench mixed --message-format=json-render-diagnostics
mixed: own prepare-test ui ## this build and one that writes a field more, as masters and agents of one cluster
	@installer/prepare.sh rig
	@mkdir -p $(CARGO_TARGET_DIR)/mixed/this $(CARGO_TARGET_DIR)/mixed/next
	$(MIXED) | tests/machine/mixed/keep.sh $(CARGO_TARGET_DIR)/mixed/this
	$(MIXED) --features next | tests/machine/mixed/keep.sh $(CARGO_TARGET_DIR)/mixed/next
	$(CARGO_TARGET_DIR)/mixed/this/mixed $(CARGO_TARGET_DIR)/mixed/this/mixed $(CARGO_TARGET_DIR)/mixed/next/mixed
	tests/machine/mixed/agents.sh $(CARGO_TARGET_DIR)/mixed/this/tepui $(CARGO_TARGET_DIR)/mixed/next/tepui

rig: prepare-test build ## seven hosts: installed over ssh, killed, cut, lost, away; some ten minutes
	@installer/prepare.sh rig
	cargo bench --profile dev --bench rig -- $(TEPUI) $(ARGS)

soak: prepare-test build ## half an hour of changes and faults on two hosts
	@installer/prepare.sh rig
	tests/machine/soak.sh $(TEPUI) $(ARGS)

bench: own prepare-test ui ## measure beside the peers; prints a table, writes docs/benchmarks.md
	cargo bench --bench bench -- $(ARGS)

demo: ## deploy a three-part application to the running system and print its addresses
	@installer/demo.sh $(TEPUI) $(DATA_DIR)

sim: own ## the simulated cluster for long; SEEDS=first..last
	cargo run --release --bin tepui -- sim $(ARGS)

verify: own ## what CI asks of a change, without writing anything
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	$(MAKE) test

fmt: ## format the sources
	cargo fmt

lint: own ## clippy, as strict as CI
	cargo clippy --all-targets -- -D warnings

deny: ## licences, sources, duplicates and known holes of the dependencies
	@command -v cargo-deny >/dev/null || env -u CARGO_TARGET_DIR cargo install --locked cargo-deny
	cargo deny check licenses bans sources
	@# Apart and last: their database is fetched. That it cannot be reached is said, and is no finding;
	@# CI insists.
	@if cargo deny fetch db; then echo 'cargo deny check advisories' && cargo deny check advisories; else \
	  echo 'deny: known holes were NOT checked: their database cannot be reached (all else is fine)' >&2; \
	  [ -z "$$CI" ]; fi

ui: ## build the web page; without a usable Node the program carries a page that says so
	@installer/ui.sh

ui-gallery: ui ## each part of the page in each state, light and dark; prints where it is
	@cd ui && npm run gallery --silent >/dev/null
	@echo 'built in ui/gallery/dist; to look: cd ui && npx vite preview --config gallery/vite.config.ts'

install: own prepare ui ## build optimised and install program, systemd unit, settings, completions
	cargo build --release --bin tepui
	packaging/install.sh $(RELEASE) $(PREFIX) $(DESTDIR)

deb: ## the optimised build as a Debian package; prints where it is
	rm -rf $(DEB)/tree
	$(MAKE) install DESTDIR=$(DEB)/tree PREFIX=/usr
	packaging/deb.sh $(DEB)/tree $(DEB)

archive: own prepare ui ## the optimised build as an archive for install.sh, DOCKER=1 and IMAGES="A B" with these; prints where it is
	cargo build --release --bin tepui
	rm -rf $(ARCHIVE)
	mkdir -p $(ARCHIVE)/docker $(ARCHIVE)/images
	$(if $(DOCKER),packaging/offline.sh docker $(ARCHIVE)/docker)
	$(if $(IMAGES),packaging/offline.sh images $(ARCHIVE)/images $(IMAGES))
	@$(RELEASE) cluster archive --output $(ARCHIVE) --docker $(ARCHIVE)/docker --images $(ARCHIVE)/images

clean: ## remove build products of this project, keep compiled dependencies
	cargo clean -p tepui
	rm -rf ui/dist ui/node_modules

prepare:
	@installer/prepare.sh build

prepare-tools:
	@installer/prepare.sh tools

prepare-test:
	@installer/prepare.sh build docker test
