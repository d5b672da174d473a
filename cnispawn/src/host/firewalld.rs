//! Have firewalld trust a network's bridge: it rejects, in a table of its own, what is forwarded from one zone to
//! another, and a bridge that it does not know is in the default zone.
//!
//! The zone `trusted` accepts what comes in by its interfaces, for this host and for others; answers and published ports
//! it lets pass in any zone (firewalld.zones(5)). The binding is of firewalld's run time only, and lost when it restarts.

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
///
/// # Errors
/// When firewalld refuses.
pub(super) fn trust(bridges: &[Bridge]) -> io::Result<()> {
    for Bridge { name, .. } in bridges.iter().filter(|bridge| bridge.gateway) {
        if zone_of(name)?.is_some_and(|zone| zone.is_empty()) {
            ZONES.call("addInterface", &["ss", ZONE, name])?;
        }
    }
    Ok(())
}

/// Undo [`trust`].
///
/// # Errors
/// When firewalld refuses.
pub(super) fn forget(bridges: &[Bridge]) -> io::Result<()> {
    for Bridge { name, .. } in bridges.iter().filter(|bridge| bridge.gateway) {
        if zone_of(name)?.is_some_and(|zone| zone == ZONE) {
            ZONES.call("removeInterface", &["ss", ZONE, name])?;
        }
    }
    Ok(())
}

/// The zone to which an interface is bound, empty for none; `None` where no firewalld runs.
fn zone_of(interface: &str) -> io::Result<Option<String>> {
    if which::which("firewall-cmd").is_err() || !ZONES.is_up() {
        return Ok(None);
    }
    let answer = ZONES.call("getZoneOfInterface", &["s", interface])?;
    Ok(Some(answer.trim_start_matches("s ").trim_matches('"').to_owned()))
}
