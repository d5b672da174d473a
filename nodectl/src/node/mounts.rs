//! A node's mounts, in a mount namespace of its machine's own, with which they vanish.

use std::ffi::OsString;
use std::path::Path;

use foundation::files::FileError;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use super::Node;

/// Why a mount namespace or a mount could not be made.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// unshare(2) failed.
    #[error("cannot make a mount namespace; are you root, with CAP_SYS_ADMIN?")]
    Unshare(#[source] nix::Error),
    /// mount(2) failed.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Enter a new mount namespace: the host does not see what we mount, and we do not keep busy what the host unmounts.
pub(crate) fn enter_private_namespace() -> Result<(), MountError> {
    unshare(CloneFlags::CLONE_NEWNS).map_err(MountError::Unshare)?;
    let slave = mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_SLAVE, None::<&str>);
    slave.map_err(FileError::of("make private the mounts of", Path::new("/")))?;
    Ok(())
}

/// Mount the node's root.
pub(crate) fn mount_root(node: &Node) -> Result<(), FileError> {
    let dir = node.dir();
    mount_overlay(&node.rootfs(), &dir.join("upper"), &dir.join("work"), &node.root_dir())
}

/// Mount on `root` an overlay of `lower`, with writes in `upper` (overlayfs.rst).
pub(crate) fn mount_overlay(lower: &Path, upper: &Path, work: &Path, root: &Path) -> Result<(), FileError> {
    let mut options = OsString::new();
    for (key, path) in [("lowerdir=", lower), (",upperdir=", upper), (",workdir=", work)] {
        options.push(key);
        options.push(path);
    }
    let mounted = mount(Some("overlay"), root, Some("overlay"), MsFlags::empty(), Some(options.as_os_str()));
    mounted.map_err(FileError::of("mount the overlay on", root))
}
