//! Know which bridges a network's plugins have made, and delete them with the network's last container.
//!
//! DEL leaves a bridge behind: the plugins cannot know which container is the last. The records can. Both functions
//! want the network's lock held, so that no bridge comes or goes between their looks.

use std::collections::BTreeSet;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use foundation::files::FileError;
use foundation::name::MachineName;
use serde_json::Value;

use crate::cni::NetworkList;
use crate::container::record::{Record, Recorded};
use crate::dirs::Dirs;
use crate::host::link;

/// How long the kernel may take to remove a bridge's last port after its peer's namespace is gone.
const PORTS_GONE: Duration = Duration::from_secs(2);

/// A bridge that the plugins of a network make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bridge {
    /// Its name.
    pub name: String,
    /// Whether the host is the containers' gateway.
    pub gateway: bool,
    /// Whether the containers go out by the host's address: nobody is meant to know theirs.
    pub private: bool,
}

/// Why bridges are not known, or not deleted.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// The host's links could not be read.
    #[error("cannot read the host's links")]
    Links(#[source] io::Error),
    /// It could not be deleted.
    #[error("cannot delete the bridge {bridge}")]
    Delete {
        /// The bridge.
        bridge: String,
        /// Why.
        source: io::Error,
    },
    /// The records could not be read.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The bridges that were there before this network's first container: those that are there now, but for those that
/// containers of the network have made. These stay ours, whichever container ends last.
///
/// # Errors
/// When the links or the records cannot be read.
pub fn before(dirs: &Dirs, network: &str) -> Result<BTreeSet<String>, BridgeError> {
    let mut bridges = link::bridges().map_err(BridgeError::Links)?;
    for other in attachments(dirs, network, None)? {
        bridges.retain(|bridge| other.bridges_before.contains(bridge));
    }
    Ok(bridges)
}

/// Delete the network's bridges that were not there `before`, unless others than `name` are attached to it.
///
/// # Errors
/// When the records cannot be read, or the kernel refuses.
pub fn remove(
    dirs: &Dirs,
    name: &MachineName,
    list: &NetworkList,
    before: &BTreeSet<String>,
) -> Result<(), BridgeError> {
    if !attachments(dirs, &list.name, Some(name))?.is_empty() {
        return Ok(());
    }
    for Bridge { name: bridge, .. } in made_by(list) {
        if !before.contains(&bridge) && link::is_bridge(&bridge) && loses_ports(&bridge) {
            tracing::debug!("deleting the bridge {bridge}");
            link::delete_bridge(&bridge).map_err(|source| BridgeError::Delete { bridge, source })?;
        }
    }
    Ok(())
}

/// The recorded attachments to a network, but for those of the container `except`.
fn attachments(dirs: &Dirs, network: &str, except: Option<&MachineName>) -> Result<Vec<Recorded>, FileError> {
    Record::attachments(dirs, except, |list, _| list.name == network)
}

/// The bridges that the network's plugins make. Known from the configuration, since a killed ADD has no result; `cni0`
/// is the bridge plugin's own default.
pub fn made_by(list: &NetworkList) -> impl Iterator<Item = Bridge> {
    let makers = list.plugins.iter().filter(|plugin| plugin["type"] == "bridge");
    makers.map(|plugin| {
        let is_set = |key: &str| plugin.get(key).and_then(Value::as_bool).unwrap_or_default();
        Bridge {
            name: plugin.get("bridge").and_then(Value::as_str).unwrap_or("cni0").to_owned(),
            gateway: is_set("isGateway") || is_set("isDefaultGateway"),
            private: is_set("ipMasq"),
        }
    })
}

/// Whether the bridge has no port, or none soon.
fn loses_ports(bridge: &str) -> bool {
    let deadline = Instant::now() + PORTS_GONE;
    while link::has_ports(bridge) {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
    true
}
