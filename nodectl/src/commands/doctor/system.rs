//! Our privileges, and what supervises nodes.

use std::path::Path;
use std::process::Command;

use caps::{CapSet, Capability};
use foundation::command;

use super::{Finding, Patient};
use crate::host::{Hierarchy, Supervisor};
use crate::node::cgroup;
use crate::node::host_files;
use crate::node::supervise::unit;

/// The oldest systemd-nspawn with all the options that we use: Debian bookworm's.
const OLDEST_SYSTEMD: u32 = 252;

/// What nodectl and systemd-nspawn need on the host (capabilities(7)).
const NEEDED: [Capability; 9] = [
    Capability::CAP_CHOWN,
    Capability::CAP_DAC_OVERRIDE,
    Capability::CAP_KILL,
    Capability::CAP_MKNOD,
    Capability::CAP_NET_ADMIN,
    Capability::CAP_SETPCAP,
    Capability::CAP_SYS_ADMIN,
    Capability::CAP_SYS_CHROOT,
    Capability::CAP_SYS_PTRACE,
];

pub(super) fn root(_: &Patient<'_>) -> Finding {
    let user = nix::unistd::geteuid();
    if user.is_root() {
        return Finding::ok("user 0");
    }
    Finding::failed(
        format!("user {user} is not root: only root can make namespaces, mounts and cgroups"),
        "sudo nodectl ...",
    )
}

pub(super) fn capabilities(_: &Patient<'_>) -> Finding {
    let has = |capability: &Capability| caps::has_cap(None, CapSet::Bounding, *capability).unwrap_or(false);
    let missing: Vec<_> = NEEDED.iter().filter(|capability| !has(capability)).map(ToString::to_string).collect();
    if missing.is_empty() {
        return Finding::ok("all that nodes need");
    }
    Finding::failed(
        format!("no {}", missing.join(", ")),
        "start the container that this is with all capabilities (docker run --privileged)",
    )
}

pub(super) fn oom_score(_: &Patient<'_>) -> Finding {
    if host_files::may_lower_oom_score() {
        return Finding::ok("may be lowered");
    }
    Finding::adapted("no CAP_SYS_RESOURCE", "containerd leaves the OOM scores of containers as they are")
}

pub(super) fn supervisor(patient: &Patient<'_>) -> Finding {
    match patient.host.supervisor {
        Supervisor::Systemd => Finding::ok("systemd is PID 1: each node is a unit, nodectl-NODE.CLUSTER.service"),
        Supervisor::Nobody => Finding::adapted(
            "systemd is not PID 1",
            "each node is a daemon, and does not come back after its own reboot",
        ),
    }
}

pub(super) fn machined(patient: &Patient<'_>) -> Finding {
    if patient.host.supervisor == Supervisor::Nobody {
        return Finding::adapted(
            "no systemd-machined",
            "nodes are not registered; nodectl exec and shell do without it",
        );
    }
    if Path::new("/usr/share/dbus-1/system-services/org.freedesktop.machine1.service").exists() {
        return Finding::ok("D-Bus starts it");
    }
    Finding::failed("systemd-machined is not installed", "kubeadm-systemd setup")
}

pub(super) fn nspawn(_: &Patient<'_>) -> Finding {
    let output = command::output(Command::new("systemd-nspawn").arg("--version"));
    let Ok(output) = output else { return Finding::failed("systemd-nspawn does not run", "kubeadm-systemd setup") };
    let version = unit::parse_version(&String::from_utf8_lossy(&output.stdout));
    if version >= OLDEST_SYSTEMD {
        return Finding::ok(format!("systemd-nspawn {version}"));
    }
    Finding::failed(
        format!("systemd-nspawn {version}, older than {OLDEST_SYSTEMD}"),
        "upgrade to a distribution with a newer systemd",
    )
}

pub(super) fn cgroups(patient: &Patient<'_>) -> Finding {
    match (patient.host.cgroups, patient.host.supervisor) {
        (Hierarchy::Unified, Supervisor::Systemd) => Finding::ok("version 2, which systemd delegates"),
        (Hierarchy::Unified, Supervisor::Nobody) => match cgroup::controllers_for_nodes() {
            Ok(parent) => Finding::ok(format!("version 2; nodes go below {}", parent.display())),
            Err(error) => Finding::failed(error.to_string(), "as it says"),
        },
        (Hierarchy::Legacy, _) => legacy(),
    }
}

fn legacy() -> Finding {
    let enabled = cgroup::controllers().unwrap_or_default();
    let missing: Vec<_> = ["cpu", "cpuacct", "cpuset", "memory", "pids"]
        .into_iter()
        .filter(|name| !enabled.iter().any(|e| e == name))
        .collect();
    if missing.is_empty() {
        return Finding::adapted(
            "version 1",
            "kubelet is told failCgroupV1: false and cgroupDriver: cgroupfs, and kubeadm not to mind",
        );
    }
    Finding::failed(
        format!("version 1 without the controllers {}", missing.join(", ")),
        "boot the host with cgroup_enable=memory, or with version 2: systemd.unified_cgroup_hierarchy=1",
    )
}
