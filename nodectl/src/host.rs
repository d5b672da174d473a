//! What kind of host this is.

use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};

/// Why nodes cannot run here.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// Nodes as units of the host's systemd, in a delegated part of its only cgroup hierarchy, are still to come.
    #[error(
        "this host has cgroup version 2 alone; this version of nodectl runs nodes on hosts with version 1 or both, see CHANGELOG.md"
    )]
    CgroupVersion2,
}

/// Check that nodes can run on this host.
///
/// # Errors
/// When they cannot.
pub fn check() -> Result<(), HostError> {
    let unified = statfs("/sys/fs/cgroup").is_ok_and(|fs| fs.filesystem_type() == CGROUP2_SUPER_MAGIC);
    if unified { Err(HostError::CgroupVersion2) } else { Ok(()) }
}
