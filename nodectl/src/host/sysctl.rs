//! Sysctls of the host that kubelet and the pod network need. Old values are saved, printed and restored.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use foundation::files::{self, FileError};
use foundation::lock::Lock;
use foundation::state::StateDirs;

/// How a value must compare with the host's.
enum Want {
    Exactly(u64),
    AtLeast(u64),
}

/// kubelet sets the first three itself (pkg/kubelet/cm, `setupKernelTunables`). They are the host's, so they are set here,
/// where the old values are saved. Three nodes' systemds and containerds need more inotify instances than the default of
/// 128.
const WANTED: [(&str, Want); 6] = [
    ("vm.overcommit_memory", Want::Exactly(1)),
    ("kernel.panic", Want::Exactly(10)),
    ("kernel.panic_on_oops", Want::Exactly(1)),
    ("net.ipv4.ip_forward", Want::Exactly(1)),
    ("fs.inotify.max_user_instances", Want::AtLeast(8192)),
    ("fs.inotify.max_user_watches", Want::AtLeast(524_288)),
];

type Saved = BTreeMap<String, String>;

fn saved_path(dirs: &StateDirs) -> PathBuf {
    dirs.run.join("sysctls.json")
}

/// The file of a sysctl.
pub(crate) fn proc_path(name: &str) -> PathBuf {
    Path::new("/proc/sys").join(name.replace('.', "/"))
}

fn read(name: &str) -> Result<String, FileError> {
    let path = proc_path(name);
    Ok(fs::read_to_string(&path).map_err(FileError::of("read", &path))?.trim().to_owned())
}

fn write(name: &str, value: &str) -> Result<(), FileError> {
    let path = proc_path(name);
    fs::write(&path, value).map_err(FileError::of("write", &path))
}

/// What is not set yet: name, the host's value, and the wanted one.
pub(crate) fn differing() -> Result<Vec<(&'static str, String, u64)>, FileError> {
    let mut differing = Vec::new();
    for (name, want) in &WANTED {
        let old = read(name)?;
        let number = old.parse::<u64>().ok();
        match *want {
            Want::Exactly(value) if number != Some(value) => differing.push((*name, old, value)),
            Want::AtLeast(value) if number.is_none_or(|number| number < value) => differing.push((*name, old, value)),
            _ => {}
        }
    }
    Ok(differing)
}

/// Set what is not set yet; `report` gets a line for each change.
///
/// # Errors
/// /proc/sys is read-only.
pub(super) fn apply(dirs: &StateDirs, mut report: impl FnMut(String)) -> Result<(), FileError> {
    let _lock = Lock::take_patiently(&dirs.lock("sysctls"))?;
    let mut saved: Saved = files::read_json(&saved_path(dirs))?.unwrap_or_default();
    for (name, old, new) in differing()? {
        report(format!("sysctl {name} = {new} (was {old}; put back when the last node is removed)"));
        saved.entry(name.to_owned()).or_insert(old);
        // Before the change: if we are killed in between, restoring changes nothing.
        files::write_json(&saved_path(dirs), &saved)?;
        write(name, &new.to_string())?;
    }
    Ok(())
}

/// Restore what [`apply`] changed; `report` gets a line for each change.
///
/// # Errors
/// /proc/sys is read-only.
pub(crate) fn restore(dirs: &StateDirs, mut report: impl FnMut(String)) -> Result<(), FileError> {
    let _lock = Lock::take_patiently(&dirs.lock("sysctls"))?;
    let path = saved_path(dirs);
    let Some(saved) = files::read_json::<Saved>(&path)? else { return Ok(()) };
    // Only what we set, whatever the file names.
    for (name, old) in saved.iter().filter(|(name, _)| WANTED.iter().any(|(wanted, _)| wanted == name)) {
        write(name, old)?;
        report(format!("sysctl {name} = {old} (put back)"));
    }
    fs::remove_file(&path).map_err(FileError::of("remove", &path))
}
