# Set-up, checks and tests. `make help` lists the targets; `make up` and `make test` are the two that matter.

CARGO ?= cargo
PREFIX ?= /usr/local
DESTDIR ?=
NODES ?= 3
# `make up YES=1` does not ask before it installs packages.
YES ?=

SETUP := hack/setup $(if $(YES),--yes)
LINT_VENV := target/lint-venv
CARGO_DENY := 0.20.2
# Every file of tests but those of whole clusters, the one that needs virtual machines, the one of Kubernetes' tests, and
# the one that kills at every step.
CLUSTER := e2e shutdown swap debug logs versions
INTEGRATION := $(filter-out $(CLUSTER) crash hosts suite,$(basename $(notdir $(wildcard tests/tests/*.rs))))
SCRIPTS := kubeadm-systemd .ci/run hack/setup hack/fuzz tests/src/vm/customize tests/tests/differential/recorder.sh \
	clusterctl/src/commands/debug/attach.sh $(wildcard examples/*.sh tests/tests/hosts/checks/*.sh)

.DEFAULT_GOAL := help
.PHONY: help setup build up down check audit advisories test unit fuzz integration e2e test-suite test-versions \
	test-crash test-hosts bench bench-cni install uninstall deb rpm static

help: ## List the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: ## Install what the host lacks to test the project: packages, Ansible in a virtual environment
	$(SETUP) --test

build: ## Compile the binaries
	$(CARGO) build --release --locked --quiet

up: ## Install what the host lacks, and bring up a cluster of NODES nodes
	$(SETUP) --build
	@$(MAKE) --no-print-directory build
	./kubeadm-systemd up --nodes $(NODES)

down: ## Remove the cluster, and restore the host
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

PHASES := setup build check audit unit fuzz integration e2e

test: ## Set up everything, then run all checks and tests
	@times=; for phase in $(PHASES); do \
		begun=$$(date +%s); $(MAKE) --no-print-directory $$phase || exit; \
		times="$$times$$phase $$(($$(date +%s) - begun)) s\n"; done; \
	printf "\ntest: all phases passed\n$$times"

unit: ## Run the unit tests
	$(CARGO) test --locked --workspace --exclude tests

fuzz: setup ## Fuzz what comes from outside, for a bounded number of executions
	CARGO=$(CARGO) hack/fuzz configuration
	CARGO=$(CARGO) hack/fuzz plugin_output

integration: setup build ## Run the integration tests (as root)
	$(CARGO) test --locked --package tests --lib $(addprefix --test ,$(INTEGRATION)) --no-fail-fast -- --test-threads=1

e2e: setup build ## Bring up clusters, use them, change them, take them down (as root)
	$(CARGO) test --locked --package tests $(addprefix --test ,$(CLUSTER)) -- --test-threads=1

test-versions: setup build ## Test an upgrade from the previous minor version, and workers that are behind (compiles both)
	KUBEADM_SYSTEMD_TEST_FROM=v1.36.3 $(CARGO) test --locked --package tests --test versions -- --nocapture --test-threads=1

test-suite: setup build ## Build Kubernetes' own tests, and run a few of them (as root)
	$(CARGO) test --locked --package tests --test suite -- --nocapture --test-threads=1

test-crash: setup build ## Kill cnispawn and nodectl at each of their system calls that change something (as root)
	CRASH_STRIDE=1 $(CARGO) test --locked --package tests --test crash -- --nocapture --test-threads=1

test-hosts: deb ## Test the package in virtual machines of three Debian releases (as root; HOSTS=trixie for one)
	$(SETUP) --hosts
	$(CARGO) test --locked --package tests --test hosts -- --nocapture --test-threads=1 $(HOSTS)

bench: setup build ## Time the phases of bringing up one node and three
	$(CARGO) run --locked --quiet --release --package tests --bin bench

bench-cni: setup build ## Time an ADD by cnispawn, by cnitool and by the plugins alone
	$(CARGO) run --locked --quiet --release --package tests --bin bench-cni

# Where things go; systemd looks for units of packages in /usr/lib, whatever PREFIX is.
BINDIR = $(PREFIX)/bin
SHARE = $(PREFIX)/share
LIBEXEC = $(PREFIX)/libexec/kubeadm-systemd
UNITDIR = $(if $(filter /usr,$(PREFIX)),/usr/lib,/etc)/systemd/system
BINARIES := cnispawn nodectl clusterctl
# As git has them: no virtual environment, no compiled Python.
PLAYBOOKS := $(wildcard $(addprefix ansible/,*.yml *.cfg requirements.txt roles/*/*/* \
	$(addsuffix /*.py,action_plugins callback_plugins library programs)))

install: build ## Install into PREFIX
	install -D -t $(DESTDIR)$(BINDIR) $(addprefix target/release/,$(BINARIES)) kubeadm-systemd
	install -D -t $(DESTDIR)$(LIBEXEC) hack/setup
	install -D -m 644 -t $(DESTDIR)$(LIBEXEC) hack/packages
	for file in $(PLAYBOOKS); do install -D -m 644 $$file $(DESTDIR)$(SHARE)/kubeadm-systemd/$$file || exit; done
	install -D -m 644 -t $(DESTDIR)$(SHARE)/doc/kubeadm-systemd README.md CHANGELOG.md $(wildcard docs/*.md)
	target/release/generate $(DESTDIR)$(SHARE)
	install -d $(DESTDIR)$(UNITDIR)
	sed 's|@BINDIR@|$(BINDIR)|' cnispawn/systemd/cnispawn@.service >$(DESTDIR)$(UNITDIR)/cnispawn@.service

uninstall: ## Remove what install put there
	cd $(DESTDIR)$(BINDIR) && rm -f $(BINARIES) kubeadm-systemd
	rm -rf $(DESTDIR)$(SHARE)/kubeadm-systemd $(DESTDIR)$(SHARE)/doc/kubeadm-systemd $(DESTDIR)$(LIBEXEC)
	rm -f $(DESTDIR)$(UNITDIR)/cnispawn@.service
	cd $(DESTDIR)$(SHARE) && for program in $(BINARIES) kubeadm-systemd; do \
		rm -f man/man1/$$program.1 man/man1/$$program-*.1 bash-completion/completions/$$program \
		zsh/site-functions/_$$program fish/vendor_completions.d/$$program.fish; done

# Not glibc linked statically: its getaddrinfo loads the host's NSS modules, which want the very glibc they were made for.
MUSL := $(shell uname -m)-unknown-linux-musl

static: ## Compile binaries that need no C library, into target/ARCH-unknown-linux-musl/release
	@[ -d "$$(rustc --print target-libdir --target $(MUSL))" ] || \
		{ echo 'static: Rust has no standard library for $(MUSL): rustup target add $(MUSL)' >&2; exit 1; }
	@command -v musl-gcc >/dev/null || { echo 'static: musl-gcc is missing: install musl-tools (musl-gcc)' >&2; exit 1; }
	$(CARGO) build --release --locked --quiet --target $(MUSL) $(addprefix --package ,$(BINARIES))

# Packages are made of one installed tree. The tools that make them are pinned here.
STAGE := target/stage
CARGO_DEB := target/tools/cargo-deb-3.8.0
CARGO_RPM := target/tools/cargo-generate-rpm-0.21.1

deb: $(CARGO_DEB)/bin stage ## Make target/debian/kubeadm-systemd_*.deb
	$(CARGO_DEB)/bin/cargo-deb deb --quiet --package clusterctl --no-build --no-strip

rpm: $(CARGO_RPM)/bin stage ## Make target/generate-rpm/kubeadm-systemd-*.rpm
	$(CARGO_RPM)/bin/cargo-generate-rpm generate-rpm --package clusterctl

.PHONY: stage
stage:
	rm -rf $(STAGE)
	@$(MAKE) --no-print-directory install DESTDIR=$(STAGE) PREFIX=/usr

# Unoptimised: they run for seconds, and take minutes to compile otherwise.
target/tools/%/bin:
	$(CARGO) install --quiet --locked --debug --root $(@D) --target-dir target/tools/build \
		$(shell echo $* | sed 's/-\([0-9.]*\)$$/@\1/')
