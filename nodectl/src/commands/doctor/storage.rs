//! The file system of the state directory.

use std::fs;
use std::path::Path;
use std::thread;

use foundation::files::FileError;
use nix::sys::statvfs::statvfs;

use super::{Finding, Patient};
use crate::node::mounts::{self, MountError};

/// MiB below which a node has no room for its pods' images and etcd.
const ROOM: u64 = 1024;

/// The state directory or, before it exists, the nearest existing directory above it.
fn existing(state: &Path) -> &Path {
    state.ancestors().find(|path| path.exists()).unwrap_or(state)
}

/// Mount an overlay: an upper directory may not be on an overlay, NFS, FAT, ... (overlayfs.rst).
pub(super) fn overlay(patient: &Patient<'_>) -> Finding {
    let state = existing(patient.dirs.root());
    // In the mount namespace of a thread, with which the mount vanishes.
    let tried = thread::scope(|scope| {
        let attempt = scope.spawn(|| try_overlay(state));
        attempt.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    match tried {
        Ok(()) => Finding::ok(format!("works on {}", state.display())),
        Err(error) => Finding::failed(
            foundation::error_chain(&error),
            "name a --state-dir on ext4, XFS or Btrfs (in a container: on a volume)",
        ),
    }
}

fn try_overlay(state: &Path) -> Result<(), MountError> {
    let trial = tempfile::Builder::new().prefix(".overlay-").tempdir_in(state);
    let trial = trial.map_err(FileError::of("create a directory in", state))?;
    let part = |name: &str| -> Result<_, FileError> {
        let path = trial.path().join(name);
        fs::create_dir(&path).map_err(FileError::of("create", &path))?;
        Ok(path)
    };
    mounts::enter_private_namespace()?;
    let root = part("root")?;
    mounts::mount_overlay(&part("lower")?, &part("upper")?, &part("work")?, &root)?;
    nix::mount::umount(&root).map_err(FileError::of("unmount", &root))?;
    Ok(())
}

pub(super) fn space(patient: &Patient<'_>) -> Finding {
    let there = existing(patient.dirs.root());
    let Ok(stat) = statvfs(there) else {
        return Finding::failed(format!("{} cannot be looked at", there.display()), "name another --state-dir");
    };
    let free = stat.blocks_available() * stat.fragment_size() / (1 << 20);
    if free >= ROOM {
        return Finding::ok(format!("{free} MiB free on {}", there.display()));
    }
    Finding::failed(
        format!("{free} MiB free on {}, less than {ROOM}", there.display()),
        format!("rm -r {} (what builds have cached), or name another --state-dir", patient.dirs.cache().display()),
    )
}
