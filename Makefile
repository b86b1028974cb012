# One command for everything. `make` alone says what there is.

.DEFAULT_GOAL := help
.PHONY: help run build desktop test api crash e2e-openwebui container-check deb deb-check screenshots bench bench-cloud bench-desktop lint docs fmt deny icons clean

# rustup puts cargo where a shell that was open before does not look for it.
CARGO := $(shell command -v cargo 2>/dev/null || echo "$${CARGO_HOME:-$$HOME/.cargo}/bin/cargo")
# Where Node.js is missing, .ci/setup leaves this mark and the admin UI is left out.
WITHOUT_UI = $(shell test -e target/without-ui && echo PICGATE_UI=skip)
# What `make run` and `make e2e-openwebui` hand to the program, such as ARGS="--port 5650".
ARGS ?=

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Install what is missing, build and start: the desktop app where there is a display, else the gateway alone; ARGS="--port 5650" are passed on
	@.ci/start $(ARGS)

build: ## Build the release binary of the gateway: target/release/picgate-headless
	@.ci/setup build
	$(WITHOUT_UI) $(CARGO) build --release -p picgate-gateway --bin picgate-headless

desktop: ## Build the release binary of the desktop app: target/release/picgate
	@.ci/setup desktop
	$(WITHOUT_UI) $(CARGO) build --release -p picgate --bin picgate

test: ## Install what is missing, then check format, lints and tests
	@.ci/test

api: ## Write ui/openapi.json and the UI's types anew after a change of the admin API
	PICGATE_UI=skip PICGATE_WRITE_API=1 $(CARGO) test -p picgate-gateway --test it -- --exact admin_api::the_copy_that_the_ui_is_written_against_is_the_servers_own
	npm --prefix ui run types

e2e-openwebui: ## Test with the real Open WebUI in a browser (large download the first time); screenshots in target/e2e/screens
	@.ci/e2e-openwebui $(ARGS)

container-check: ## Build the container image without a container engine and use it (Debian, as root); no part of make test
	@.ci/container-check $(ARGS)

deb: ## Build the desktop app's Debian package: target/packages
	@.ci/setup desktop
	@.ci/bundle --bundles deb

deb-check: ## Install that package into a fresh Debian, use it and remove it (Debian, as root); no part of make test
	@.ci/deb-check

screenshots: ## Take every page of the admin UI anew; the few for the READMEs go to .github/assets
	@.ci/screenshots

bench: ## Measure against the floor and nginx; writes tests/bench/RESULTS.md
	@.ci/setup build
	$(CARGO) bench -p picgate-gateway --bench gateway -- --run

bench-cloud: ## Measure copies in a bucket: a backlog of 10,000 images, and images that come back; writes tests/bench/CLOUD.md
	@.ci/setup build
	$(CARGO) bench -p picgate-gateway --bench gateway -- --cloud

bench-desktop: ## Measure the desktop app's memory, start and windows; writes tests/bench/DESKTOP.md
	@.ci/setup test
	$(WITHOUT_UI) $(CARGO) test --release -p picgate --test desktop -- --ignored --exact figures::figures --nocapture

crash: ## Kill the gateway at every call of the system and a thousand times at random, and look at what is left (an hour)
	@.ci/setup build
	PICGATE_CRASHES=$${PICGATE_CRASHES:-1000} $(CARGO) test -p picgate-gateway --test it crash:: -- --nocapture

lint: ## Check format and lints
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets

docs: ## Write the tables of variables in both READMEs anew, from the code
	PICGATE_WRITE_DOCS=1 $(CARGO) test -p picgate-gateway --test it -- documents::

fmt: ## Format the code
	$(CARGO) fmt --all

deny: ## Check licences, sources and advisories of dependencies (needs cargo-deny)
	@$(CARGO) deny --version >/dev/null 2>&1 || { echo "cargo-deny is missing: cargo install --locked cargo-deny" >&2; exit 1; }
	$(CARGO) deny check --config .github/deny.toml

icons: ## Draw all icons from icons/picgate.svg (needs Node.js and Python)
	python3 icons/generate.py

clean: ## Delete everything that was built
	$(CARGO) clean
