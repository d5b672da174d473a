//! Where networks come from: the configuration directory, and the one that is built in.

use std::collections::BTreeSet;
use std::path::Path;

use foundation::lock::{Lock, LockError, Mode};

use crate::cni::discovery::{self, DiscoveryError};
use crate::cni::{Attachment, NetworkList};
use crate::container::builtin::{self, BuiltinError};
use crate::container::heal::LOCKED;
use crate::dirs::Dirs;
use crate::host::hostport;

/// Where network configurations are unless somebody says otherwise (libcni, and every runtime).
pub const DEFAULT_CONF_DIR: &str = "/etc/cni/net.d";

/// Why there is no network.
#[derive(Debug, thiserror::Error)]
pub enum NetworksError {
    /// The directory has none of that name.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// The one built in cannot be made.
    #[error(transparent)]
    Builtin(#[from] BuiltinError),
}

/// What is held while containers are attached to networks.
#[must_use]
pub struct InUse {
    _locks: Vec<Lock>,
}

/// Hold networks, so that nobody deletes their bridges, nor the chains for ports that attachments publish, between a
/// look at what was there before and ADD.
///
/// # Errors
/// When somebody else holds one for too long.
pub fn hold<'n>(
    dirs: &Dirs,
    attachments: impl IntoIterator<Item = (&'n NetworkList, &'n Attachment)>,
) -> Result<InUse, LockError> {
    lock(dirs, attachments, Mode::Shared)
}

/// Hold networks alone, so that nobody else is attached to them, or forgotten to be, while it is decided who deletes
/// their bridges and chains.
///
/// # Errors
/// When somebody else holds one for too long.
pub fn hold_alone<'n>(
    dirs: &Dirs,
    attachments: impl IntoIterator<Item = (&'n NetworkList, &'n Attachment)>,
) -> Result<InUse, LockError> {
    lock(dirs, attachments, Mode::Exclusive)
}

fn lock<'n>(
    dirs: &Dirs,
    attachments: impl IntoIterator<Item = (&'n NetworkList, &'n Attachment)>,
    mode: Mode,
) -> Result<InUse, LockError> {
    let (mut names, mut publishes) = (BTreeSet::new(), false);
    for (list, attachment) in attachments {
        names.insert(&list.name);
        publishes |= hostport::publishes(list, attachment);
    }
    // In one order for all, or two that want the same networks may wait for each other for ever.
    let mut paths: Vec<_> = names.into_iter().map(|name| dirs.network_lock(name)).collect();
    // Whoever is alone also removes what the host was told of bridges: iptables chains, too.
    paths.extend((publishes || mode == Mode::Exclusive).then(|| dirs.chains_lock()));
    let locks: Result<_, _> = paths.iter().map(|path| Lock::take(path, mode, LOCKED)).collect();
    Ok(InUse { _locks: locks? })
}

/// The network `name`; without a name the directory's first. Where the directory has none at all, the network is the
/// one that is built in, which also has a name.
///
/// # Errors
/// When there is none of that name, the directory's files are malformed, or a directory that somebody has named is not
/// there.
pub fn find(conf_dir: &Path, name: Option<&str>, dirs: &Dirs) -> Result<NetworkList, NetworksError> {
    match discovery::find(conf_dir, name) {
        Err(_) if name == Some(builtin::NAME) => Ok(builtin::list(dirs)?),
        Err(DiscoveryError::NoDir { .. }) if name.is_none() && conf_dir == Path::new(DEFAULT_CONF_DIR) => {
            Ok(builtin::list(dirs)?)
        }
        Err(error) if name.is_none() && error.is_nothing_there() => Ok(builtin::list(dirs)?),
        found => Ok(found?),
    }
}
