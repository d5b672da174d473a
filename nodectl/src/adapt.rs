//! What a node's own files say of the host: written before each start, since the host may be another kind of host by then.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::files::{self, FileError};
use crate::host::{Hierarchy, Host};

const CGROUP_UNIT: &str = "kubeadm-systemd-cgroup.service";

/// Adapt the node whose upper directory this is to `host`.
///
/// # Errors
/// When the file system refuses.
pub fn node(host: Host, upper: &Path) -> Result<(), FileError> {
    let legacy = host.cgroups == Hierarchy::Legacy;
    let system = upper.join("etc/systemd/system");
    files::write(&system.join(CGROUP_UNIT), include_str!("../assets/host/kubeadm-systemd-cgroup.service"), 0o644)?;
    let wants = system.join("sysinit.target.wants");
    fs::create_dir_all(&wants).map_err(FileError::of("create", &wants))?;
    wanted(&wants.join(CGROUP_UNIT), legacy)?;

    // Without CAP_SYS_RESOURCE nobody lowers oom_score_adj: runc would fail with "can't get final child's PID from pipe".
    let restrict = !caps::has_cap(None, caps::CapSet::Bounding, caps::Capability::CAP_SYS_RESOURCE).unwrap_or(true);
    let containerd = include_str!("../assets/host/containerd.toml")
        .replace("@RESTRICT@", &restrict.to_string())
        .replace("@SYSTEMD@", &(!legacy).to_string());
    files::write(&upper.join("etc/containerd/conf.d/10-host.toml"), containerd, 0o644)
}

/// Have the unit that `link` stands for started at boot, or not.
fn wanted(link: &Path, wanted: bool) -> Result<(), FileError> {
    match fs::remove_file(link) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(FileError::of("remove", link)(error)),
        _ => {}
    }
    if !wanted {
        return Ok(());
    }
    symlink(Path::new("..").join(CGROUP_UNIT), link).map_err(FileError::of("link", link))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Supervisor;

    #[test]
    fn a_node_that_moves_to_another_kind_of_host_is_adapted_anew() {
        let upper = tempfile::tempdir().expect("a directory");
        let read = || fs::read_to_string(upper.path().join("etc/containerd/conf.d/10-host.toml")).expect("written");
        let unit = upper.path().join("etc/systemd/system/sysinit.target.wants").join(CGROUP_UNIT);
        for (cgroups, systemd) in [(Hierarchy::Legacy, false), (Hierarchy::Unified, true), (Hierarchy::Legacy, false)] {
            node(Host { supervisor: Supervisor::Nobody, cgroups }, upper.path()).expect("written");
            assert!(read().contains(&format!("SystemdCgroup = {systemd}")), "{}", read());
            assert_eq!(unit.exists(), !systemd);
        }
    }
}
