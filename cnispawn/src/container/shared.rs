//! What containers share on the host: bridges, the chains for published ports, and what firewalls know of the bridges.
//!
//! The plugins make them with the first container. DEL leaves them, because a plugin cannot know which container is the
//! last; the records can. What was there before the first container is not ours, and stays.

use std::collections::BTreeSet;

use foundation::files::FileError;
use foundation::lock::LockError;
use foundation::name::MachineName;

use super::locks;
use super::record::{Record, Recorded};
use crate::cni::NetworkList;
use crate::cni::conf::ConfError;
use crate::dirs::Dirs;
use crate::host::admission::{self, AdmissionError};
use crate::host::bridge::{self, BridgeError};
use crate::host::hostport::{self, HostportError};

/// Why shared things are not known, not prepared or not removed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SharedError {
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    #[error(transparent)]
    Hostport(#[from] HostportError),
    #[error(transparent)]
    Admission(#[from] AdmissionError),
    #[error(transparent)]
    Conf(#[from] ConfError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    File(#[from] FileError),
}

/// The bridges that were there before this network's first container: those that are there now, except those that
/// containers of the network have made. These stay ours, whichever container ends last. The caller holds the network.
pub(crate) fn bridges_before(dirs: &Dirs, network: &str) -> Result<BTreeSet<String>, SharedError> {
    let mut bridges = bridge::all()?;
    for other in attached(dirs, network, None)? {
        bridges.retain(|bridge| other.bridges_before.contains(bridge));
    }
    Ok(bridges)
}

/// Whether there are chains for published ports that no container of ours has made. The caller holds the chains' lock.
pub(crate) fn hostport_chains_before(dirs: &Dirs) -> Result<bool, SharedError> {
    let ours = publishing(dirs, None)?.iter().any(|recorded| !recorded.hostport_chains_before);
    Ok(!ours && hostport::chains_exist()?)
}

/// Tell NetworkManager and the firewalls of the bridges that the networks of a container make, or will make. The caller
/// holds the networks, and the record is written.
pub(crate) fn admit(dirs: &Dirs, record: &Record) -> Result<(), SharedError> {
    let mut bridges = Vec::new();
    for (recorded, list) in record.attachments.iter().zip(record.lists()?) {
        bridges.extend(bridge::made_by(&list).filter(|bridge| !recorded.bridges_before.contains(&bridge.name)));
    }
    admission::check_names(&bridges)?;
    let _lock = locks::exclusive(&dirs.host_lock())?;
    Ok(admission::admit(&bridges)?)
}

/// Delete what no other container than `record`'s needs. The caller holds the networks alone, until the record is gone:
/// of two containers that end at once, each would else leave the bridge to the other.
pub(crate) fn remove_unused(dirs: &Dirs, record: &Record, lists: &[NetworkList]) -> Result<(), SharedError> {
    let name = Some(&record.name);
    for (list, recorded) in lists.iter().zip(&record.attachments).rev() {
        if attached(dirs, &list.name, name)?.is_empty() {
            bridge::delete(list, &recorded.bridges_before)?;
        }
        let made_chains = !recorded.hostport_chains_before && hostport::publishes(list, &recorded.attachment);
        if made_chains && publishing(dirs, name)?.is_empty() {
            hostport::delete_chains()?;
        }
    }
    dismiss(dirs, &record.name, lists)
}

/// Have NetworkManager and the firewalls forget these networks' bridges, which are deleted: until then they are
/// guarded.
fn dismiss(dirs: &Dirs, name: &MachineName, lists: &[NetworkList]) -> Result<(), SharedError> {
    // Another network may make a bridge of the same name. Its own lock is not held, but this one is.
    let _lock = locks::exclusive(&dirs.host_lock())?;
    let others = Record::attachments(dirs, Some(name), |_, _| true)?;
    let others = others.iter().filter_map(|recorded| recorded.list().ok());
    let needed: BTreeSet<_> =
        others.flat_map(|list| bridge::made_by(&list).collect::<Vec<_>>()).map(|bridge| bridge.name).collect();
    let bridges = lists.iter().flat_map(bridge::made_by).filter(|bridge| !needed.contains(&bridge.name));
    Ok(admission::dismiss(&bridges.collect::<Vec<_>>())?)
}

/// The recorded attachments to a network, except those of the container `except`.
fn attached(dirs: &Dirs, network: &str, except: Option<&MachineName>) -> Result<Vec<Recorded>, FileError> {
    Record::attachments(dirs, except, |list, _| list.name == network)
}

/// The recorded attachments that publish ports, except those of the container `except`.
fn publishing(dirs: &Dirs, except: Option<&MachineName>) -> Result<Vec<Recorded>, FileError> {
    Record::attachments(dirs, except, hostport::publishes)
}
