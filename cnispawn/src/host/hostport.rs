//! Know whether the chains for published ports are ours, and delete them with the last published port.
//!
//! The portmap plugin makes them with the first port, for all networks together, and leaves them behind. Both functions
//! want the chains' lock held, so that no chain comes or goes between their looks.

use std::io;

use foundation::files::FileError;
use foundation::name::MachineName;

use crate::cni::{Attachment, NetworkList};
use crate::container::record::{Record, Recorded};
use crate::dirs::Dirs;
use crate::host::iptables;

/// What the plugin's chains are called, of either family.
const CHAINS: &str = "CNI-HOSTPORT-";
/// The one that leads to the ports' own chains.
const PORTS: &str = "CNI-HOSTPORT-DNAT";

/// Why chains are not known, or not deleted.
#[derive(Debug, thiserror::Error)]
pub enum HostportError {
    /// iptables failed.
    #[error("cannot {action} the chains {CHAINS}* for published ports")]
    Iptables {
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The records could not be read.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Whether an attachment publishes ports.
pub fn publishes(list: &NetworkList, attachment: &Attachment) -> bool {
    let mappings = attachment.capability_args.get("portMappings").and_then(|mappings| mappings.as_array());
    list.takes("portMappings") && mappings.is_some_and(|mappings| !mappings.is_empty())
}

/// Whether the chains are there and not ours.
///
/// # Errors
/// When iptables or the records cannot be read.
pub fn before(dirs: &Dirs) -> Result<bool, HostportError> {
    let ours = publishing(dirs, None)?.iter().any(|recorded| !recorded.hostport_chains_before);
    Ok(!ours && there()?)
}

/// Delete the chains, unless others than `name` publish ports.
///
/// # Errors
/// When iptables fails, or the records cannot be read.
pub fn remove(dirs: &Dirs, name: &MachineName) -> Result<(), HostportError> {
    if !publishing(dirs, Some(name))?.is_empty() {
        return Ok(());
    }
    let failed = |source| HostportError::Iptables { action: "delete", source };
    for iptables in iptables::installed() {
        if let Some(script) = deletion(&iptables.read("nat").map_err(failed)?) {
            iptables.apply(&script).map_err(failed)?;
        }
    }
    Ok(())
}

/// The recorded attachments that publish ports, but for those of the container `except`.
fn publishing(dirs: &Dirs, except: Option<&MachineName>) -> Result<Vec<Recorded>, FileError> {
    Record::attachments(dirs, except, publishes)
}

fn there() -> Result<bool, HostportError> {
    let failed = |source| HostportError::Iptables { action: "look for", source };
    let tables = iptables::installed().map(|iptables| iptables.read("nat")).collect::<io::Result<Vec<_>>>();
    Ok(tables.map_err(failed)?.iter().any(|table| table.contains(&format!(":{CHAINS}"))))
}

/// What deletes the chains, and the rules that lead to them, for iptables-restore(8); `None` when there are none, or
/// somebody's ports are still published.
fn deletion(table: &str) -> Option<String> {
    let chains: Vec<_> = table.lines().filter_map(|line| line.strip_prefix(':')?.split(' ').next()).collect();
    let chains: Vec<_> = chains.into_iter().filter(|chain| chain.starts_with(CHAINS)).collect();
    let rules: Vec<_> = table.lines().filter_map(|line| line.strip_prefix("-A ")).collect();
    if chains.is_empty() || rules.iter().any(|rule| rule.starts_with(&format!("{PORTS} "))) {
        return None;
    }
    let leads_there = |rule: &&&str| !rule.starts_with(CHAINS) && rule.contains(&format!("-j {CHAINS}"));
    let jumps = rules.iter().filter(leads_there).map(|rule| format!("-D {rule}\n"));
    // Not flushed, the one that leads to ports: the kernel then refuses all of it when there is a port in the meantime.
    let flushes = chains.iter().filter(|chain| **chain != PORTS).map(|chain| format!("-F {chain}\n"));
    let deletions = chains.iter().map(|chain| format!("-X {chain}\n"));
    Some(format!("*nat\n{}COMMIT\n", jumps.chain(flushes).chain(deletions).collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "*nat\n:POSTROUTING ACCEPT [0:0]\n:CNI-HOSTPORT-DNAT - [0:0]\n:CNI-HOSTPORT-MASQ - [0:0]\n\
        -A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT\n\
        -A POSTROUTING -m comment --comment \"x y\" -j CNI-HOSTPORT-MASQ\n\
        -A POSTROUTING -j CNI-0123\n\
        -A CNI-HOSTPORT-MASQ -m mark --mark 0x2000/0x2000 -j MASQUERADE\nCOMMIT\n";

    #[test]
    fn what_the_plugin_leaves_is_deleted_and_nothing_else() {
        assert_eq!(
            deletion(EMPTY).as_deref(),
            Some(
                "*nat\n-D PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT\n\
                 -D POSTROUTING -m comment --comment \"x y\" -j CNI-HOSTPORT-MASQ\n\
                 -F CNI-HOSTPORT-MASQ\n-X CNI-HOSTPORT-DNAT\n-X CNI-HOSTPORT-MASQ\nCOMMIT\n"
            )
        );
    }

    #[test]
    fn while_a_port_is_published_all_stays() {
        let used = EMPTY.replace("-A CNI-HOSTPORT-MASQ", "-A CNI-HOSTPORT-DNAT -j CNI-DN-1\n-A CNI-HOSTPORT-MASQ");
        assert_eq!(deletion(&used), None);
        assert_eq!(deletion("*nat\n:POSTROUTING ACCEPT [0:0]\nCOMMIT\n"), None);
    }
}
