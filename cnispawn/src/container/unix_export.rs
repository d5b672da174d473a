//! The directory for a container's sockets, which systemd-nspawn leaves mounted on the host when it is killed.

use std::fs;
use std::path::Path;

use foundation::files::FileError;
use foundation::name::MachineName;
use nix::mount::{MntFlags, umount2};

/// Where systemd-nspawn has those of its containers (seen with 257 and 262). It refuses to start a container for which
/// one is mounted there already.
const DIR: &str = "/run/systemd/nspawn";

/// Unmount and remove the one of a container that has ended; usually systemd-nspawn has.
///
/// # Errors
/// When the kernel refuses.
pub(super) fn remove(name: &MachineName) -> Result<(), FileError> {
    let dir = Path::new(DIR);
    unmount(&dir.join("unix-export").join(name.as_str()))?;
    unmount(&dir.join(name.as_str()).join("unix-export"))
}

fn unmount(path: &Path) -> Result<(), FileError> {
    match umount2(path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
        Ok(()) => fs::remove_dir(path).map_err(FileError::of("remove", path)),
        // Not there, or not mounted here: nothing of ours.
        Err(nix::Error::ENOENT | nix::Error::EINVAL) => Ok(()),
        Err(error) => Err(FileError::of("unmount", path)(error)),
    }
}
