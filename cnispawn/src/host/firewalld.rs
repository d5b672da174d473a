//! Have firewalld trust a network's bridge: in its own table it rejects packets that are forwarded from one zone to
//! another, and a bridge that it does not know is in the default zone.
//!
//! The zone `trusted` accepts all packets that arrive on its interfaces, for this host and for others; replies and
//! published ports pass in any zone (firewalld.zones(5)). The binding is not permanent: a restart of firewalld loses
//! it.

use std::io;

use super::dbus::Interface;
use crate::host::bridge::Bridge;

/// firewalld.dbus(5).
const ZONES: Interface = Interface {
    service: "org.fedoraproject.FirewallD1",
    object: "/org/fedoraproject/FirewallD1",
    name: "org.fedoraproject.FirewallD1.zone",
};

const ZONE: &str = "trusted";

/// Bind bridges to the zone, unless the user has chosen another one for them.
pub(super) fn trust(bridges: &[Bridge]) -> io::Result<()> {
    for Bridge { name, .. } in bridges.iter().filter(|bridge| bridge.gateway) {
        if zone_of(name)?.is_some_and(|zone| zone.is_empty()) {
            ZONES.call("addInterface", &["ss", ZONE, name])?;
        }
    }
    Ok(())
}

/// Undo [`trust`].
pub(super) fn forget(bridges: &[Bridge]) -> io::Result<()> {
    for Bridge { name, .. } in bridges.iter().filter(|bridge| bridge.gateway) {
        if zone_of(name)?.is_some_and(|zone| zone == ZONE) {
            ZONES.call("removeInterface", &["ss", ZONE, name])?;
        }
    }
    Ok(())
}

/// The zone to which an interface is bound, empty if it is in none; `None` if firewalld does not run.
fn zone_of(interface: &str) -> io::Result<Option<String>> {
    if which::which("firewall-cmd").is_err() || !ZONES.is_up() {
        return Ok(None);
    }
    let answer = ZONES.call("getZoneOfInterface", &["s", interface])?;
    Ok(Some(answer.trim_start_matches("s ").trim_matches('"').to_owned()))
}
