//! The locks of what containers share, always taken in one order, so that no two processes wait for each other.
//!
//! That order is the container's own lock ([`super::claim`]), the networks' by their names, the lock of the iptables
//! chains, the host's. The built-in network's lock is taken alone.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use foundation::lock::{Lock, LockError, Mode};

use crate::cni::{Attachment, NetworkList};
use crate::dirs::Dirs;
use crate::host::hostport;

/// How long another process may hold a lock: as long as a chain of slow plugins takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// Locks of networks, held until this is dropped.
#[must_use]
pub(crate) struct Held {
    _locks: Vec<Lock>,
}

/// Hold networks for ADD, with others: until then, nobody deletes their bridges, nor the chains for published ports,
/// which were looked for before.
pub(crate) fn share<'n>(
    dirs: &Dirs,
    attachments: impl IntoIterator<Item = (&'n NetworkList, &'n Attachment)>,
) -> Result<Held, LockError> {
    hold(dirs, attachments, Mode::Shared)
}

/// Hold networks alone, while it is decided who deletes their bridges and chains: no container is attached or removed.
pub(crate) fn exclude<'n>(
    dirs: &Dirs,
    attachments: impl IntoIterator<Item = (&'n NetworkList, &'n Attachment)>,
) -> Result<Held, LockError> {
    hold(dirs, attachments, Mode::Exclusive)
}

fn hold<'n>(
    dirs: &Dirs,
    attachments: impl IntoIterator<Item = (&'n NetworkList, &'n Attachment)>,
    mode: Mode,
) -> Result<Held, LockError> {
    let (mut names, mut publishes) = (BTreeSet::new(), false);
    for (list, attachment) in attachments {
        names.insert(&list.name);
        publishes |= hostport::publishes(list, attachment);
    }
    let mut paths: Vec<_> = names.into_iter().map(|name| dirs.network_lock(name)).collect();
    // Alone also means to delete what the host was told of bridges: iptables chains among it.
    paths.extend((publishes || mode == Mode::Exclusive).then(|| dirs.chains_lock()));
    let locks: Result<_, _> = paths.iter().map(|path| Lock::take(path, mode, PATIENCE)).collect();
    Ok(Held { _locks: locks? })
}

/// The lock of one network: shared for ADD, CHECK and DEL, exclusive for GC.
pub(crate) fn network(dirs: &Dirs, name: &str, mode: Mode) -> Result<Lock, LockError> {
    Lock::take(&dirs.network_lock(name), mode, PATIENCE)
}

/// A lock that only one process holds at a time.
pub(crate) fn exclusive(path: &Path) -> Result<Lock, LockError> {
    Lock::take(path, Mode::Exclusive, PATIENCE)
}
