//! cnitool's verbs: `add`, `check` and `del` for a network namespace that somebody else has made.

use std::path::{Component, Path, PathBuf};

use foundation::files::FileError;
use foundation::lock::{Lock, LockError, Mode};
use serde_json::Value;
use sha2::{Digest, Sha512};

use crate::cli::{AttachArgs, AttachmentArgs};
use crate::cni::attachment::{self, Attachment, AttachmentError};
use crate::cni::chain::ChainError;
use crate::cni::{Chain, NetworkList, Plugins};
use crate::container::detach;
use crate::container::heal::LOCKED;
use crate::container::networks::{self, NetworksError};
use crate::dirs::Dirs;
use crate::host::netns::{self, NetnsError};

/// Why a verb failed.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// There is an interface of this name already.
    #[error("network namespace {} has an interface {if_name} already; `cnispawn del` it or choose another --ifname", netns.display())]
    Exists {
        /// The network namespace.
        netns: PathBuf,
        /// The interface.
        if_name: String,
    },
    /// Not a network namespace.
    #[error("{} is not a network namespace; make one with `ip netns add`", path.display())]
    NoNetns {
        /// The path.
        path: PathBuf,
    },
    /// ADD failed, and so did DEL.
    #[error("{add}\nand what it left could not be deleted: {del}")]
    NotRolledBack {
        /// The first failure.
        add: String,
        /// The second.
        del: String,
    },
    /// A parameter is wrong.
    #[error(transparent)]
    Attachment(#[from] AttachmentError),
    /// There is no such network.
    #[error(transparent)]
    Networks(#[from] NetworksError),
    /// A plugin failed.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The namespace could not be entered.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// A lock was not given back.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

/// ADD, undone when it fails. Returns the result.
///
/// # Errors
/// When a plugin fails, or the interface exists.
pub fn add(args: &AttachArgs, conf_dir: &Path, plugins: &Plugins, dirs: &Dirs) -> Result<Value, AttachError> {
    let (list, attachment) = plan(args, conf_dir, dirs)?;
    let cache = dirs.cache();
    let chain = Chain { list: &list, plugins, cache: &cache };
    chain.check_programs()?;
    // Looked for first: the DEL after a failed ADD would delete an interface that is not ours.
    if !netns::exists(&attachment.netns) {
        return Err(AttachError::NoNetns { path: attachment.netns });
    }
    if netns::has_interface(&attachment.netns, &attachment.if_name)? {
        return Err(AttachError::Exists { netns: attachment.netns, if_name: attachment.if_name });
    }
    let _lock = Lock::take(&dirs.network_lock(&list.name), Mode::Shared, LOCKED)?;
    chain.add(&attachment).map_err(|add| match chain.del(&attachment) {
        Ok(()) => add.into(),
        Err(del) => {
            AttachError::NotRolledBack { add: foundation::error_chain(&add), del: foundation::error_chain(&del) }
        }
    })
}

/// CHECK.
///
/// # Errors
/// When a plugin finds a difference.
pub fn check(args: &AttachArgs, conf_dir: &Path, plugins: &Plugins, dirs: &Dirs) -> Result<(), AttachError> {
    let (list, attachment) = plan(args, conf_dir, dirs)?;
    let _lock = Lock::take(&dirs.network_lock(&list.name), Mode::Shared, LOCKED)?;
    Ok(Chain { list: &list, plugins, cache: &dirs.cache() }.check(&attachment)?)
}

/// DEL.
///
/// # Errors
/// When a plugin fails; the others have done theirs.
pub fn del(args: &AttachArgs, conf_dir: &Path, plugins: &Plugins, dirs: &Dirs) -> Result<(), AttachError> {
    let (list, attachment) = plan(args, conf_dir, dirs)?;
    let _lock = Lock::take(&dirs.network_lock(&list.name), Mode::Shared, LOCKED)?;
    let cache = dirs.cache();
    let chain = Chain { list: &list, plugins, cache: &cache };
    let _lock = detach::chains_lock(dirs, &chain)?;
    Ok(chain.del(&attachment)?)
}

fn plan(args: &AttachArgs, conf_dir: &Path, dirs: &Dirs) -> Result<(NetworkList, Attachment), AttachError> {
    let netns = clean(&std::path::absolute(&args.netns).map_err(FileError::of("resolve", &args.netns))?);
    let attachment = attachment(&args.attachment, container_id(&netns), netns)?;
    Ok((networks::find(conf_dir, Some(&args.network), dirs)?, attachment))
}

/// The attachment that the command line describes.
///
/// # Errors
/// When a parameter is wrong.
pub fn attachment(args: &AttachmentArgs, container_id: String, netns: PathBuf) -> Result<Attachment, AttachmentError> {
    attachment::check_if_name(&args.if_name)?;
    Ok(Attachment {
        container_id,
        netns,
        if_name: args.if_name.clone(),
        args: attachment::parse_args(&args.args)?,
        capability_args: attachment::parse_capability_args(&args.capability_args)?,
    })
}

/// An absolute path without `.`, `..` and needless slashes, as Go's filepath.Clean makes it: the container id depends on
/// how it is written.
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

/// cnitool's container id of a network namespace: either tool can delete what the other has added.
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
