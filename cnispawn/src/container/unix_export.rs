//! The directory for a container's sockets, which a killed systemd-nspawn leaves mounted on the host.

use std::fs;
use std::path::Path;

use foundation::files::FileError;
use foundation::name::MachineName;
use nix::mount::{MntFlags, umount2};

/// Where systemd-nspawn mounts them (seen with 257 and 262). It refuses to start a container whose directory is mounted
/// already.
const DIR: &str = "/run/systemd/nspawn";

/// Unmount and remove the directory of a container that has ended. Usually systemd-nspawn has done so.
pub(super) fn remove(name: &MachineName) -> Result<(), FileError> {
    let dir = Path::new(DIR);
    unmount(&dir.join("unix-export").join(name.as_str()))?;
    unmount(&dir.join(name.as_str()).join("unix-export"))
}

fn unmount(path: &Path) -> Result<(), FileError> {
    match umount2(path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
        Ok(()) => fs::remove_dir(path).map_err(FileError::of("remove", path)),
        // It does not exist, or is not a mount point.
        Err(nix::Error::ENOENT | nix::Error::EINVAL) => Ok(()),
        Err(error) => Err(FileError::of("unmount", path)(error)),
    }
}
