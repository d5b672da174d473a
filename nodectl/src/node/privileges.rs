//! What root in a node may do: what kubelet, containerd and CNI plugins need, and no more.
//!
//! Not a security boundary, as CAP_SYS_ADMIN is included. It protects the host's clock, modules and sysctls from mistakes.

/// Capabilities (capabilities(7)) beside those that systemd-nspawn(1) grants by itself, and why.
pub(crate) const ADDED: [(&str, &str); 6] = [
    ("CAP_NET_ADMIN", "pods' links, addresses, routes and packet filters, in the node's own network namespace"),
    ("CAP_SYSLOG", "kubelet's OOM watcher reads /dev/kmsg, which kernel.dmesg_restrict=1 closes"),
    ("CAP_BPF", "runc's device filters of cgroup version 2; pod networks in eBPF"),
    ("CAP_PERFMON", "pod networks in eBPF"),
    ("CAP_IPC_LOCK", "pods that lock memory"),
    ("CAP_CHECKPOINT_RESTORE", "kubelet's checkpoint API"),
];

/// Capabilities that systemd-nspawn grants and nothing in a node uses, and why.
pub(crate) const DROPPED: [(&str, &str); 4] = [
    ("CAP_AUDIT_CONTROL", "the audit rules are the host's"),
    ("CAP_LEASE", "no file server runs in a node"),
    ("CAP_NET_BROADCAST", "the kernel does not ask for it"),
    ("CAP_SYS_TTY_CONFIG", "a node has no virtual terminal"),
];

/// System calls beside those that systemd-nspawn permits, and why.
pub(crate) const SYSTEM_CALLS: [(&str, &str); 2] = [
    ("@keyring", "runc makes a session keyring for each container"),
    ("bpf", "runc's device filters; pod networks in eBPF"),
];

/// The writable part of /proc/sys and /sys (systemd's ENVIRONMENT.md, `SYSTEMD_NSPAWN_API_VFS_WRITABLE`): /proc/sys/net,
/// which is the node's own. nodectl sets on the host what kubelet needs of the rest.
pub(crate) const WRITABLE: (&str, &str) = ("SYSTEMD_NSPAWN_API_VFS_WRITABLE", "network");

/// The names alone, as systemd-nspawn takes them.
pub(crate) fn names(table: &[(&str, &str)], separator: &str) -> String {
    table.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_of_the_architecture_are_these() {
        let document = include_str!("../../../docs/architecture.md");
        for (name, what) in ADDED.iter().chain(&DROPPED).chain(&SYSTEM_CALLS) {
            assert!(document.contains(&format!("| {name} | {what} |")), "{name}");
        }
    }
}
