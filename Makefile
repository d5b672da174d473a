# Set-up, checks and tests. `make help` lists the targets; `make up` and `make test` are the two that matter.

CARGO ?= cargo
PREFIX ?= /usr/local
DESTDIR ?=
NODES ?= 3

VENV := ansible/.venv
LINT_VENV := target/lint-venv
SCRIPTS := kubeadm-systemd .ci/run hack/setup $(wildcard examples/*.sh)

.DEFAULT_GOAL := help
.PHONY: help setup build up down check test unit integration e2e bench install uninstall

help: ## List the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: ## Install what the host needs: packages (apt), Rust and Go if missing, Ansible in a virtual environment
	hack/setup
	@$(MAKE) --no-print-directory $(VENV)/.done

# ansible-core is pinned by its own file: a new pin makes a new environment.
$(VENV)/.done: ansible/requirements.txt
	python3 -m venv --clear $(VENV)
	$(VENV)/bin/pip install --quiet --requirement ansible/requirements.txt
	touch $@

build: ## Compile the binaries
	$(CARGO) build --release --locked --quiet

up: setup build ## Bring up a cluster of NODES nodes
	./kubeadm-systemd up --nodes $(NODES)

down: ## Remove the cluster, and put the host back as it was
	./kubeadm-systemd down

check: $(LINT_VENV)/.done ## Check formatting and lints
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked --quiet -- -D warnings
	shellcheck $(SCRIPTS)
	$(LINT_VENV)/bin/yamllint --strict .
	cd ansible && PATH="$(abspath $(LINT_VENV))/bin:$$PATH" ansible-lint --offline --strict

$(LINT_VENV)/.done: hack/lint-requirements.txt
	python3 -m venv --clear $(LINT_VENV)
	$(LINT_VENV)/bin/pip install --quiet --requirement hack/lint-requirements.txt
	touch $@

test: setup build check unit integration e2e ## Set up everything, then run all checks and tests

unit: ## Run the unit tests
	$(CARGO) test --locked --workspace --exclude tests

integration: setup build ## Run the integration tests (as root)
	$(CARGO) test --locked --package tests --lib --test cnispawn --test build --test nodectl --test clusterctl --test readme --no-fail-fast -- --test-threads=1

e2e: setup build ## Bring up a three-node cluster, use it, take it down (as root)
	$(CARGO) test --locked --package tests --test e2e -- --test-threads=1

bench: setup build ## Time the phases of bringing up one node and three
	$(CARGO) run --locked --quiet --release --package tests --bin bench

install: build ## Install into PREFIX
	install -D -t $(DESTDIR)$(PREFIX)/bin target/release/cnispawn target/release/nodectl target/release/clusterctl kubeadm-systemd
	mkdir -p $(DESTDIR)$(PREFIX)/share/kubeadm-systemd
	cp -r ansible $(DESTDIR)$(PREFIX)/share/kubeadm-systemd/

uninstall: ## Remove what install put there
	cd $(DESTDIR)$(PREFIX)/bin && rm -f cnispawn nodectl clusterctl kubeadm-systemd
	rm -rf $(DESTDIR)$(PREFIX)/share/kubeadm-systemd
