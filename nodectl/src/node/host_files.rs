//! Files that tell a node about its host. They are written before each launch, as the host may have changed, and bound
//! into the node: in the node's own root, a process of the node could have put a link in their place.

use std::fs;
use std::path::{Path, PathBuf};

use foundation::files::{self, FileError};

use super::Node;
use crate::host::{Hierarchy, Host, resolv_conf};

/// A file: its name in the node's directory, its path in the node, and the option of systemd-nspawn that binds it.
struct Bound {
    name: &'static str,
    target: &'static str,
    option: &'static str,
}

/// What the node's containerd must know of the host.
const CONTAINERD: Bound =
    Bound { name: "containerd-host.toml", target: "/etc/containerd/conf.d/10-host.toml", option: "--bind-ro=" };

/// The host's nameservers: a laptop has others in another network. A user may change the file inside the node.
const RESOLV_CONF: Bound = Bound { name: "resolv.conf", target: "/etc/resolv.conf", option: "--bind=" };

/// What was last written there: a file that differs from it was changed inside the node, and is kept.
const WRITTEN: &str = "resolv.conf.written";

/// What binds the files: option, path on the host and path in the node of each.
pub(crate) fn binds(node: &Node) -> [(&'static str, PathBuf, &'static str); 2] {
    [CONTAINERD, RESOLV_CONF].map(|file| (file.option, node.dir().join(file.name), file.target))
}

/// Write the files.
pub(crate) fn write(host: Host, node: &Node) -> Result<(), FileError> {
    update(&node.dir().join(CONTAINERD.name), &containerd(host, may_lower_oom_score()))?;
    write_resolv_conf(&node.dir(), &resolv_conf::of_host()?)
}

fn write_resolv_conf(dir: &Path, content: &str) -> Result<(), FileError> {
    let (file, written) = (dir.join(RESOLV_CONF.name), dir.join(WRITTEN));
    if file.exists() && fs::read(&file).ok() != fs::read(&written).ok() {
        return Ok(());
    }
    // The host is in no network, most likely: without any nameserver, the node's DNS server would not start.
    if file.exists() && !content.lines().any(|line| line.starts_with("nameserver")) {
        return Ok(());
    }
    // In this order: if we are killed in between, the next launch writes the file again.
    let unchanged = fs::read(&file).is_ok_and(|old| old == content.as_bytes());
    if !unchanged {
        files::remove_if_exists(&file)?;
    }
    update(&written, content)?;
    update(&file, content)
}

/// Write a file, unless it has this content.
fn update(path: &Path, content: &str) -> Result<(), FileError> {
    if fs::read(path).is_ok_and(|old| old == content.as_bytes()) {
        return Ok(());
    }
    files::write_durably(path, content, 0o644)
}

/// Whether runc may lower oom_score_adj. Without CAP_SYS_RESOURCE it fails with "can't get final child's PID from pipe".
pub(crate) fn may_lower_oom_score() -> bool {
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

    #[test]
    fn nameservers_follow_the_host_until_they_are_changed_in_the_node() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("resolv.conf");
        let launch = |host: &str| {
            write_resolv_conf(dir.path(), host).expect("written");
            fs::read_to_string(&file).expect("read")
        };
        assert_eq!(launch("nameserver 10.0.0.1\n"), "nameserver 10.0.0.1\n");
        assert_eq!(launch("nameserver 10.0.0.2\n"), "nameserver 10.0.0.2\n");
        assert_eq!(launch("search example.org\n"), "nameserver 10.0.0.2\n", "the host is in no network");
        fs::write(&file, "nameserver 192.0.2.1\n").expect("changed in the node");
        assert_eq!(launch("nameserver 10.0.0.3\n"), "nameserver 192.0.2.1\n");
    }
}
