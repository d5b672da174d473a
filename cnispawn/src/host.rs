//! What else runs on the host and would cut a network off, or open it to others: NetworkManager and firewalls.
//!
//! All of it is by bridge, so that containers of other state directories are not touched. Bridges that were there before
//! their network's first container are somebody else's, and left alone.

pub mod bridge;
mod dbus;
mod firewalld;
mod forward;
pub mod hostport;
pub mod iptables;
mod isolation;
pub mod link;
pub mod netns;
mod network_manager;
mod work;

use std::collections::BTreeSet;
use std::io;

use foundation::files::FileError;
use foundation::lock::{Lock, LockError, Mode};
use foundation::name::MachineName;

use self::bridge::Bridge;
use self::work::{persist, together};
use crate::cni::NetworkList;
use crate::cni::conf::ConfError;
use crate::container::heal::LOCKED;
use crate::container::record::Record;
use crate::dirs::Dirs;

/// Why the host was not told.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The name would mean something else to NetworkManager or a firewall: iptables takes `br+` for all that begin so.
    #[error("firewalls cannot be told of a bridge named {bridge:?}; use letters, digits, and . _ - inside")]
    Name {
        /// The bridge.
        bridge: String,
    },
    /// A program refused.
    #[error("cannot {action} {}", bridges.join(", "))]
    Refused {
        /// What it was to do to the bridges.
        action: &'static str,
        /// The bridges.
        bridges: Vec<String>,
        /// Why not.
        source: io::Error,
    },
    /// The record's configuration is not one.
    #[error(transparent)]
    Conf(#[from] ConfError),
    /// The lock was not given back.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The records could not be read.
    #[error(transparent)]
    File(#[from] FileError),
}

/// What is to be done to bridges, and what does it.
type Step = (&'static str, fn(&[Bridge]) -> io::Result<()>);

const ADMISSION: [Step; 4] = [
    ("keep NetworkManager from the bridge", network_manager::leave_alone),
    ("keep other hosts from the bridge", isolation::close),
    ("have iptables forward for the bridge", forward::open),
    ("have firewalld trust the bridge", firewalld::trust),
];

const DISMISSAL: [Step; 4] = [
    ("have firewalld forget the bridge", firewalld::forget),
    ("remove iptables' chain for the bridge", forward::remove),
    ("remove the nftables table for the bridge", isolation::remove),
    ("have NetworkManager forget the bridge", network_manager::forget),
];

/// Tell the host of the bridges that the networks of a container make, or will make. The caller holds the networks, and
/// the record is written.
///
/// # Errors
/// When a program refuses: the container would be cut off, or open to others.
pub fn admit(dirs: &Dirs, record: &Record) -> Result<(), HostError> {
    let mut bridges = Vec::new();
    for (recorded, list) in record.attachments.iter().zip(record.lists()?) {
        bridges.extend(bridge::made_by(&list).filter(|bridge| !recorded.bridges_before.contains(&bridge.name)));
    }
    if let Some(bridge) = bridges.iter().find(|bridge| !is_plain(&bridge.name)) {
        return Err(HostError::Name { bridge: bridge.name.clone() });
    }
    let _lock = Lock::take(&dirs.host_lock(), Mode::Exclusive, LOCKED)?;
    take(ADMISSION, &bridges)
}

/// Take back what the host was told of the bridges of these networks, but for those that containers other than `name`
/// need. The caller holds the networks alone, and has deleted the bridges: until then they must be guarded.
///
/// # Errors
/// When a program refuses. The others have been told.
pub fn dismiss(dirs: &Dirs, name: &MachineName, lists: &[NetworkList]) -> Result<(), HostError> {
    // Another network may make a bridge of the same name; then its lock is not held, but ours here is.
    let _lock = Lock::take(&dirs.host_lock(), Mode::Exclusive, LOCKED)?;
    let others = Record::attachments(dirs, Some(name), |_, _| true)?;
    let others = others.iter().filter_map(|recorded| recorded.list().ok());
    let needed: BTreeSet<_> =
        others.flat_map(|list| bridge::made_by(&list).collect::<Vec<_>>()).map(|b| b.name).collect();
    let bridges = lists.iter().flat_map(bridge::made_by);
    let bridges: Vec<_> = bridges.filter(|bridge| is_plain(&bridge.name) && !needed.contains(&bridge.name)).collect();
    take(DISMISSAL, &bridges)
}

/// Take all steps, at the same time: most of what they take is the kernel's waiting until nobody uses the old rules.
fn take(steps: [Step; 4], bridges: &[Bridge]) -> Result<(), HostError> {
    if bridges.is_empty() {
        return Ok(());
    }
    let refused = |action| {
        move |source| {
            let bridges = bridges.iter().map(|bridge| bridge.name.clone()).collect();
            HostError::Refused { action, bridges, source }
        }
    };
    together(steps, |(action, step)| persist(|| step(bridges)).map_err(refused(action)))
}

/// Whether a name is one and the same for the kernel, for iptables, nft and NetworkManager.
fn is_plain(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.chars().all(|char| char.is_ascii_alphanumeric() || "._-".contains(char))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_mean_something_to_a_firewall_are_refused() {
        assert!(["cni0", "ks-dev", "br_1.5"].into_iter().all(is_plain));
        assert!(!["", "br+", "br*", "-i", ".x", "a b", "a\"b", "a;b", "ü"].into_iter().any(is_plain));
    }
}
