//! The chains for published ports: whether an attachment needs them, whether they are there, and how to delete them.
//!
//! The portmap plugin makes them with the first port, for all networks together, and leaves them behind.

use std::io;

use super::iptables;
use crate::cni::{Attachment, NetworkList};

/// The prefix of the plugin's chains, of either family.
const CHAINS: &str = "CNI-HOSTPORT-";
/// The chain that leads to the ports' own chains.
const PORTS: &str = "CNI-HOSTPORT-DNAT";

/// iptables failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} the chains {CHAINS}* for published ports")]
pub(crate) struct HostportError {
    action: &'static str,
    source: io::Error,
}

/// Whether an attachment publishes ports.
pub(crate) fn publishes(list: &NetworkList, attachment: &Attachment) -> bool {
    let mappings = attachment.capability_args.get("portMappings").and_then(|mappings| mappings.as_array());
    list.takes("portMappings") && mappings.is_some_and(|mappings| !mappings.is_empty())
}

/// Whether the chains are there.
pub(crate) fn chains_exist() -> Result<bool, HostportError> {
    let failed = |source| HostportError { action: "look for", source };
    let tables = iptables::installed().map(|iptables| iptables.read("nat")).collect::<io::Result<Vec<_>>>();
    Ok(tables.map_err(failed)?.iter().any(|table| table.contains(&format!(":{CHAINS}"))))
}

/// Delete the chains, unless they lead to a published port.
pub(crate) fn delete_chains() -> Result<(), HostportError> {
    let failed = |source| HostportError { action: "delete", source };
    for iptables in iptables::installed() {
        if let Some(script) = deletion(&iptables.read("nat").map_err(failed)?) {
            iptables.apply(&script).map_err(failed)?;
        }
    }
    Ok(())
}

/// What deletes the chains and the rules that lead to them, for iptables-restore(8); `None` without chains, or while a
/// port is published.
fn deletion(table: &str) -> Option<String> {
    let chains: Vec<_> = table.lines().filter_map(|line| line.strip_prefix(':')?.split(' ').next()).collect();
    let chains: Vec<_> = chains.into_iter().filter(|chain| chain.starts_with(CHAINS)).collect();
    let rules: Vec<_> = table.lines().filter_map(|line| line.strip_prefix("-A ")).collect();
    if chains.is_empty() || rules.iter().any(|rule| rule.starts_with(&format!("{PORTS} "))) {
        return None;
    }
    let leads_there = |rule: &&&str| !rule.starts_with(CHAINS) && rule.contains(&format!("-j {CHAINS}"));
    let jumps = rules.iter().filter(leads_there).map(|rule| format!("-D {rule}\n"));
    // The chain that leads to ports is not flushed: should a port be published meanwhile, the kernel refuses the
    // script.
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
