//! A cgroup for each node, below the caller's own, in every hierarchy that the host has or could have (cgroups(7)).
//!
//! systemd inside a node wants every version 1 controller. Hierarchies that the host has not mounted are mounted in a
//! private mount namespace: call everything here that says so from one.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::mount::{MsFlags, mount};

use crate::files::FileError;

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

/// Controllers that the kernel has, by /proc/cgroups: `NAME HIERARCHY CGROUPS ENABLED` a line.
fn parse_controllers(text: &str) -> Vec<String> {
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

/// Make a private place under `scratch` where every hierarchy of this host can be reached, and say where each is.
///
/// Must run in a private mount namespace.
///
/// # Errors
/// When a hierarchy cannot be mounted.
pub fn hierarchies(scratch: &Path) -> Result<BTreeMap<String, PathBuf>, FileError> {
    let read = |path: &'static str| fs::read_to_string(path).map_err(FileError::of("read", Path::new(path)));
    let mut mounts = parse_mounts(&read("/proc/self/mountinfo")?);
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

/// Plan the cgroup `below` the caller's own in every hierarchy of `mounts`.
///
/// # Errors
/// When /proc/self/cgroup cannot be read.
pub fn plan(mounts: &BTreeMap<String, PathBuf>, below: &Path) -> Result<Cgroups, FileError> {
    // Read whole before moving: it changes under the reader.
    let path = Path::new("/proc/self/cgroup");
    let own = parse_own(&fs::read_to_string(path).map_err(FileError::of("read", path))?);
    let of = |hierarchy: &String| {
        // Hierarchies with several controllers are named by all of them: `cpu,cpuacct`.
        let found = own.iter().find(|(names, _)| names.split(',').any(|name| name == hierarchy));
        found.map_or_else(|| Path::new("/").to_owned(), |(_, path)| path.clone())
    };
    let known = |name: &&String| name.is_empty() || name.starts_with("name=") || own_or_controller(&own, name);
    Ok(mounts.keys().filter(known).map(|name| (name.clone(), of(name).join(below))).collect())
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

/// Make the cgroups and move the calling process into them.
///
/// # Errors
/// When the kernel refuses.
pub fn enter(mounts: &BTreeMap<String, PathBuf>, cgroups: &Cgroups) -> Result<(), FileError> {
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
        let procs = dir.join("cgroup.procs");
        fs::write(&procs, "0").map_err(FileError::of("join", &procs))?;
    }
    Ok(())
}

/// Make a cgroup and those above it. A new version 1 cpuset is empty, and no process may join it until it has both
/// CPUs and memory nodes (cpuset(7)): copy them from above.
fn make(mount_point: &Path, dir: &Path) -> Result<(), FileError> {
    if dir == mount_point {
        return Ok(());
    }
    let parent = dir.parent().unwrap_or(mount_point);
    make(mount_point, parent)?;
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
    fn a_record_does_not_name_cgroups_of_others() {
        let mounts = parse_mounts(MOUNTS);
        let ours = directory(&mounts, "memory", Path::new("/api/kubeadm-systemd/dev/node1"));
        assert_eq!(ours.as_deref(), Some(Path::new("/sys/fs/cgroup/memory/api/kubeadm-systemd/dev/node1")));
        for other in ["/", "/api", "/kubeadm-systemd/../api", "../kubeadm-systemd"] {
            assert_eq!(directory(&mounts, "memory", Path::new(other)), None, "{other}");
        }
    }

    #[test]
    fn disabled_controllers_are_not_wanted() {
        let text = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t3\t1\t1\nrdma\t0\t1\t0\n";
        assert_eq!(parse_controllers(text), ["cpuset"]);
    }

    #[test]
    fn own_cgroups_are_parsed_with_colons_in_their_paths() {
        let own = parse_own("4:memory:/a:b\n");
        assert_eq!(own["memory"], Path::new("/a:b"));
        assert_eq!(parse_own(OWN)[""], Path::new("/"));
    }
}
