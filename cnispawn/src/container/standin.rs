//! Put a stand-in where a container's interface was, so that an interrupted DEL can be done again.
//!
//! The reference plugins with `ipMasq` read the addresses, whose iptables rules they are to remove, from the interface
//! that they delete first. When such a DEL fails or is killed after that, a second one finds no interface and leaves
//! the rules behind. A bridge of the same name and addresses makes the second one whole.

use std::path::Path;

use foundation::ip::ip;
use nix::net::if_::if_nametoindex;
use serde_json::Value;

use crate::cni::{NetworkList, result};
use crate::host::netns::{self, NetnsError};

/// Whether DEL of this network leaves rules behind when the interface is gone.
pub fn is_needed(list: &NetworkList) -> bool {
    list.plugins.iter().any(|plugin| plugin.get("ipMasq") == Some(&Value::Bool(true)))
}

/// Make sure that the network namespace has an interface `if_name`, if need be a bridge with the addresses of `result`.
///
/// # Errors
/// When it cannot be made; nothing says yet that DEL would fail.
pub fn put(netns: &Path, if_name: &str, result: &Value) -> Result<(), NetnsError> {
    netns::within(netns, || {
        if if_nametoindex(if_name).is_ok() {
            return Ok(());
        }
        ip(&["link", "add", "dev", if_name, "type", "bridge"])?;
        result::addresses(result).try_for_each(|address| ip(&["address", "add", address, "dev", if_name]).map(drop))
    })
}
