//! The kernel: modules, sysctls, devices, swap.

use std::fs;
use std::path::Path;
use std::process::Command;

use foundation::command;
use nix::unistd::{AccessFlags, access};

use super::{Finding, Patient};
use crate::host::Hierarchy;
use crate::host::sysctl;
use crate::node::nspawn;

pub(super) fn br_netfilter(_: &Patient<'_>) -> Finding {
    if Path::new("/proc/sys/net/bridge").exists() {
        return Finding::ok("loaded");
    }
    match command::output(Command::new("modprobe").args(["--dry-run", "br_netfilter"])) {
        Ok(_) => Finding::adapted("not loaded", "start loads it"),
        Err(_) => Finding::failed(
            "the module br_netfilter is not there: Services would not be reached from pods on the same node",
            "install the kernel's modules (linux-modules-extra), or modprobe br_netfilter outside of this container",
        ),
    }
}

pub(super) fn sysctls(_: &Patient<'_>) -> Finding {
    let differing = match sysctl::differing() {
        Ok(differing) => differing,
        Err(error) => return Finding::failed(foundation::error_chain(&error), "mount /proc whole"),
    };
    let read_only: Vec<_> =
        differing.iter().filter(|(name, ..)| access(&sysctl::proc_path(name), AccessFlags::W_OK).is_err()).collect();
    if let Some((name, _, value)) = read_only.first() {
        return Finding::failed(
            format!("{name} cannot be set: /proc/sys is read-only"),
            format!("sysctl -w {name}={value}, outside of this container"),
        );
    }
    let shown: Vec<_> = differing.iter().map(|(name, _, value)| format!("{name}={value}")).collect();
    if shown.is_empty() {
        return Finding::ok("as kubelet wants them");
    }
    Finding::adapted("not as kubelet wants them", format!("start sets {}, and rm puts back", shown.join(", ")))
}

pub(super) fn devices(_: &Patient<'_>) -> Finding {
    let missing: Vec<_> = nspawn::DEVICES.into_iter().filter(|device| !Path::new(device).exists()).collect();
    match missing.as_slice() {
        [] => Finding::ok(nspawn::DEVICES.join(", ")),
        // kubelet's OOM watcher fails without, and kubelet with it.
        missing if missing.contains(&"/dev/kmsg") => {
            Finding::failed("no /dev/kmsg, without which kubelet does not start", "mknod /dev/kmsg c 1 11")
        }
        _ => Finding::adapted("no /dev/fuse", "nodes run without: no FUSE snapshotters or file systems in pods"),
    }
}

pub(super) fn config(patient: &Patient<'_>) -> Finding {
    let found = nspawn::kernel_config_of_host().map(|(path, _)| path.display().to_string());
    let found = found.or_else(|| Path::new("/proc/config.gz").exists().then(|| "/proc/config.gz".to_owned()));
    match (found, patient.host.cgroups) {
        (Some(path), _) => Finding::ok(path),
        (None, Hierarchy::Legacy) => Finding::adapted(
            "the kernel's configuration is not there",
            "kubeadm's SystemVerification is ignored anyway",
        ),
        (None, Hierarchy::Unified) => Finding::failed(
            "the kernel's configuration is in none of /boot, /lib/modules and /proc/config.gz: kubeadm's SystemVerification fails",
            "modprobe configs, or install the kernel's package",
        ),
    }
}

pub(super) fn swap(_: &Patient<'_>) -> Finding {
    let swaps = fs::read_to_string("/proc/swaps").unwrap_or_default();
    let devices: Vec<_> = swaps.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    if devices.is_empty() {
        return Finding::ok("none");
    }
    Finding::adapted(devices.join(", "), "kubelet is told failSwapOn: false")
}
