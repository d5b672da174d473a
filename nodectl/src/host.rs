//! The host: of what kind it is (what supervises nodes, which cgroup hierarchies they are in), and what nodes change of it.

pub mod etc_hosts;
pub mod modules;
mod prepare;
pub mod resolv_conf;
pub(crate) mod sysctl;

use std::path::Path;

pub(crate) use self::prepare::{PrepareError, prepare};
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};

/// What decides how a node is run. Detected at every launch: a host may be booted otherwise the next time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    /// What supervises nodes.
    pub(crate) supervisor: Supervisor,
    /// Which cgroup hierarchies there are.
    pub(crate) cgroups: Hierarchy,
}

/// What supervises nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Supervisor {
    /// systemd is PID 1: each node is a transient unit, registered with systemd-machined.
    Systemd,
    /// Nothing, as in containers and CI jobs: each node is a daemon of ours.
    Nobody,
}

/// Which cgroup hierarchies there are (cgroups(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hierarchy {
    /// Version 2 alone.
    Unified,
    /// Version 1, with or without a version 2 hierarchy beside it that has no controllers.
    Legacy,
}

impl Host {
    /// Detect the host's kind.
    pub(crate) fn detect() -> Self {
        // sd_booted(3)
        let booted = Path::new("/run/systemd/system").is_dir();
        let unified = statfs("/sys/fs/cgroup").is_ok_and(|fs| fs.filesystem_type() == CGROUP2_SUPER_MAGIC);
        Host {
            supervisor: if booted { Supervisor::Systemd } else { Supervisor::Nobody },
            cgroups: if unified { Hierarchy::Unified } else { Hierarchy::Legacy },
        }
    }
}
