//! The project on hosts that this one is not: `make test-hosts`. Each is a virtual machine with systemd, cgroup version
//! 2 and NetworkManager; each check is a row of the table that docs/hosts.md keeps.

mod hosts {
    pub(crate) mod report;
}

use std::path::{Path, PathBuf};
use std::time::Duration;

use hosts::report::Report;
use tests::binary::without_cargos_variables;
use tests::fixture::succeed;
use tests::vm::{STATE_DIR, Ssh, StateDisk, System, Vm};

const TRIXIE: System = System { suite: "trixie", packages: &[] };
const BOOKWORM: System = System { suite: "bookworm", packages: &["docker.io", "firewalld"] };
/// The first Debian whose systemd knows cgroup version 2 alone (258 and later).
const FORKY: System = System { suite: "forky", packages: &[] };

/// What is quick and needs no more than a host; those of `hostile` and `stress` are about plugins, not hosts.
const CNISPAWN: [&str; 3] = ["cnispawn::runs", "cnispawn::ends", "cnispawn::verbs"];

/// Without hardware's help, and with other work on the processors.
const LIMIT: Duration = Duration::from_secs(900);

#[test]
fn trixie_with_network_manager() {
    on(&TRIXIE);
}

#[test]
fn bookworm_with_docker_and_firewalld() {
    on(&BOOKWORM);
}

#[test]
fn forky_with_a_systemd_that_knows_cgroup_version_2_alone() {
    on(&FORKY);
}

fn on(system: &System) {
    let cache = target_dir().join("hosts");
    let state = StateDisk::new(&tests::node::image(), &[test_program("cnispawn")], &cache);
    let mut vm = Vm::boot(system, &state, &cache);
    let versions = vm.ssh().run("systemctl --version | cut -d' ' -f2 | head -n1; uname -r", LIMIT).expect("it is up");
    let accelerator = vm.accelerator().to_string();
    let cells: Vec<_> = [system.suite].into_iter().chain(versions.lines()).chain([accelerator.as_str()]).collect();
    let mut report = Report::new(&cells);

    if !report.check("installed from the package", || install(vm.ssh())) {
        return report.finish();
    }
    for tests in CNISPAWN {
        report.check(&format!("{tests}: integration tests"), || {
            let programs = format!("{STATE_DIR}/tests");
            let variable = tests::binary::INSTALLED;
            vm.ssh().run(&format!("{variable}=/usr/bin {programs}/cnispawn-* --test-threads=2 {tests} 2>&1"), LIMIT)
        });
    }
    report.check("a node starts, and is running", || vm.ssh().run(START, LIMIT));
    report.check("machinectl lists it", || vm.ssh().run("machinectl status --no-pager node1.default", LIMIT));
    report.check("all controllers are delegated to it", || vm.ssh().run(CONTROLLERS, LIMIT));
    report.check("NetworkManager leaves its bridge alone", || vm.ssh().run(UNMANAGED, LIMIT));
    for (what, script) in [
        ("nmcli networking off and on", "nmcli networking off; sleep 2; nmcli networking on"),
        ("systemctl restart NetworkManager", "systemctl restart NetworkManager"),
    ] {
        report.check(&format!("reached after {what}"), || vm.ssh().run(&format!("({script}) && {REACH}"), LIMIT));
    }
    report.check("reached after suspend and wake", || vm.sleep_and_wake().and_then(|_| vm.ssh().run(REACH, LIMIT)));
    report.check("kubeadm init to Ready, with no preflight error ignored", || vm.ssh().run(INIT, LIMIT * 2));
    vm.kill_hard();
    vm.boot_again();
    let again = format!("{START} && cmp addresses addresses.before");
    report.check("starts with its address after a power failure", || vm.ssh().run(&again, LIMIT));
    report.check("machinectl poweroff leaves nothing", || {
        vm.ssh().run(&format!("machinectl poweroff node1.default && {LEFT}"), LIMIT)
    });
    report.check("systemctl stop leaves nothing", || {
        vm.ssh().run(&format!("{START} && systemctl stop nodectl-node1.default.service && {LEFT}"), LIMIT)
    });
    report.finish();
}

/// Start the node, and write down its address; the one that it had before is in addresses.before.
const START: &str = "cd /root; [ ! -e addresses ] || mv addresses addresses.before; \
    nodectl start node1 --image default --timeout 600 >nodes && \
    sed 's/.*\"addresses\":\\[\"\\([^\"]*\\)\".*/\\1/' nodes >addresses && \
    [ \"$(nodectl exec node1 -- systemctl is-system-running)\" = running ]";

const CONTROLLERS: &str = "have=$(nodectl exec node1 -- cat /sys/fs/cgroup/cgroup.controllers); echo \"$have\"; \
    for one in cpuset cpu io memory pids; do case \" $have \" in *\" $one \"*) ;; *) exit 1 ;; esac; done";

const UNMANAGED: &str =
    "nmcli -t -f DEVICE,STATE device; nmcli -t -f DEVICE,STATE device | grep -qx ks-default:unmanaged";

const INIT: &str = "cd /root; clusterctl inventory <nodes >inventory.yml && clusterctl up -i inventory.yml --timeout 1700 && \
    nodectl exec node1 -- grep -x ' *ignorePreflightErrors: \\[\\]' /etc/kubernetes/kubeadm-systemd/init.yaml && \
    KUBECONFIG=$(clusterctl kubeconfig) $(nodectl which kubectl) wait --for=condition=Ready node/node1 --timeout=5m";

const REACH: &str = "for i in $(seq 30); do ping -c1 -W2 $(cat /root/addresses) && exit 0; sleep 1; done; exit 1";

/// The unit has ended, and with it the node's network.
const LEFT: &str = "for i in $(seq 120); do systemctl is-active --quiet nodectl-node1.default.service || \
    [ -n \"$(ip netns list)\" ] || [ -n \"$(ip -o link show type veth)\" ] || exit 0; sleep 1; done; \
    ip netns list; ip -o link show type veth; exit 1";

/// Install the package as a user does.
fn install(ssh: &Ssh) -> Result<String, tests::vm::Failure> {
    let tree = tempfile::tempdir().expect("a directory");
    let dir = target_dir().join("debian");
    let packages =
        std::fs::read_dir(&dir).expect("`make deb` has made it").map(|entry| entry.expect("readable").path());
    let package = packages.max().expect("`make deb` has made it");
    std::fs::copy(package, tree.path().join("kubeadm-systemd.deb")).expect("copied");
    ssh.copy(tree.path())?;
    // What it depends on is there: apt would only add a network to go wrong.
    ssh.run("dpkg --install /kubeadm-systemd.deb 2>&1", LIMIT)
}

/// Build one of our test programs; its path.
fn test_program(name: &str) -> PathBuf {
    let mut cargo = without_cargos_variables("cargo");
    cargo.args([
        "test",
        "--quiet",
        "--locked",
        "--package",
        "tests",
        "--no-run",
        "--message-format=json",
        "--test",
        name,
    ]);
    let messages = succeed(cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")));
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let executables = messages.filter(|message| message["target"]["name"] == name);
    let paths: Vec<PathBuf> =
        executables.filter_map(|message| message["executable"].as_str().map(PathBuf::from)).collect();
    paths.into_iter().next_back().expect("cargo tells of the program")
}

/// Cargo's, where this test lies in TARGET/PROFILE/deps.
fn target_dir() -> PathBuf {
    let own = std::env::current_exe().expect("a test has a path");
    own.ancestors().nth(3).expect("a test lies in TARGET/PROFILE/deps").to_owned()
}
