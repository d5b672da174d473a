//! The project on hosts that this one is not: `make test-hosts`. Each is a virtual machine with systemd, cgroup version
//! 2 and NetworkManager; each check is a row of the table that docs/hosts.md keeps.

mod hosts {
    pub(crate) mod report;
}

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use hosts::report::Report;
use tests::binary::without_cargos_variables;
use tests::fixture::succeed;
use tests::vm::{Failure, STATE_DIR, Ssh, StateDisk, System, Vm};

/// A host, and what is done there before anything else.
struct Case {
    system: System,
    prepare: &'static str,
    /// Its Python, where that is not the one for which Debian's own Ansible would do.
    python: Option<&'static str>,
}

const TRIXIE: Case = Case {
    system: System {
        suite: "trixie",
        packages: &[],
        kernel_options: "",
        // Without CMPXCHG16B: a kernel that died over suspend under QEMU 7.2 had a pointer's bits for flags, one of them, in
        // a single step that no debugger had requested, right after that instruction.
        emulated_processor: ",cx16=off",
    },
    prepare: "true",
    python: None,
};

const BOOKWORM: Case = Case {
    system: System {
        suite: "bookworm",
        packages: &["docker.io", "firewalld", "python3-venv"],
        // Linux 6.1 takes the CPUs' time stamp counters, which are the host's, for unsynchronized, and asks QEMU's HPET
        // instead: at each look at a clock, of which Go has many, all else of the machine waits.
        kernel_options: "tsc=reliable",
        emulated_processor: "",
    },
    prepare: "systemctl is-active docker firewalld",
    python: Some("3.11"),
};

/// The first Debian whose systemd knows cgroup version 2 alone (258 and later).
const FORKY: Case = Case {
    system: System {
        suite: "forky",
        packages: &["ufw"],
        // Debian's Linux 7.2 watches how memory is used: kdamond took 37 % of an emulated processor.
        kernel_options: "damon_stat.enabled=0",
        emulated_processor: "",
    },
    prepare: "ufw allow ssh && ufw --force enable && ufw status verbose",
    python: None,
};

/// What is quick and needs no more than a host; those of `hostile` and `stress` are about plugins, not hosts.
const CNISPAWN: [&str; 3] = ["cnispawn::runs", "cnispawn::ends", "cnispawn::verbs"];

/// Without hardware's help, and with other work on the processors.
const LIMIT: Duration = Duration::from_secs(900);

/// How often a machine is suspended until its kernel survives that under QEMU.
const SUSPENDS: u32 = 3;

#[test]
fn trixie_with_network_manager() {
    on(&TRIXIE);
}

#[test]
fn bookworm_with_docker_and_firewalld() {
    on(&BOOKWORM);
}

#[test]
fn forky_with_ufw_and_a_systemd_that_knows_cgroup_version_2_alone() {
    on(&FORKY);
}

/// One of checks/, by its name.
macro_rules! check {
    ($name:literal) => {
        include_str!(concat!("hosts/checks/", $name, ".sh"))
    };
}

fn on(case: &Case) {
    let cache = target_dir().join("hosts");
    let programs = ["cnispawn", "nodectl"].map(test_program);
    let state = StateDisk::new(&tests::node::image(), &programs, &cache);
    let mut vm = Vm::boot(&case.system, &state, &cache);
    let versions = vm.ssh().run("systemctl --version | cut -d' ' -f2 | head -n1; uname -r", LIMIT).expect("it is up");
    let accelerator = vm.accelerator().to_string();
    let cells: Vec<_> = [case.system.suite].into_iter().chain(versions.lines()).chain([accelerator.as_str()]).collect();
    let mut report = Report::new(&cells);
    let run = |vm: &Vm, script: &str| vm.ssh().run(script, LIMIT);

    if !report.check("installed from the package", || install(vm.ssh(), case)) {
        return report.finish();
    }
    report.check("nodectl doctor finds nothing that hinders", || run(&vm, check!("doctor")));
    for tests in CNISPAWN {
        report.check(&format!("{tests}: integration tests"), || run(&vm, &integration_test("cnispawn", 2, tests)));
    }
    // Nodes of one name are one unit, whatever their directories: one at a time.
    report.check("nodectl: integration tests", || vm.ssh().run(&integration_test("nodectl", 1, ""), LIMIT * 2));
    report.check("a container by cnispawn@.service", || run(&vm, check!("service")));
    report.check("a node starts, and is running", || run(&vm, check!("start")));
    report.check("machinectl lists it", || run(&vm, "machinectl status --no-pager node1.default"));
    report.check("all controllers are delegated to it", || run(&vm, check!("controllers")));
    report.check("NetworkManager leaves its links alone", || run(&vm, check!("unmanaged")));
    if !case.system.packages.is_empty() {
        report.check("a firewall forwards nothing of others", || run(&vm, check!("forward_policy")));
    }
    report.check("it reaches the world", || run(&vm, check!("world")));
    for (what, script) in [
        ("nmcli networking off and on", "nmcli networking off; sleep 2; nmcli networking on"),
        ("systemctl restart NetworkManager", "systemctl restart NetworkManager"),
    ] {
        report.check(&format!("reached after {what}"), || run(&vm, script).and_then(|_| run(&vm, check!("reach"))));
    }
    report.check("reached after suspend and wake", || {
        for _ in 0..SUSPENDS {
            if vm.sleep_and_wake()? {
                return run(&vm, check!("reach"));
            }
            run(&vm, check!("start"))?;
        }
        Err(Failure::of("systemctl suspend", "the machine's kernel panics each time"))
    });
    report.check("kubeadm init to Ready, with no preflight error ignored", || vm.ssh().run(check!("init"), LIMIT * 2));
    vm.kill_hard();
    vm.boot_again();
    report.check("starts with its address after a power failure", || {
        run(&vm, check!("start")).and_then(|_| run(&vm, check!("start_again")))
    });
    report.check("the cluster is Ready again", || vm.ssh().run(check!("ready_again"), LIMIT * 2));
    report.check("machinectl poweroff leaves nothing", || {
        run(&vm, "machinectl poweroff node1.default").and_then(|_| run(&vm, check!("left")))
    });
    report.check("systemctl stop leaves nothing", || {
        run(&vm, check!("start"))?;
        run(&vm, "systemctl stop nodectl-node1.default.service").and_then(|_| run(&vm, check!("left")))
    });
    report.check("a node where no systemd can be asked", || run(&vm, check!("bare")));
    report.finish();
}

/// The command that runs some of the integration tests in a machine.
fn integration_test(program: &str, threads: u32, tests: &str) -> String {
    let variable = tests::binary::INSTALLED;
    format!("{variable}=/usr/bin {STATE_DIR}/tests/{program}-* --test-threads={threads} {tests} 2>&1")
}

/// Install the package as a user does.
fn install(ssh: &Ssh, case: &Case) -> Result<String, tests::vm::Failure> {
    let tree = tempfile::tempdir().expect("a directory");
    let dir = target_dir().join("debian");
    let packages =
        std::fs::read_dir(&dir).expect("`make deb` has made it").map(|entry| entry.expect("readable").path());
    let package = packages.max().expect("`make deb` has made it");
    std::fs::copy(package, tree.path().join("kubeadm-systemd.deb")).expect("copied");
    if let Some(version) = case.python {
        wheels(version, &tree.path().join("wheels"));
    }
    ssh.run(case.prepare, LIMIT)?;
    ssh.copy(tree.path())?;
    // What it depends on is there: apt would only add a network to go wrong. The machines have none to PyPI either.
    ssh.run(
        "dpkg --install /kubeadm-systemd.deb 2>&1 && PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels kubeadm-systemd setup --yes",
        LIMIT,
    )
}

/// Fetch Ansible for a version of Python that may not be ours.
fn wheels(python: &str, into: &Path) {
    let requirements = workspace().join("ansible/requirements.txt");
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]);
    succeed(pip.args(["--python-version", python, "--dest"]).arg(into).arg("--requirement").arg(requirements));
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
    let messages = succeed(cargo.current_dir(workspace()));
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let executables = messages.filter(|message| message["target"]["name"] == name);
    let paths: Vec<PathBuf> =
        executables.filter_map(|message| message["executable"].as_str().map(PathBuf::from)).collect();
    paths.into_iter().next_back().expect("cargo tells of the program")
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Cargo's, where this test lies in TARGET/PROFILE/deps.
fn target_dir() -> PathBuf {
    let own = std::env::current_exe().expect("a test has a path");
    own.ancestors().nth(3).expect("a test lies in TARGET/PROFILE/deps").to_owned()
}
