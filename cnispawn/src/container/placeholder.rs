//! Put a placeholder where a container's interface was, so that an interrupted DEL can be repeated.
//!
//! The reference plugins with `ipMasq` read from the interface the addresses whose iptables rules they are to remove,
//! and delete the interface first. When such a DEL fails or is killed after that, the next one finds no interface and
//! leaves the rules behind. With a bridge of the interface's name and addresses, it removes them.

use std::path::Path;

use foundation::ip::ip;
use nix::net::if_::if_nametoindex;
use serde_json::Value;

use crate::cni::{NetworkList, result};
use crate::host::netns::{self, NetnsError};

/// Whether a DEL of this network leaves rules behind when the interface is gone.
pub(crate) fn is_needed(list: &NetworkList) -> bool {
    list.plugins.iter().any(|plugin| plugin.get("ipMasq") == Some(&Value::Bool(true)))
}

/// Make a bridge `if_name` with the addresses of `result`, unless the network namespace has such an interface. A
/// failure does not mean that DEL will fail.
pub(crate) fn put(netns: &Path, if_name: &str, result: &Value) -> Result<(), NetnsError> {
    netns::within(netns, || {
        if if_nametoindex(if_name).is_ok() {
            return Ok(());
        }
        ip(&["link", "add", "dev", if_name, "type", "bridge"])?;
        result::addresses(result).try_for_each(|address| ip(&["address", "add", address, "dev", if_name]).map(drop))
    })
}
