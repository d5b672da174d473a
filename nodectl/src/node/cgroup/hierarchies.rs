//! Where the cgroup hierarchies of this host can be reached.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use foundation::files::FileError;
use nix::mount::{MsFlags, mount};

use crate::host::Hierarchy;

/// Controllers that the kernel has, by /proc/cgroups: `NAME HIERARCHY CGROUPS ENABLED` a line.
pub fn parse_controllers(text: &str) -> Vec<String> {
    let rows =
        text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row.get(3) == Some(&"1")).map(|row| row[0].to_owned()).collect()
}

/// Where each hierarchy is mounted, by /proc/self/mountinfo (proc_pid_mountinfo(5)).
fn parse_mounts(mountinfo: &str) -> BTreeMap<String, PathBuf> {
    let mut mounts = BTreeMap::new();
    for line in mountinfo.lines() {
        let Some((fields, rest)) = line.split_once(" - ") else { continue };
        let fields: Vec<_> = fields.split(' ').collect();
        let rest: Vec<_> = rest.split(' ').collect();
        let (Some(root), Some(point), Some(kind)) = (fields.get(3), fields.get(4), rest.first()) else { continue };
        // A bind mount of a part of a hierarchy is of no use: paths would not be the kernel's.
        if *root != "/" {
            continue;
        }
        match *kind {
            "cgroup2" => drop(mounts.insert(String::new(), PathBuf::from(point))),
            "cgroup" => {
                // Super options: `rw,cpu,cpuacct` or `rw,xattr,name=systemd`.
                let options = rest.get(2).copied().unwrap_or_default();
                for option in options.split(',') {
                    mounts.insert(option.to_owned(), PathBuf::from(point));
                }
            }
            _ => {}
        }
    }
    mounts
}

fn read(path: &'static str) -> Result<String, FileError> {
    fs::read_to_string(path).map_err(FileError::of("read", Path::new(path)))
}

/// Say where each hierarchy is. Those of version 1 that the host could have are mounted below `scratch`: call this in a
/// private mount namespace then.
///
/// # Errors
/// When a hierarchy cannot be mounted.
pub fn reach(kind: Hierarchy, scratch: &Path) -> Result<BTreeMap<String, PathBuf>, FileError> {
    let mut mounts = parse_mounts(&read("/proc/self/mountinfo")?);
    if kind == Hierarchy::Unified {
        mounts.retain(|name, _| name.is_empty());
        return Ok(mounts);
    }
    let mut wanted = parse_controllers(&read("/proc/cgroups")?);
    wanted.push("name=systemd".to_owned());
    wanted.retain(|name| !mounts.contains_key(name));

    fs::create_dir_all(scratch).map_err(FileError::of("create", scratch))?;
    // On a tmpfs of our own: a directory made in the host's /sys/fs/cgroup would stay there.
    mount(Some("tmpfs"), scratch, Some("tmpfs"), MsFlags::empty(), Some("mode=755"))
        .map_err(FileError::of("mount a tmpfs on", scratch))?;
    for name in wanted {
        let point = scratch.join(&name);
        fs::create_dir(&point).map_err(FileError::of("create", &point))?;
        let data = if name.starts_with("name=") { format!("none,{name}") } else { name.clone() };
        let mounted = mount(Some("cgroup"), &point, Some("cgroup"), MsFlags::empty(), Some(data.as_str()));
        match mounted {
            Ok(()) => drop(mounts.insert(name, point)),
            // A controller that is bound to version 2 cannot be mounted as version 1 too: systemd does without it.
            Err(nix::Error::EBUSY | nix::Error::EINVAL) => {}
            Err(error) => return Err(FileError::of("mount a cgroup hierarchy on", &point)(error)),
        }
    }
    Ok(mounts)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "30 24 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
        31 24 0:27 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
        32 24 0:28 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
        33 24 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
        34 24 0:26 /api /elsewhere rw - cgroup cgroup rw,memory\n";

    #[test]
    fn mounts_are_found_by_hierarchy() {
        let mounts = parse_mounts(MOUNTS);
        assert_eq!(mounts["memory"], Path::new("/sys/fs/cgroup/memory"));
        assert_eq!(mounts["cpuacct"], Path::new("/sys/fs/cgroup/cpu,cpuacct"));
        assert_eq!(mounts[""], Path::new("/sys/fs/cgroup/unified"));
        assert_eq!(mounts["name=systemd"], Path::new("/sys/fs/cgroup/systemd"));
    }

    #[test]
    fn disabled_controllers_are_not_wanted() {
        let text = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t3\t1\t1\nrdma\t0\t1\t0\n";
        assert_eq!(parse_controllers(text), ["cpuset"]);
    }
}
