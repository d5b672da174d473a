//! A cgroup for each node, in every hierarchy that the host has or could have (cgroups(7)), where no systemd makes one.
//!
//! Below the caller's own in version 1: systemd inside a node wants every controller of it. Hierarchies that the host has
//! not mounted are mounted in a private mount namespace: call everything here from one.

mod controllers;
mod hierarchies;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::thread;
use std::time::Duration;

pub use self::controllers::ControllersError;
pub use self::hierarchies::{parse_controllers, reach};
use crate::host::Hierarchy;
use crate::node::limits::Limits;
use foundation::files::FileError;

/// Key: the hierarchy as /proc/PID/cgroup names it (`memory`, `name=systemd`, `` for version 2). Value: a cgroup in it.
pub type Cgroups = BTreeMap<String, PathBuf>;

/// The directory of our cgroups, in that of the caller's.
pub const OURS: &str = "kubeadm-systemd";

/// Parse /proc/PID/cgroup: `ID:HIERARCHY:PATH` a line.
fn parse_own(text: &str) -> Cgroups {
    let line = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1);
        Some((fields.next()?.to_owned(), PathBuf::from(fields.next()?)))
    };
    text.lines().filter_map(line).collect()
}

/// Plan the cgroup `below` the caller's own in every hierarchy of `mounts`; in version 2 alone, below the nearest one
/// above that can hand on controllers.
///
/// # Errors
/// When /proc/self/cgroup cannot be read, or nothing can hand on controllers.
pub fn plan(kind: Hierarchy, mounts: &BTreeMap<String, PathBuf>, below: &Path) -> Result<Cgroups, ControllersError> {
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

fn own() -> Result<Cgroups, FileError> {
    // Read whole before moving: it changes under the reader.
    let path = Path::new("/proc/self/cgroup");
    Ok(parse_own(&fs::read_to_string(path).map_err(FileError::of("read", path))?))
}

/// Version 2: the cgroup that can hand on controllers to the nodes' below it.
///
/// # Errors
/// When there is none.
pub fn controllers_for_nodes() -> Result<PathBuf, ControllersError> {
    let own = own()?;
    controllers::parent(Path::new("/sys/fs/cgroup"), own.get("").map_or(Path::new("/"), PathBuf::as_path))
}

/// Mount options hold more than controllers (`rw`, `xattr`): keep what the kernel names in /proc/self/cgroup.
fn own_or_controller(own: &Cgroups, name: &str) -> bool {
    own.keys().any(|names| names.split(',').any(|n| n == name))
}

/// Where a cgroup of ours is. One that is not, or leads out of its hierarchy, is nowhere: a machine's record may be damaged.
fn directory(mounts: &BTreeMap<String, PathBuf>, hierarchy: &str, cgroup: &Path) -> Option<PathBuf> {
    let is_ours = cgroup.components().any(|part| part.as_os_str() == OURS);
    if !is_ours || cgroup.components().any(|part| part == Component::ParentDir) {
        return None;
    }
    Some(mounts.get(hierarchy)?.join(cgroup.strip_prefix("/").unwrap_or(cgroup)))
}

/// Make the cgroups with their limits and move the calling process into them.
///
/// # Errors
/// When the kernel refuses.
pub fn enter(
    kind: Hierarchy,
    mounts: &BTreeMap<String, PathBuf>,
    cgroups: &Cgroups,
    limits: &Limits,
) -> Result<(), FileError> {
    for (hierarchy, cgroup) in cgroups {
        let Some(dir) = directory(mounts, hierarchy, cgroup) else { continue };
        // The last node of another cluster may take the directory above away while we make ours.
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

/// Make a cgroup and those above it. A version 2 cgroup has the controllers that the one above hands on. A new version 1
/// cpuset is empty, and no process may join it until it has both CPUs and memory nodes (cpuset(7)): copy them from above.
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
    // Of one that is there already, too: another node's start may have made it just now, and be about to fill it.
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

/// Remove the cgroups and all below them, whose processes have been killed, then those above that `levels` says and
/// that are empty. Must run in a private mount namespace.
///
/// # Errors
/// When one stays busy.
pub fn remove(mounts: &BTreeMap<String, PathBuf>, cgroups: &Cgroups, levels: usize) -> Result<(), FileError> {
    for (hierarchy, cgroup) in cgroups {
        let Some(dir) = directory(mounts, hierarchy, cgroup) else { continue };
        remove_tree(&dir)?;
        // Fails while other nodes are in it, and then it should stay.
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
    // A process that has just been killed holds its cgroup until it is reaped.
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
    use super::*;

    const OWN: &str = "9:name=systemd:/\n4:memory:/api/x\n3:cpu,cpuacct:/\n0::/\n";
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
    fn own_cgroups_are_parsed_with_colons_in_their_paths() {
        let own = parse_own("4:memory:/a:b\n");
        assert_eq!(own["memory"], Path::new("/a:b"));
        assert_eq!(parse_own(OWN)[""], Path::new("/"));
    }
}
