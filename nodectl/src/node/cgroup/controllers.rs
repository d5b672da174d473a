//! Version 2: enable the controllers that kubelet needs, in the nearest cgroup above that can.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use foundation::files::FileError;

/// Without one of these kubelet does not start (kubernetes.io, "About cgroup v2").
const NEEDED: [&str; 4] = ["cpu", "cpuset", "memory", "pids"];

/// Enabled too, where the kernel has them.
const WANTED: [&str; 2] = ["io", "hugetlb"];

/// Why no cgroup can have the controllers.
#[derive(Debug, thiserror::Error)]
pub enum ControllersError {
    /// The kernel lacks some, or our container was started without them.
    #[error(
        "the cgroup version 2 controllers {} are missing in {}; start the container or boot the host with them",
        missing.join(", "), root.display()
    )]
    Missing {
        /// Those.
        missing: Vec<&'static str>,
        /// Where they should be.
        root: PathBuf,
    },
    /// cgroups(7), "no internal processes" rule: a cgroup with processes gives its children no controllers.
    #[error(
        "{} has processes in it and so gives the nodes' cgroups no controllers; move them into one below: \
         `mkdir {0}/init; for pid in $(cat {0}/cgroup.procs); do echo $pid >{0}/init/cgroup.procs; done`", root.display()
    )]
    Busy {
        /// The uppermost of them.
        root: PathBuf,
    },
    /// A file of a cgroup could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

fn words(path: &Path) -> Result<Vec<String>, FileError> {
    let text = fs::read_to_string(path).map_err(FileError::of("read", path))?;
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

/// The nearest cgroup, from `own` upwards, whose children have the controllers or can have them. `own` has processes, so it
/// qualifies only as the hierarchy's root.
///
/// # Errors
/// No cgroup qualifies.
pub(super) fn parent(mount_point: &Path, own: &Path) -> Result<PathBuf, ControllersError> {
    let available = words(&mount_point.join("cgroup.controllers"))?;
    let has = |name: &&'static str| available.iter().any(|word| word == name);
    let missing: Vec<_> = NEEDED.into_iter().filter(|name| !has(name)).collect();
    if !missing.is_empty() {
        return Err(ControllersError::Missing { missing, root: mount_point.to_owned() });
    }
    let dir = |cgroup: &Path| mount_point.join(cgroup.strip_prefix("/").unwrap_or(cgroup));
    for cgroup in own.ancestors() {
        if can_enable(&dir(cgroup))? {
            return Ok(cgroup.to_owned());
        }
    }
    Err(ControllersError::Busy { root: mount_point.to_owned() })
}

/// Whether the children of the cgroup at `dir` have the controllers, or can have them: only the hierarchy's own root,
/// which alone has no cgroup.type, may have processes beside such children.
fn can_enable(dir: &Path) -> Result<bool, FileError> {
    let has_all =
        |file: &str| words(&dir.join(file)).map(|given| NEEDED.iter().all(|name| given.iter().any(|g| g == name)));
    if has_all("cgroup.subtree_control")? {
        return Ok(true);
    }
    let free = !dir.join("cgroup.type").exists() || words(&dir.join("cgroup.procs"))?.is_empty();
    Ok(free && has_all("cgroup.controllers")?)
}

/// Enable the controllers for the children of the cgroup at `dir`; false when it cannot.
pub(super) fn enable(dir: &Path) -> Result<bool, FileError> {
    let own = words(&dir.join("cgroup.controllers"))?;
    let path = dir.join("cgroup.subtree_control");
    let given = words(&path)?;
    for name in NEEDED.iter().chain(&WANTED) {
        if given.iter().any(|word| word == name) {
            continue;
        }
        let needed = NEEDED.contains(name);
        match own.iter().any(|word| word == name).then(|| fs::write(&path, format!("+{name}"))) {
            Some(Ok(())) => {}
            Some(Err(error)) if needed && error.kind() != io::ErrorKind::ResourceBusy => {
                return Err(FileError::of("write", &path)(error));
            }
            // The kernel lacks it, or the cgroup is busy.
            _ if needed => return Ok(false),
            _ => {}
        }
    }
    Ok(true)
}
