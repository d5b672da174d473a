//! Programs of the host.

use std::path::PathBuf;

use super::{Finding, Patient};
use crate::node::cnispawn;

/// What `start` runs, apart from cnispawn and the CNI plugins.
const START: [&str; 7] = ["systemd-nspawn", "nsenter", "ssh-keygen", "ip", "iptables", "nft", "modprobe"];

/// What `build` runs for every source of Kubernetes.
const BUILD: [&str; 2] = ["mmdebstrap", "unshare"];

/// Plugins of a node's network.
const PLUGINS: [&str; 2] = ["bridge", "host-local"];

/// cnispawn's own default.
const PLUGIN_DIRS: &str = "/opt/cni/bin:/usr/lib/cni:/usr/libexec/cni";

const SETUP: &str = "kubeadm-systemd setup";

fn in_path(programs: &[&str]) -> Finding {
    let missing: Vec<_> = programs.iter().copied().filter(|program| which::which(program).is_err()).collect();
    if missing.is_empty() {
        return Finding::ok(programs.join(", "));
    }
    Finding::failed(format!("no {} in PATH", missing.join(", ")), SETUP)
}

pub(super) fn host_programs(_: &Patient<'_>) -> Finding {
    in_path(&START)
}

pub(super) fn image_programs(_: &Patient<'_>) -> Finding {
    in_path(&BUILD)
}

pub(super) fn cnispawn(_: &Patient<'_>) -> Finding {
    match cnispawn::find() {
        Ok(path) => Finding::ok(path.display().to_string()),
        Err(_) => Finding::failed("no cnispawn beside nodectl or in PATH", "make build, or install kubeadm-systemd"),
    }
}

pub(super) fn plugins(_: &Patient<'_>) -> Finding {
    let dirs = std::env::var("CNI_PATH").unwrap_or_else(|_| PLUGIN_DIRS.to_owned());
    let dirs: Vec<PathBuf> = std::env::split_paths(&dirs).collect();
    let is_there = |name: &&&str| dirs.iter().any(|dir| dir.join(name).is_file());
    let missing: Vec<_> = PLUGINS.iter().filter(|name| !is_there(name)).copied().collect();
    if missing.is_empty() {
        return Finding::ok(PLUGINS.join(", "));
    }
    let dirs: Vec<_> = dirs.iter().map(|dir| dir.display().to_string()).collect();
    Finding::failed(format!("no {} in {}", missing.join(", "), dirs.join(", ")), SETUP)
}
