//! The attachment that `add`, `check` and `del` are asked about: as cnitool identifies it, so that either tool can
//! delete what the other has added.

use std::path::{Component, Path, PathBuf};

use foundation::files::FileError;
use foundation::lock::LockError;
use sha2::{Digest, Sha512};

use crate::cli::AttachArgs;
use crate::cni::attachment::AttachmentError;
use crate::cni::chain::ChainError;
use crate::cni::{Attachment, NetworkList};
use crate::container::networks::{self, NetworksError};
use crate::dirs::Dirs;

/// Why the command line describes no attachment.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArgumentsError {
    #[error(transparent)]
    Attachment(#[from] AttachmentError),
    #[error(transparent)]
    Networks(#[from] NetworksError),
    #[error(transparent)]
    File(#[from] FileError),
}

/// Why CHECK or DEL failed. After a failed DEL, the plugins that did not fail have done their part.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OperationError {
    #[error(transparent)]
    Arguments(#[from] ArgumentsError),
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Lock(#[from] LockError),
}

impl ArgumentsError {
    /// Whether the command line cannot work as it is written.
    pub(crate) fn is_usage(&self) -> bool {
        matches!(self, ArgumentsError::Attachment(_))
    }
}

/// The network and the attachment that the command line describes.
pub(crate) fn described(
    args: &AttachArgs,
    conf_dir: &Path,
    dirs: &Dirs,
) -> Result<(NetworkList, Attachment), ArgumentsError> {
    let netns = clean(&std::path::absolute(&args.netns).map_err(FileError::of("resolve", &args.netns))?);
    let attachment = args.attachment.attachment(container_id(&netns), netns)?;
    Ok((networks::find(conf_dir, Some(&args.network), dirs)?, attachment))
}

/// An absolute path without `.`, `..` and needless slashes, as Go's filepath.Clean makes it: the container id is made
/// of its text.
fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::ParentDir => drop(cleaned.pop()),
            Component::Normal(part) => cleaned.push(part),
            _ => {}
        }
    }
    cleaned
}

/// cnitool's container id of a network namespace.
fn container_id(netns: &Path) -> String {
    let hash = Sha512::digest(netns.as_os_str().as_encoded_bytes());
    let hex: String = hash[..10].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("cnitool-{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_namespace_has_one_name() {
        for path in ["/run/netns/mine", "//run/netns/mine", "/run/netns/mine/", "/run/./netns/../netns/mine"] {
            assert_eq!(clean(Path::new(path)), Path::new("/run/netns/mine"), "{path}");
        }
        assert_eq!(clean(Path::new("/../..")), Path::new("/"));
    }

    #[test]
    fn the_container_id_is_cnitools() {
        // printf /var/run/netns/testing | sha512sum
        assert_eq!(container_id(Path::new("/var/run/netns/testing")), "cnitool-77383ca0a0715733ca6f");
    }
}
