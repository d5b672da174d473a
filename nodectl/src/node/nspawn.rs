//! The arguments of systemd-nspawn for a node: pure planning.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use nix::sys::utsname::uname;

use super::privileges::{ADDED, DROPPED, SYSTEM_CALLS, names};
use super::{Node, host_files};
use crate::host::{Hierarchy, Host, Supervisor};

/// Directories of a node that are on the real file system: name in the node's directory, path in the node.
/// containerd's snapshots are overlays, whose upper directories may not be on an overlay; etcd and kubelet need fsync and
/// statfs of a real file system.
pub(crate) const BINDS: [(&str, &str); 4] = [
    ("containerd", "/var/lib/containerd"),
    ("kubelet", "/var/lib/kubelet"),
    ("etcd", "/var/lib/etcd"),
    ("pod-logs", "/var/log/pods"),
];

/// Devices of the host that kubelet (/dev/kmsg, for its OOM watcher) and containerd (/dev/fuse) use.
pub(crate) const DEVICES: [&str; 2] = ["/dev/kmsg", "/dev/fuse"];

/// The arguments after those of cnispawn, which names the machine and its network namespace.
pub(crate) fn args(host: Host, node: &Node) -> Vec<OsString> {
    let mut args: Vec<OsString> = Vec::new();
    args.push(joined("--directory=", &node.root_dir()));
    args.push(format!("--hostname={}", node.name).into());
    args.extend(
        [
            "--quiet",
            // We are in the node's cgroups already.
            "--keep-unit",
            "--private-users=no",
            // Files of ours are bound or written instead.
            "--resolv-conf=off",
            "--timezone=off",
            "--link-journal=no",
            "--settings=no",
            // READY=1 is sent when the node's own systemd is ready, not when it has been started.
            "--notify-ready=yes",
        ]
        .map(OsString::from),
    );
    args.push(format!("--capability={}", names(&ADDED, ",")).into());
    args.push(format!("--drop-capability={}", names(&DROPPED, ",")).into());
    args.push(format!("--system-call-filter={}", names(&SYSTEM_CALLS, " ")).into());
    args.push(format!("--register={}", if host.supervisor == Supervisor::Systemd { "yes" } else { "no" }).into());
    for (source, target) in BINDS {
        args.push(bound("--bind=", &node.dir().join(source), target));
    }
    args.extend(host_files::binds(node).map(|(option, source, target)| bound(option, &source, target)));
    for device in DEVICES.iter().filter(|device| Path::new(device).exists()) {
        args.push(format!("--bind={device}").into());
    }
    if let Some((from, to)) = kernel_config_of_host() {
        args.push(bound("--bind-ro=", &from, &to));
    }
    args.push("--boot".into());
    if host.cgroups == Hierarchy::Legacy {
        // systemd 256 and 257 boot on cgroup version 1 only when told so twice on their command line.
        args.extend(["systemd.unified_cgroup_hierarchy=0", "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"].map(OsString::from));
    }
    args
}

/// The kernel's configuration, and where kubeadm's preflight check SystemVerification looks for it: without one it fails.
/// Debian has it in /boot, Fedora beside the modules, others in /proc/config.gz, which a node sees anyway.
fn kernel_config(release: &str, exists: impl Fn(&Path) -> bool) -> Option<(PathBuf, String)> {
    let target = format!("/boot/config-{release}");
    let candidates = [PathBuf::from(&target), Path::new("/lib/modules").join(release).join("config")];
    candidates.into_iter().find(|path| exists(path)).map(|path| (path, target))
}

/// As [`kernel_config`], of this host.
pub(crate) fn kernel_config_of_host() -> Option<(PathBuf, String)> {
    let names = uname().ok()?;
    kernel_config(&names.release().to_string_lossy(), Path::exists)
}

fn bound(option: &str, source: &Path, target: &str) -> OsString {
    let mut arg = joined(option, source);
    arg.push(":");
    arg.push(target);
    arg
}

fn joined(option: &str, path: &Path) -> OsString {
    let mut arg = OsString::from(option);
    arg.push(path);
    arg
}

#[cfg(test)]
mod tests {
    use foundation::state::StateDirs;

    use super::*;
    use crate::node::limits::Limits;

    fn args_on(supervisor: Supervisor, cgroups: Hierarchy) -> Vec<OsString> {
        let node = Node {
            name: "node1".parse().expect("a label"),
            cluster: "dev".parse().expect("a label"),
            role: foundation::record::Role::Worker,
            addresses: vec![[10, 200, 0, 2].into()],
            image: "default".parse().expect("a label"),
            generation: "/state/images/default/0".into(),
            limits: Limits::default(),
            dirs: StateDirs { state: "/state".into(), run: "/run/x".into() },
        };
        args(Host { supervisor, cgroups }, &node)
    }

    #[test]
    fn what_must_not_lie_on_the_overlay_is_bound_from_the_nodes_directory() {
        let args = args_on(Supervisor::Nobody, Hierarchy::Legacy);
        assert_eq!(args[0], "--directory=/state/clusters/dev/nodes/node1/root");
        assert!(args.contains(&"--bind=/state/clusters/dev/nodes/node1/etcd:/var/lib/etcd".into()), "{args:?}");
        let boot = args.iter().position(|arg| arg == "--boot").expect("boots");
        assert!(
            args[boot..].iter().skip(1).all(|arg| !arg.to_string_lossy().starts_with("--")),
            "systemd's own arguments come last"
        );
    }

    #[test]
    fn a_host_with_systemd_has_the_machine_registered_and_version_2_needs_no_arguments_of_systemd() {
        let args = args_on(Supervisor::Systemd, Hierarchy::Unified);
        assert!(args.contains(&"--register=yes".into()), "{args:?}");
        assert_eq!(args.last(), Some(&"--boot".into()));
    }

    #[test]
    fn kubeadm_finds_the_kernels_configuration_wherever_the_distribution_has_it() {
        let found = |there: &str| kernel_config("6.12", |path| path == Path::new(there)).map(|(from, _)| from);
        assert_eq!(found("/boot/config-6.12"), Some("/boot/config-6.12".into()));
        assert_eq!(found("/lib/modules/6.12/config"), Some("/lib/modules/6.12/config".into()));
        assert_eq!(found("/proc/config.gz"), None);
    }
}
