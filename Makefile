# What people and CI do with this repository. `make` alone lists it.
#
# Needed: cargo (rustup), a C and C++ compiler, go, make; for `make sbom` python3. What else a target needs it installs itself, and says so; the real
# node's container runtime is installed by localcluster when it starts one.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo demo-down test check charts e2e e2e-installed e2e-full sim generate verify deny cluster cluster-down clean \
        bench bench-cluster bench-crons bench-storm build unit go-test

TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
# Tools of the versions wanted here come before those of the machine, which are left as they are.
export PATH := $(TARGET)/tools/bin:$(PATH)
SIM := borealis-core/sim
# Seeds of the simulation; `make sim SEEDS=100000` for a long night.
SEEDS ?= 1000
# Arguments of borealis-e2e, such as ARGS="--filter update,drain --keep".
ARGS ?=

# Clusters live in the checkout, so that two checkouts never meet, unless its path is too long for Unix sockets.
ifndef BOREALIS_RUN
ifeq ($(shell [ $$(printf %s '$(CURDIR)/.run' | wc -c) -le 40 ] && echo fits),fits)
export BOREALIS_RUN := $(CURDIR)/.run
endif
endif

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: build ## Start a cluster, watch 200 instances heal, update and roll back (KEEP=1 leaves it up)
	@$(TARGET)/debug/borealis-demo

demo-down: ## Take down what `make demo` left up
	@cargo build --quiet --package borealis-e2e --bin borealis-demo
	@$(TARGET)/debug/borealis-demo --down

test: unit go-test charts gitops-test image-test install-test e2e-installed ## All tests: unit, simulation, fake API server, charts, GitOps, image, a real cluster

check: ## Format, lints, tests of the core: under a minute when warm
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --features $(SIM) --locked -- -D warnings
	cargo test --package borealis-core --features sim --lib --locked --quiet

# The simulation with its 1,000 seeds is among these.
unit:
	cargo test --workspace --features $(SIM) --locked

sim: ## The planner against seeded faults: SEEDS=1000, or SEED=17 to see one of them in detail
	$(if $(SEED),SEED=$(SEED),SEEDS=$(SEEDS)) cargo test --package borealis-core --features sim --test simulation \
	  --locked -- --nocapture

bench: ## What decisions cost: planning 4,000 instances, the quota ledger of 10,000 jobs, room among 10,000 nodes
	cargo bench --package borealis-core --bench plan --bench ledger --bench preemption --locked

# The sizes, too, are of the environment: `target/debug/borealis-bench --help` lists them.
bench-cluster: ## Borealis, a Deployment and a bare loop by the same workloads: WORKLOADS=many,large,idle,failover RUNS=1 PEER=file
	cargo build --release --locked --package borealis --bin borealis
	cargo build --locked --package borealis-e2e --bin borealis-bench
	@e2e/cluster/build >/dev/null
	@BOREALIS_OPERATOR=$(TARGET)/release/borealis BOREALIS_LOG=info,kube=warn $(TARGET)/debug/borealis-bench

bench-storm: ## Production at once on full nodes, Borealis against the scheduler: STORM=1000 NODES=1000 RUNS=1
	cargo build --release --locked --package borealis --bin borealis
	cargo build --locked --package borealis-e2e --bin borealis-storm
	@e2e/cluster/build >/dev/null
	@BOREALIS_OPERATOR=$(TARGET)/release/borealis BOREALIS_LOG=info,kube=warn $(TARGET)/debug/borealis-storm

bench-crons: ## Crons that are due in one minute, AuroraCrons and CronJobs: CRONS=10000 NODES=500 RUNS=1 BY=borealis,cron-jobs,loop
	cargo build --release --locked --package borealis --bin borealis
	cargo build --locked --package borealis-e2e --bin borealis-crons
	@e2e/cluster/build >/dev/null
	@BOREALIS_OPERATOR=$(TARGET)/release/borealis BOREALIS_LOG=info,kube=warn $(TARGET)/debug/borealis-crons

go-test:
	@e2e/cluster/build >/dev/null
	cd e2e/cluster && CGO_ENABLED=0 go test -trimpath -vet=off ./...

# What the tests read lies outside their module, where Go's cache of results does not look.
charts: ## The Helm charts: lint, what they come to, what they refuse, alerts against made-up series
	cd charts/test && CGO_ENABLED=0 GOWORK=off go test -count=1 -trimpath -vet=off ./...

e2e: build ## The scenarios on a local cluster: ARGS="--filter NAME --keep"
	@$(TARGET)/debug/borealis-e2e $(ARGS)

# The operator as people run it, from its image under the chart's rights, for all scenarios that don't kill it.
e2e-installed: build image ## The scenarios, the operator installed by Helm from its image on the real node
	@$(TARGET)/debug/borealis-e2e --image $(PROGRAM).tar $(ARGS)

e2e-full: build ## The scenarios, the long ones too
	@$(TARGET)/debug/borealis-e2e --full $(ARGS)

.PHONY: chaos soak
chaos: build ## Everything at once by a seed, 30 minutes, on a cluster without a real node: SEED=1 CHAOS_SECONDS=1800
	@CHAOS_SEED=$(or $(SEED),1) CHAOS_SECONDS=$(or $(CHAOS_SECONDS),1800) \
	  $(TARGET)/debug/borealis-e2e --no-real-node --filter chaos $(ARGS)

soak: build ## Steady work for 30 minutes: slopes of the operator's memory and CPU: SOAK_SECONDS=1800
	cargo build --release --locked --package borealis --bin borealis
	@BOREALIS_OPERATOR=$(TARGET)/release/borealis BOREALIS_LOG=info,kube=warn \
	  $(TARGET)/debug/borealis-e2e --no-real-node --filter soak $(ARGS)

build:
	cargo build --workspace --bins --locked
	@e2e/cluster/build >/dev/null

generate: ## Write crds/ from the Rust types, deploy/ from the chart
	cargo run --quiet --locked --bin crdgen -- crds
	cd charts/test && CGO_ENABLED=0 GOWORK=off go run ./cmd/deploy

verify: ## What is generated is what is committed
	cargo run --quiet --locked --bin crdgen -- --check crds
	cd charts/test && CGO_ENABLED=0 GOWORK=off go run ./cmd/deploy --check
	cd gitops && CGO_ENABLED=0 GOWORK=off go test -count=1 -trimpath -run 'TestHealthScripts|TestTheConfigMap' .

# $(call tool,NAME,VERSION): cargo-NAME of that version, installed where another or none is there.
tool = @[ "$$(cargo $(1) --version 2>/dev/null | awk '{ print $$NF }')" = $(2) ] || \
  { echo "installing cargo-$(1) $(2), which takes some minutes"; cargo install --locked --force --root $(TARGET)/tools --version $(2) cargo-$(1); }

deny: ## Licences, sources and duplicates of the dependencies
	$(call tool,deny,0.20.2)
	cargo deny --workspace check bans licenses sources

.PHONY: fuzz fuzz-short
SECONDS ?= 60

fuzz: ## Fuzz each parser: SECONDS=60
	$(call tool,fuzz,0.13.2)
	@fuzz/run $(SECONDS)

fuzz-short: ## As CI does: by a fixed seed, for some seconds
	$(call tool,fuzz,0.13.2)
	@fuzz/run --short

cluster: ## Start a local cluster named dev: NODES=20
	@localcluster=$$(e2e/cluster/build) && "$$localcluster" up dev --nodes $(or $(NODES),20)

cluster-down: ## Take the cluster of `make cluster` down
	@localcluster=$$(e2e/cluster/build) && "$$localcluster" down dev

# A demo that was left up has operators beside its cluster. A cluster of this checkout has a lock in its folder; without
# one nothing is built only to take nothing down.
clean: ## Take the demo and the clusters in .run down; remove what was built and run
	@if [ -d .run/demo-files ]; then $(MAKE) --no-print-directory demo-down; fi
	@if [ -z "$${BOREALIS_RUN:-}" ]; then \
	  echo "The path of this checkout is too long for clusters in it: they share a folder with those of others."; \
	  echo "Take yours down by name: make cluster-down, or e2e/cluster/build, whose program says how."; \
	elif compgen -G "$$BOREALIS_RUN/*/lock" >/dev/null; then \
	  localcluster=$$(e2e/cluster/build) && "$$localcluster" down --all; \
	fi
	cargo clean
	rm -rf .run fuzz/target fuzz/corpus fuzz/artifacts

.PHONY: gitops-test gitops-generate

gitops-test: ## kstatus, Argo CD's scripts, drift and the example repository: OBJECTS=folder of objects from a cluster
	cd gitops && CGO_ENABLED=0 GOWORK=off $(if $(OBJECTS),BOREALIS_OBJECTS=$(abspath $(OBJECTS))) go test -count=1 -trimpath ./...

gitops-generate: ## Write the health scripts for Argo CD from gitops/health, and docs/gitops/argocd-cm.yaml from all scripts
	cd gitops && go run ./cmd/argocd-health health ../docs/gitops/resource_customizations/borealis.dev
	cd gitops && go run ./cmd/argocd-cm ../docs/gitops/resource_customizations >../docs/gitops/argocd-cm.yaml.new
	mv docs/gitops/argocd-cm.yaml.new docs/gitops/argocd-cm.yaml

.PHONY: image image-test image-reproducible install-test sbom
IMAGE_FOLDER := $(TARGET)/image
PROGRAM = $(IMAGE_FOLDER)/borealis-$(shell uname -m)
# What is said of a build. Given from outside where there is no Git, as in a source archive.
VERSION ?= $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' Cargo.toml | head -n 1)
REVISION ?= $(shell git rev-parse HEAD)$(shell git diff --quiet HEAD || echo -dirty)
image image-reproducible install-test sbom: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct)

image: ## The operator's image as an archive for containerd or Docker, made without either
	image/build $(PROGRAM)
	cd image && CGO_ENABLED=0 GOWORK=off go run -trimpath . --program $(PROGRAM) --output $(PROGRAM).tar \
	  --version '$(VERSION)' --revision '$(REVISION)'

image-test: ## Tests of how the image is made; they build no operator
	cd image && CGO_ENABLED=0 GOWORK=off go test -count=1 -trimpath ./...

install-test: image ## Borealis by kubectl; by Helm from its image on a real node, upgraded, taken away, installed again
	cargo build --locked --package borealis-e2e --bin borealis-install
	@e2e/cluster/build >/dev/null
	@$(TARGET)/debug/borealis-install $(PROGRAM).tar

image-reproducible: ## Two images from two folders are the same, byte by byte: two whole builds of what is committed
	@image/reproducible '$(VERSION)' '$(REVISION)'

sbom: ## What the operator is made of, as CycloneDX, in target/image/borealis.cdx.json
	$(call tool,cyclonedx,0.5.9)
	image/sbom $(IMAGE_FOLDER)/borealis.cdx.json
