//! The directory for a container's sockets, which systemd-nspawn leaves mounted on the host when it is killed.

use std::fs;
use std::path::Path;

use nix::mount::{MntFlags, umount2};

use crate::files::FileError;
use crate::name::Name;

/// Where newer systemd-nspawn (seen with version 257) mounts it. It refuses to start a container for which one is mounted
/// there already.
const DIR: &str = "/run/systemd/nspawn/unix-export";

/// Unmount and remove the one of a container that has ended; usually systemd-nspawn has.
///
/// # Errors
/// When the kernel refuses.
pub fn remove(name: &Name) -> Result<(), FileError> {
    let path = Path::new(DIR).join(name.as_str());
    match umount2(&path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
        Ok(()) => fs::remove_dir(&path).map_err(FileError::of("remove", &path)),
        // Not there, or not mounted here: nothing of ours.
        Err(nix::Error::ENOENT | nix::Error::EINVAL) => Ok(()),
        Err(error) => Err(FileError::of("unmount", &path)(error)),
    }
}
