//! Keep other hosts from containers whose network masquerades: with forwarding on, any host with a route by way of this
//! one would reach them, API servers and sshds of nodes included.
//!
//! By an nftables table of our own for each bridge: a reject is final in any table. Packets from another network of
//! this host, ours or Docker's, are rejected as well, as Docker does; published ports are open to all. Networks without
//! `ipMasq` are routed on purpose, and left alone.

use std::io;

use foundation::tool::Tool;

use crate::host::bridge::Bridge;
use crate::host::link;

const NFT: Tool = Tool { program: "nft", package: "nftables" };

/// Reject new connections into these bridges from elsewhere, except to published ports.
pub(super) fn close(bridges: &[Bridge]) -> io::Result<()> {
    // To look is cheaper than to change, for which the kernel waits until no processor uses the old rules. Without a
    // bridge there is nothing to look at.
    let is_closed = |bridge: &str| {
        let listed = || NFT.run(&["list", "table", "inet", &table(bridge)], "");
        link::is_bridge(bridge) && listed().is_ok_and(|listed| listed == rules(bridge))
    };
    let open = bridges.iter().filter(|bridge| bridge.private && !is_closed(&bridge.name));
    apply(&open.map(|bridge| format!("{}{}", removal(&bridge.name), rules(&bridge.name))).collect::<String>())
}

/// Remove the tables.
pub(super) fn remove(bridges: &[Bridge]) -> io::Result<()> {
    if which::which(NFT.program).is_err() {
        // Then no tables were made, either.
        return Ok(());
    }
    let private = bridges.iter().filter(|bridge| bridge.private);
    apply(&private.map(|bridge| removal(&bridge.name)).collect::<String>())
}

/// All or nothing: a script is one transaction.
fn apply(script: &str) -> io::Result<()> {
    if script.is_empty() { Ok(()) } else { NFT.run(&["-f", "-"], script).map(drop) }
}

fn table(bridge: &str) -> String {
    format!("cnispawn-{bridge}")
}

/// Adds the table before it deletes it: nft refuses to delete one that does not exist.
fn removal(bridge: &str) -> String {
    let table = table(bridge);
    format!("add table inet {table}\ndelete table inet {table}\n")
}

/// As nft lists them. Before iptables' FORWARD, which may drop: a rejected sender need not wait for a timeout.
fn rules(bridge: &str) -> String {
    let into = format!("iifname != \"{bridge}\" oifname \"{bridge}\"");
    let lines = [
        format!("table inet {} {{", table(bridge)),
        "\tchain forward {".into(),
        "\t\ttype filter hook forward priority filter - 5; policy accept;".into(),
        format!("\t\t{into} ct state established,related accept"),
        format!("\t\t{into} ct status dnat accept"),
        format!("\t\t{into} reject with icmpx admin-prohibited"),
        "\t}\n}\n".into(),
    ];
    lines.join("\n")
}
