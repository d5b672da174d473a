//! Know which bridges a network's plugins make, and delete them.

use std::collections::BTreeSet;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::link;
use crate::cni::NetworkList;

/// How long the kernel may take to remove a bridge's last port after its peer's namespace is gone.
const PORTS_GONE: Duration = Duration::from_secs(2);

/// A bridge that the plugins of a network make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bridge {
    pub(crate) name: String,
    /// Whether the host is the containers' gateway.
    pub(crate) gateway: bool,
    /// Whether the containers reach others by the host's address, so that nobody is meant to know theirs.
    pub(crate) private: bool,
}

/// Why bridges are not known, or not deleted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BridgeError {
    #[error("cannot read the host's links")]
    Links(#[source] io::Error),
    #[error("cannot delete the bridge {bridge}")]
    Delete { bridge: String, source: io::Error },
}

/// The host's bridges.
pub(crate) fn all() -> Result<BTreeSet<String>, BridgeError> {
    link::bridges().map_err(BridgeError::Links)
}

/// The bridges that the network's plugins make. Known from the configuration, since a killed ADD has no result; `cni0`
/// is the bridge plugin's own default.
pub(crate) fn made_by(list: &NetworkList) -> impl Iterator<Item = Bridge> {
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

/// Delete the bridges that the network's plugins have made: not those that were there `before`, nor those with ports.
pub(crate) fn delete(list: &NetworkList, before: &BTreeSet<String>) -> Result<(), BridgeError> {
    for Bridge { name: bridge, .. } in made_by(list) {
        if !before.contains(&bridge) && link::is_bridge(&bridge) && loses_ports(&bridge) {
            tracing::debug!("deleting the bridge {bridge}");
            link::delete_bridge(&bridge).map_err(|source| BridgeError::Delete { bridge, source })?;
        }
    }
    Ok(())
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
