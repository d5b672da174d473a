# Set-up, checks and tests. `make help` lists the targets; `make up` and `make test` are the two that matter.

CARGO ?= cargo
PREFIX ?= /usr/local
DESTDIR ?=
NODES ?= 3

VENV := ansible/.venv
LINT_VENV := target/lint-venv
CARGO_DENY := 0.20.2
# Every file of tests but the end-to-end test.
INTEGRATION := $(filter-out e2e,$(basename $(notdir $(wildcard tests/tests/*.rs))))
SCRIPTS := kubeadm-systemd .ci/run hack/setup hack/fuzz tests/tests/differential/recorder.sh $(wildcard examples/*.sh)

.DEFAULT_GOAL := help
.PHONY: help setup build up down check audit advisories test unit fuzz integration e2e bench bench-cni install uninstall

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
	$(CARGO) fmt --manifest-path cnispawn/fuzz/Cargo.toml --check
	$(CARGO) clippy --workspace --all-targets --locked --quiet -- -D warnings
	$(CARGO) clippy --manifest-path cnispawn/fuzz/Cargo.toml --target-dir target/fuzz --locked --quiet -- -D warnings
	shellcheck $(SCRIPTS)
	$(LINT_VENV)/bin/yamllint --strict .
	cd ansible && PATH="$(abspath $(LINT_VENV))/bin:$$PATH" ansible-lint --offline --strict

$(LINT_VENV)/.done: hack/lint-requirements.txt
	python3 -m venv --clear $(LINT_VENV)
	$(LINT_VENV)/bin/pip install --quiet --requirement hack/lint-requirements.txt
	touch $@

audit: target/tools/.cargo-deny-$(CARGO_DENY) ## Check the dependencies' licences and sources (deny.toml)
	target/tools/bin/cargo-deny --locked check licenses bans sources

advisories: target/tools/.cargo-deny-$(CARGO_DENY) ## Check the dependencies for known flaws; fetches RustSec's database from GitHub
	target/tools/bin/cargo-deny --locked check advisories

target/tools/.cargo-deny-%:
	$(CARGO) install --quiet --locked --root target/tools cargo-deny@$*
	touch $@

test: setup build check audit unit fuzz integration e2e ## Set up everything, then run all checks and tests

unit: ## Run the unit tests
	$(CARGO) test --locked --workspace --exclude tests

fuzz: setup ## Fuzz what comes from outside, for a bounded number of executions
	CARGO=$(CARGO) hack/fuzz configuration
	CARGO=$(CARGO) hack/fuzz plugin_output

integration: setup build ## Run the integration tests (as root)
	$(CARGO) test --locked --package tests --lib $(addprefix --test ,$(INTEGRATION)) --no-fail-fast -- --test-threads=1

e2e: setup build ## Bring up a three-node cluster, use it, take it down (as root)
	$(CARGO) test --locked --package tests --test e2e -- --test-threads=1

bench: setup build ## Time the phases of bringing up one node and three
	$(CARGO) run --locked --quiet --release --package tests --bin bench

bench-cni: setup build ## Time an ADD by cnispawn, by cnitool and by the plugins alone
	$(CARGO) run --locked --quiet --release --package tests --bin bench-cni

# Where things go; systemd looks for units of packages in /usr/lib, whatever PREFIX is.
BINDIR = $(PREFIX)/bin
SHARE = $(PREFIX)/share
UNITDIR = $(if $(filter /usr,$(PREFIX)),/usr/lib,/etc)/systemd/system
BINARIES := cnispawn nodectl clusterctl

install: build ## Install into PREFIX
	install -D -t $(DESTDIR)$(BINDIR) $(addprefix target/release/,$(BINARIES)) kubeadm-systemd
	mkdir -p $(DESTDIR)$(SHARE)/kubeadm-systemd $(DESTDIR)$(UNITDIR)
	cp -r ansible $(DESTDIR)$(SHARE)/kubeadm-systemd/
	target/release/generate $(DESTDIR)$(SHARE)
	sed 's|@BINDIR@|$(BINDIR)|' cnispawn/systemd/cnispawn@.service >$(DESTDIR)$(UNITDIR)/cnispawn@.service

uninstall: ## Remove what install put there
	cd $(DESTDIR)$(BINDIR) && rm -f $(BINARIES) kubeadm-systemd
	rm -rf $(DESTDIR)$(SHARE)/kubeadm-systemd $(DESTDIR)$(UNITDIR)/cnispawn@.service
	cd $(DESTDIR)$(SHARE) && for binary in $(BINARIES); do rm -f man/man1/$$binary.1 man/man1/$$binary-*.1 \
		bash-completion/completions/$$binary zsh/site-functions/_$$binary fish/vendor_completions.d/$$binary.fish; done
