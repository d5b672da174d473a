//! `nodectl doctor`: every check of it, with what it looks for broken on purpose, on a host of the test's own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tests::{bin, isolate};

/// Something to break, and what the doctor says then.
struct Case {
    check: &'static str,
    status: &'static str,
    /// A part of what was found, of the adaptation or of the mending.
    said: &'static str,
    /// Breaks the host of this thread, and the command, with a scratch directory.
    ruin: fn(&Path, &mut Command),
}

const CASES: [Case; 20] = [
    Case {
        check: "root",
        status: "failed",
        said: "not root",
        ruin: |_, doctor| {
            doctor.uid(65534).gid(65534);
        },
    },
    Case {
        check: "capabilities",
        status: "failed",
        said: "CAP_SYS_ADMIN",
        ruin: |_, doctor| without(doctor, "sys_admin"),
    },
    Case {
        check: "oom-score",
        status: "adapted",
        said: "containerd leaves",
        ruin: |_, doctor| without(doctor, "sys_resource"),
    },
    Case { check: "supervisor", status: "adapted", said: "is not PID 1", ruin: |_, _| tmpfs("/run") },
    Case { check: "supervisor", status: "ok", said: "nodectl-NODE.CLUSTER.service", ruin: |_, _| booted() },
    Case {
        check: "machined",
        status: "failed",
        said: "kubeadm-systemd setup",
        ruin: |_, _| {
            booted();
            tmpfs("/usr/share/dbus-1");
        },
    },
    Case {
        check: "nspawn",
        status: "failed",
        said: "systemd-nspawn 245, older than 252",
        ruin: |scratch, doctor| program(scratch, doctor, "systemd-nspawn", "echo 'systemd 245 (245.4)'"),
    },
    Case {
        check: "cgroups",
        status: "failed",
        said: "without the controllers memory",
        ruin: |scratch, _| {
            tmpfs("/sys/fs/cgroup");
            let rows = ["cpu", "cpuacct", "cpuset", "pids"].map(|name| format!("{name}\t1\t1\t1\n"));
            over(scratch, "/proc/cgroups", &rows.concat());
        },
    },
    Case {
        check: "programs",
        status: "failed",
        said: "nsenter",
        ruin: |scratch, doctor| {
            doctor.env("PATH", scratch);
        },
    },
    Case {
        check: "cnispawn",
        status: "failed",
        said: "make build",
        ruin: |scratch, doctor| {
            doctor.env("PATH", scratch);
        },
    },
    Case {
        check: "cni-plugins",
        status: "failed",
        said: "no bridge",
        ruin: |scratch, doctor| {
            doctor.env("CNI_PATH", scratch);
        },
    },
    Case {
        check: "image-programs",
        status: "failed",
        said: "no mmdebstrap",
        ruin: |scratch, doctor| {
            doctor.env("PATH", scratch);
        },
    },
    Case {
        check: "br-netfilter",
        status: "failed",
        said: "br_netfilter",
        ruin: |scratch, doctor| {
            tmpfs("/proc/sys/net");
            program(scratch, doctor, "modprobe", "exit 1");
        },
    },
    Case {
        check: "sysctls",
        status: "failed",
        said: "/proc/sys is read-only",
        ruin: |_, _| {
            fs::write("/proc/sys/net/ipv4/ip_forward", "0").expect("of our own network namespace");
            run("mount", &["--bind", "/proc/sys", "/proc/sys"]);
            run("mount", &["-o", "remount,bind,ro", "/proc/sys"]);
        },
    },
    Case { check: "devices", status: "failed", said: "mknod /dev/kmsg", ruin: |_, _| devices(&["null"]) },
    Case { check: "devices", status: "adapted", said: "FUSE", ruin: |_, _| devices(&["null", "kmsg"]) },
    Case {
        check: "kernel-config",
        status: "adapted or failed",
        said: "the kernel's configuration",
        ruin: |_, _| {
            ["/boot", "/lib/modules"].into_iter().filter(|dir| Path::new(dir).exists()).for_each(tmpfs);
            run("mount", &["-t", "proc", "-o", "subset=pid", "proc", "/proc"]);
        },
    },
    Case {
        check: "swap",
        status: "adapted",
        said: "failSwapOn",
        ruin: |scratch, _| {
            over(scratch, "/proc/swaps", "Filename Type Size Used Priority\n/dev/zram0 partition 8 0 100\n")
        },
    },
    Case {
        check: "overlay",
        status: "failed",
        said: "ext4, XFS or Btrfs",
        ruin: |scratch, doctor| {
            let parts = ["lower", "upper", "work", "state"].map(|name| scratch.join(name));
            parts.iter().for_each(|part| fs::create_dir(part).expect("made"));
            let [lower, upper, work, state] = parts.each_ref().map(|part| part.to_str().expect("UTF-8"));
            let options = format!("lowerdir={lower},upperdir={upper},workdir={work}");
            run("mount", &["-t", "overlay", "-o", &options, "overlay", state]);
            doctor.env("KUBEADM_SYSTEMD_STATE_DIR", state);
        },
    },
    Case {
        check: "disk-space",
        status: "failed",
        said: "less than 1024",
        ruin: |scratch, doctor| {
            run("mount", &["-t", "tmpfs", "-o", "size=9m", "tmpfs", scratch.to_str().expect("UTF-8")]);
            doctor.env("KUBEADM_SYSTEMD_STATE_DIR", scratch);
        },
    },
];

fn run(program: &str, words: &[&str]) {
    let status = Command::new(program).args(words).status().expect("it runs");
    assert!(status.success(), "{program} {words:?}");
}

fn tmpfs(dir: &str) {
    run("mount", &["-t", "tmpfs", "tmpfs", dir]);
}

/// sd_booted(3)
fn booted() {
    tmpfs("/run");
    fs::create_dir_all("/run/systemd/system").expect("made");
}

fn over(scratch: &Path, path: &str, content: &str) {
    let file = scratch.join("over");
    fs::write(&file, content).expect("written");
    run("mount", &["--bind", file.to_str().expect("UTF-8"), path]);
}

/// A program of ours in place of the host's.
fn program(scratch: &Path, doctor: &mut Command, name: &str, script: &str) {
    let path = scratch.join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
    let old = std::env::var("PATH").expect("a PATH");
    doctor.env("PATH", format!("{}:{old}", scratch.display()));
}

/// A /dev with these alone.
fn devices(names: &[&str]) {
    tmpfs("/dev");
    for name in names {
        let minor = if *name == "null" { "3" } else { "11" };
        run("mknod", &[&format!("/dev/{name}"), "c", "1", minor]);
    }
}

/// Have setpriv(1) run the command without a capability.
fn without(doctor: &mut Command, capability: &str) {
    let mut setpriv = Command::new("setpriv");
    setpriv.arg(format!("--bounding-set=-{capability}")).arg(doctor.get_program()).args(doctor.get_args());
    *doctor = setpriv;
}

/// A nodectl that everybody may execute, with no cnispawn beside it.
fn nodectl(scratch: &Path) -> PathBuf {
    let nodectl = scratch.join("bin/nodectl");
    fs::create_dir(scratch.join("bin")).expect("made");
    fs::copy(bin("nodectl"), &nodectl).expect("copied");
    nodectl
}

fn examine(case: &Case) {
    isolate();
    let scratch = tempfile::tempdir().expect("a directory");
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).expect("open to all");
    let mut doctor = Command::new(nodectl(scratch.path()));
    doctor.args(["doctor", "--json"]).stdin(Stdio::null());
    let room = scratch.path().join("room");
    fs::create_dir(&room).expect("made");
    (case.ruin)(&room, &mut doctor);
    let output = doctor.output().expect("it runs");
    let findings: Vec<Value> = serde_json::Deserializer::from_slice(&output.stdout)
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap_or_else(|error| panic!("{}: {error}: {output:?}", case.check));
    let finding = findings.iter().find(|finding| finding["check"] == case.check).expect("a check of that name");
    let status = finding["status"].as_str().expect("a status");
    assert!(case.status.split(" or ").any(|expected| expected == status), "{finding}");
    assert!(finding.to_string().contains(case.said), "{finding}");
    let failed = findings.iter().any(|finding| finding["status"] == "failed");
    assert_eq!(output.status.code(), Some(i32::from(failed)), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn each_check_finds_what_is_broken() {
    for case in &CASES {
        // A host is made of a thread's namespaces.
        std::thread::scope(|scope| {
            let examined = scope.spawn(|| examine(case)).join();
            assert!(examined.is_ok(), "{}", case.check);
        });
    }
}

#[test]
fn a_host_without_a_free_subnet_is_told_so() {
    isolate();
    for subnet in ["10.200.0.0/16", "198.18.0.0/15"] {
        run("ip", &["route", "add", "blackhole", subnet]);
    }
    let output = Command::new(bin("nodectl")).arg("doctor").output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = said.lines().find(|line| line.contains(" subnet ")).expect("a line");
    assert!(line.starts_with("FAILED") && line.contains("no free subnet"), "{line}");
}

#[test]
fn start_refuses_with_the_doctors_words() {
    let image = serde_json::to_string(&tests::node::image()).expect("a record");
    let scratch = tempfile::tempdir().expect("a directory");
    let run = |words: &[&str]| {
        let mut command = Command::new(bin("nodectl"));
        command
            .args(words)
            .env("CNI_PATH", scratch.path())
            .env("KUBEADM_SYSTEMD_STATE_DIR", scratch.path().join("state"));
        command.env("KUBEADM_SYSTEMD_RUN_DIR", scratch.path().join("run"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it runs");
        // The doctor does not read it.
        let _ = std::io::Write::write_all(&mut child.stdin.take().expect("piped"), image.as_bytes());
        child.wait_with_output().expect("it ends")
    };
    let doctor = String::from_utf8_lossy(&run(&["doctor"]).stdout).into_owned();
    let words = doctor.lines().find_map(|line| line.split_once("cni-plugins")).expect("a line").1.trim().to_owned();
    let refused = run(&["start", "node1"]);
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{message}");
    assert!(message.contains(&format!("cni-plugins: {words}")), "{message}");
    assert!(!scratch.path().join("state/clusters").exists());
}
