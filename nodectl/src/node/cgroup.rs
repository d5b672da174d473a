//! A cgroup for each node, in every hierarchy that the host has or could have (cgroups(7)), where systemd makes none.
//!
//! On version 1 it is below the caller's own cgroup, and has every controller, as systemd inside a node expects. Call
//! everything here from a private mount namespace, in which hierarchies are mounted that the host lacks.

mod controllers;
mod hierarchies;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::thread;
use std::time::Duration;

pub(crate) use self::controllers::ControllersError;
use self::hierarchies::not_read;
pub(crate) use self::hierarchies::{controllers, reach};
use crate::host::Hierarchy;
use crate::node::limits::Limits;
use foundation::files::FileError;
use procfs::ProcessCGroups;
use procfs::process::Process;

/// Key: the hierarchy as /proc/PID/cgroup names it (`memory`, `name=systemd`, `` for version 2). Value: a cgroup in it.
type Cgroups = BTreeMap<String, PathBuf>;

/// The name of the cgroup of all our cgroups.
pub(crate) const OURS: &str = "kubeadm-systemd";

/// Plan the cgroup `below` the caller's own in every hierarchy of `mounts`; in version 2 alone, below the nearest one
/// above that can enable controllers.
///
/// # Errors
/// No cgroup can enable controllers.
pub(crate) fn plan(
    kind: Hierarchy,
    mounts: &BTreeMap<String, PathBuf>,
    below: &Path,
) -> Result<Cgroups, ControllersError> {
    let own = own()?;
    if kind == Hierarchy::Unified {
        return Ok([(String::new(), controllers_for_nodes()?.join(below))].into());
    }
    let of = |hierarchy: &String| {
        // Hierarchies with several controllers are named by all of them: `cpu,cpuacct`.
        let found = own.iter().find(|(names, _)| names.split(',').any(|name| name == hierarchy));
        found.map_or_else(|| Path::new("/").to_owned(), |(_, path)| path.clone())
    };
    let known = |name: &&String| name.is_empty() || name.starts_with("name=") || own_or_controller(&own, name);
    Ok(mounts.keys().filter(known).map(|name| (name.clone(), of(name).join(below))).collect())
}

/// The calling process's own cgroups.
fn own() -> Result<Cgroups, FileError> {
    let cgroups = Process::myself().and_then(|process| process.cgroups());
    Ok(by_hierarchy(cgroups.map_err(not_read("/proc/self/cgroup"))?))
}

fn by_hierarchy(cgroups: ProcessCGroups) -> Cgroups {
    cgroups.into_iter().map(|cgroup| (cgroup.controllers.join(","), PathBuf::from(cgroup.pathname))).collect()
}

/// Version 2: the cgroup that can enable controllers for the nodes' cgroups below it.
///
/// # Errors
/// No cgroup qualifies: see [`ControllersError`].
pub(crate) fn controllers_for_nodes() -> Result<PathBuf, ControllersError> {
    let own = own()?;
    controllers::parent(Path::new("/sys/fs/cgroup"), own.get("").map_or(Path::new("/"), PathBuf::as_path))
}

/// Whether the kernel names it in /proc/self/cgroup: mount options hold more than controllers (`rw`, `xattr`).
fn own_or_controller(own: &Cgroups, name: &str) -> bool {
    own.keys().any(|names| names.split(',').any(|n| n == name))
}

/// The directory of a cgroup of ours. `None` when it is not ours or leads out of its hierarchy, as in a damaged record.
fn directory(mounts: &BTreeMap<String, PathBuf>, hierarchy: &str, cgroup: &Path) -> Option<PathBuf> {
    let is_ours = cgroup.components().any(|part| part.as_os_str() == OURS);
    if !is_ours || cgroup.components().any(|part| part == Component::ParentDir) {
        return None;
    }
    Some(mounts.get(hierarchy)?.join(cgroup.strip_prefix("/").unwrap_or(cgroup)))
}

/// Make the cgroups, set their limits, and move the calling process into them.
///
/// # Errors
/// The kernel refuses a cgroup or a limit.
pub(crate) fn enter(
    kind: Hierarchy,
    mounts: &BTreeMap<String, PathBuf>,
    cgroups: &Cgroups,
    limits: &Limits,
) -> Result<(), FileError> {
    for (hierarchy, cgroup) in cgroups {
        let Some(dir) = directory(mounts, hierarchy, cgroup) else { continue };
        // A removal of the cluster's last node may remove the directory above at the same time.
        let mut made = make(&mounts[hierarchy], &dir);
        for _ in 0..3 {
            if made.as_ref().is_err_and(FileError::is_not_found) {
                made = make(&mounts[hierarchy], &dir);
            }
        }
        made?;
        for (file, value) in limits.cgroup_files(kind, hierarchy) {
            let file = dir.join(file);
            fs::write(&file, value).map_err(FileError::of("write", &file))?;
        }
        let procs = dir.join("cgroup.procs");
        fs::write(&procs, "0").map_err(FileError::of("join", &procs))?;
    }
    Ok(())
}

/// Make a cgroup and those above it. On version 2, a cgroup has the controllers that its parent enables. On version 1, no
/// process may join a new cpuset before it has CPUs and memory nodes (cpuset(7)), so they are copied from its parent.
fn make(mount_point: &Path, dir: &Path) -> Result<(), FileError> {
    if dir == mount_point {
        return Ok(());
    }
    let parent = dir.parent().unwrap_or(mount_point);
    make(mount_point, parent)?;
    if parent.join("cgroup.subtree_control").exists() {
        controllers::enable(parent)?;
    }
    match fs::create_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made.map_err(FileError::of("create", dir))?,
    }
    // Also in one that exists already: another node's start may have made it and not filled it yet.
    for file in ["cpuset.cpus", "cpuset.mems"].map(|file| dir.join(file)) {
        let read = |path: &Path| fs::read_to_string(path).map_err(FileError::of("read", path));
        let above = parent.join(file.file_name().unwrap_or_default());
        if file.exists() && above.exists() && read(&file)?.trim().is_empty() {
            let above = read(&above)?;
            fs::write(&file, above).map_err(FileError::of("write", &file))?;
        }
    }
    Ok(())
}

/// Remove the cgroups of killed processes and all cgroups below; then as many `levels` above as are empty.
///
/// # Errors
/// A cgroup stays busy.
pub(crate) fn remove(mounts: &BTreeMap<String, PathBuf>, cgroups: &Cgroups, levels: usize) -> Result<(), FileError> {
    for (hierarchy, cgroup) in cgroups {
        let Some(dir) = directory(mounts, hierarchy, cgroup) else { continue };
        remove_tree(&dir)?;
        // Fails while other nodes' cgroups are in it, and then it must stay.
        for above in dir.ancestors().skip(1).take(levels) {
            let _ = fs::remove_dir(above);
        }
    }
    Ok(())
}

fn remove_tree(dir: &Path) -> Result<(), FileError> {
    let children = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(FileError::of("list", dir))?,
    };
    for child in children.flatten().filter(|child| child.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove_tree(&child.path())?;
    }
    // A killed process keeps its cgroup busy until it is reaped.
    for _ in 0..500 {
        match fs::remove_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => thread::sleep(Duration::from_millis(10)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            removed => return removed.map_err(FileError::of("remove", dir)),
        }
    }
    Err(FileError::of("remove", dir)(io::Error::from(io::ErrorKind::ResourceBusy)))
}

#[cfg(test)]
mod tests {
    use procfs::FromBufRead;

    use super::*;

    #[test]
    fn a_record_does_not_name_cgroups_of_others() {
        let mounts: BTreeMap<_, PathBuf> = [("memory".to_owned(), "/sys/fs/cgroup/memory".into())].into();
        let ours = directory(&mounts, "memory", Path::new("/api/kubeadm-systemd/dev/node1"));
        assert_eq!(ours.as_deref(), Some(Path::new("/sys/fs/cgroup/memory/api/kubeadm-systemd/dev/node1")));
        for other in ["/", "/api", "/kubeadm-systemd/../api", "../kubeadm-systemd"] {
            assert_eq!(directory(&mounts, "memory", Path::new(other)), None, "{other}");
        }
    }

    #[test]
    fn own_cgroups_are_named_by_their_hierarchies() {
        let text = "9:name=systemd:/\n4:memory:/a:b\n3:cpu,cpuacct:/\n0::/c\n";
        let own = by_hierarchy(ProcessCGroups::from_buf_read(text.as_bytes()).expect("read"));
        let expected = [("", "/c"), ("cpu,cpuacct", "/"), ("memory", "/a:b"), ("name=systemd", "/")];
        assert_eq!(own, expected.map(|(name, path)| (name.to_owned(), PathBuf::from(path))).into());
    }
}
