//! Where the cgroup hierarchies of this host are mounted.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use foundation::files::FileError;
use nix::mount::{MsFlags, mount};
use procfs::process::{MountInfo, Process};
use procfs::{CGroupControllers, ProcError};

use crate::host::Hierarchy;

/// The controllers that the kernel has and that are not disabled.
pub(crate) fn controllers() -> Result<Vec<String>, FileError> {
    procfs::cgroups().map(enabled).map_err(not_read("/proc/cgroups"))
}

fn enabled(controllers: CGroupControllers) -> Vec<String> {
    let enabled = controllers.0.into_iter().filter(|controller| controller.enabled);
    enabled.map(|controller| controller.name).collect()
}

/// For `map_err`: that a file of /proc could not be read.
pub(super) fn not_read(path: &'static str) -> impl FnOnce(ProcError) -> FileError {
    move |error| FileError::of("read", Path::new(path))(io::Error::other(error))
}

/// Where each hierarchy is mounted.
fn mount_points(mounts: impl IntoIterator<Item = MountInfo>) -> BTreeMap<String, PathBuf> {
    let mut points = BTreeMap::new();
    // In a bind mount of a part of a hierarchy, paths are not the kernel's.
    for mount in mounts.into_iter().filter(|mount| mount.root == "/") {
        match mount.fs_type.as_str() {
            "cgroup2" => drop(points.insert(String::new(), mount.mount_point)),
            "cgroup" => {
                // `rw,cpu,cpuacct` or `rw,xattr,name=systemd`.
                for (option, value) in mount.super_options {
                    let name = value.map_or(option.clone(), |value| format!("{option}={value}"));
                    points.insert(name, mount.mount_point.clone());
                }
            }
            _ => {}
        }
    }
    points
}

/// Find each hierarchy. Those of version 1 that the host has not mounted are mounted below `scratch`: the caller is in a
/// private mount namespace.
///
/// # Errors
/// A hierarchy cannot be mounted.
pub(crate) fn reach(kind: Hierarchy, scratch: &Path) -> Result<BTreeMap<String, PathBuf>, FileError> {
    let mounts = Process::myself().and_then(|process| process.mountinfo());
    let mut mounts = mount_points(mounts.map_err(not_read("/proc/self/mountinfo"))?);
    if kind == Hierarchy::Unified {
        mounts.retain(|name, _| name.is_empty());
        return Ok(mounts);
    }
    let mut wanted = controllers()?;
    wanted.push("name=systemd".to_owned());
    wanted.retain(|name| !mounts.contains_key(name));

    fs::create_dir_all(scratch).map_err(FileError::of("create", scratch))?;
    // On a new tmpfs: a directory made in the host's /sys/fs/cgroup would stay there.
    mount(Some("tmpfs"), scratch, Some("tmpfs"), MsFlags::empty(), Some("mode=755"))
        .map_err(FileError::of("mount a tmpfs on", scratch))?;
    for name in wanted {
        let point = scratch.join(&name);
        fs::create_dir(&point).map_err(FileError::of("create", &point))?;
        let data = if name.starts_with("name=") { format!("none,{name}") } else { name.clone() };
        let mounted = mount(Some("cgroup"), &point, Some("cgroup"), MsFlags::empty(), Some(data.as_str()));
        match mounted {
            Ok(()) => drop(mounts.insert(name, point)),
            // A controller of version 2 cannot be mounted as version 1 too; systemd runs without it.
            Err(nix::Error::EBUSY | nix::Error::EINVAL) => {}
            Err(error) => return Err(FileError::of("mount a cgroup hierarchy on", &point)(error)),
        }
    }
    Ok(mounts)
}

#[cfg(test)]
mod tests {
    use procfs::{FromBufRead, process::MountInfos};

    use super::*;

    const MOUNTS: &str = "30 24 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
        31 24 0:27 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
        32 24 0:28 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
        33 24 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
        34 24 0:26 /api /elsewhere rw - cgroup cgroup rw,memory\n";

    #[test]
    fn mounts_are_found_by_hierarchy() {
        let mounts = mount_points(MountInfos::from_buf_read(MOUNTS.as_bytes()).expect("read"));
        assert_eq!(mounts["memory"], Path::new("/sys/fs/cgroup/memory"));
        assert_eq!(mounts["cpuacct"], Path::new("/sys/fs/cgroup/cpu,cpuacct"));
        assert_eq!(mounts[""], Path::new("/sys/fs/cgroup/unified"));
        assert_eq!(mounts["name=systemd"], Path::new("/sys/fs/cgroup/systemd"));
    }

    #[test]
    fn disabled_controllers_are_not_wanted() {
        let text = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t3\t1\t1\nrdma\t0\t1\t0\n";
        assert_eq!(enabled(CGroupControllers::from_buf_read(text.as_bytes()).expect("read")), ["cpuset"]);
    }
}
