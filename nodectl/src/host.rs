//! What kind of host this is: who supervises its nodes, and which cgroup hierarchies they live in.

pub mod etc_hosts;
pub mod modules;
pub mod sysctl;

use std::path::Path;

use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};

/// The two questions that decide how a node is run. Both are asked anew at every start: a host may be booted otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host {
    /// Who starts a node's machine and sees it end.
    pub supervisor: Supervisor,
    /// Which cgroup hierarchies there are.
    pub cgroups: Hierarchy,
}

/// Who starts a node's machine and sees it end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supervisor {
    /// systemd is PID 1: each node is a transient unit, registered with systemd-machined.
    Systemd,
    /// Containers, CI jobs: each node is a daemon of ours.
    Nobody,
}

/// Which cgroup hierarchies there are (cgroups(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hierarchy {
    /// Version 2 alone.
    Unified,
    /// Version 1, with or without a version 2 hierarchy beside it that has no controllers.
    Legacy,
}

impl Host {
    /// Look.
    pub fn detect() -> Self {
        // sd_booted(3)
        let booted = Path::new("/run/systemd/system").is_dir();
        let unified = statfs("/sys/fs/cgroup").is_ok_and(|fs| fs.filesystem_type() == CGROUP2_SUPER_MAGIC);
        Host {
            supervisor: if booted { Supervisor::Systemd } else { Supervisor::Nobody },
            cgroups: if unified { Hierarchy::Unified } else { Hierarchy::Legacy },
        }
    }
}
