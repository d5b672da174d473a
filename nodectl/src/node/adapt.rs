//! What a node's containerd is told of the host, before each launch: the host may be another kind of host by then.

use std::path::PathBuf;

use foundation::files::{self, FileError};
use foundation::state::StateDirs;

use crate::host::{Hierarchy, Host};
use crate::node::Node;

/// Where containerd finds it, in the node.
pub const TARGET: &str = "/etc/containerd/conf.d/10-host.toml";

/// The file that is bound there. Not in the node's root: whoever is root in it could have put a link in its place.
pub fn path(dirs: &StateDirs, node: &Node) -> PathBuf {
    node.dir(dirs).join("containerd-host.toml")
}

/// Write it.
///
/// # Errors
/// When the file system refuses.
pub fn write(host: Host, dirs: &StateDirs, node: &Node) -> Result<(), FileError> {
    files::write_durably(&path(dirs, node), containerd(host, may_lower_oom_score()), 0o644)
}

/// Without CAP_SYS_RESOURCE nobody lowers oom_score_adj: runc fails with "can't get final child's PID from pipe".
pub fn may_lower_oom_score() -> bool {
    caps::has_cap(None, caps::CapSet::Bounding, caps::Capability::CAP_SYS_RESOURCE).unwrap_or(false)
}

fn containerd(host: Host, may_lower_oom_score: bool) -> String {
    include_str!("../../assets/containerd-host.toml")
        .replace("@RESTRICT@", &(!may_lower_oom_score).to_string())
        .replace("@SYSTEMD@", &(host.cgroups == Hierarchy::Unified).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Supervisor;

    #[test]
    fn containerd_has_the_cgroup_driver_that_the_hierarchy_allows() {
        let containerd = |cgroups| containerd(Host { supervisor: Supervisor::Nobody, cgroups }, false);
        assert!(containerd(Hierarchy::Legacy).contains("SystemdCgroup = false"));
        assert!(containerd(Hierarchy::Unified).contains("SystemdCgroup = true"));
        assert!(containerd(Hierarchy::Unified).contains("restrict_oom_score_adj = true"));
    }
}
