//! Have iptables' chain FORWARD accept a network's packets: Docker and ufw drop there what they do not know.
//!
//! An accept is final in its own base chain only, a drop everywhere: no rule in a table of our own overrules theirs. So
//! the rules are beside the drop, in a chain for each bridge, to which FORWARD jumps first. They match the bridge,
//! where CNI's plugin `firewall` matches the containers' addresses: a container may have pods, whose addresses only it
//! knows, and with br_netfilter packets between pods of two containers of one bridge pass FORWARD, too.

use std::io;

use super::steps::concurrently;
use crate::host::bridge::Bridge;
use crate::host::iptables;

/// Accept packets from these bridges, replies to them, and packets to published ports.
pub(super) fn open(bridges: &[Bridge]) -> io::Result<()> {
    change(|table| opening(table, bridges))
}

/// Remove the chains.
pub(super) fn remove(bridges: &[Bridge]) -> io::Result<()> {
    change(|table| removal(table, bridges))
}

fn change(plan: impl Fn(&str) -> String + Sync) -> io::Result<()> {
    concurrently(iptables::in_use("filter"), |iptables| {
        let changes = plan(&iptables.read("filter")?);
        if changes.is_empty() { Ok(()) } else { iptables.apply(&format!("*filter\n{changes}COMMIT\n")) }
    })
}

fn opening(table: &str, bridges: &[Bridge]) -> String {
    bridges.iter().filter(|bridge| bridge.gateway).map(|bridge| opening_of(table, &bridge.name)).collect()
}

fn opening_of(table: &str, bridge: &str) -> String {
    let chain = chain(bridge);
    let rules = [
        format!("-A {chain} -i {bridge} -j ACCEPT"),
        format!("-A {chain} -o {bridge} -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT"),
    ];
    let jump = has(table, &jump(bridge));
    if jump && rules.iter().all(|rule| has(table, rule)) {
        return String::new();
    }
    // This line makes the chain, or empties it.
    let mut changes = format!(":{chain} - [0:0]\n{}\n", rules.join("\n"));
    if !jump {
        changes.push_str(&format!("-I FORWARD -j {chain}\n"));
    }
    changes
}

fn removal(table: &str, bridges: &[Bridge]) -> String {
    bridges.iter().map(|bridge| removal_of(table, &bridge.name)).collect()
}

fn removal_of(table: &str, bridge: &str) -> String {
    let chain = chain(bridge);
    if !table.lines().any(|line| line.starts_with(&format!(":{chain} "))) {
        return String::new();
    }
    let jumps = table.lines().filter(|line| *line == jump(bridge)).count();
    format!("{}-F {chain}\n-X {chain}\n", format!("-D FORWARD -j {chain}\n").repeat(jumps))
}

/// A chain's name has at most 28 characters, a bridge's 15.
fn chain(bridge: &str) -> String {
    format!("CNISPAWN-{bridge}")
}

fn jump(bridge: &str) -> String {
    format!("-A FORWARD -j {}", chain(bridge))
}

fn has(table: &str, rule: &str) -> bool {
    table.lines().any(|line| line == rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOSED: &str = "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -j DOCKER-USER\nCOMMIT\n";

    const OPEN: &str = "*filter\n:FORWARD DROP [0:0]\n:CNISPAWN-ks-dev - [0:0]\n-A FORWARD -j CNISPAWN-ks-dev\n\
        -A CNISPAWN-ks-dev -i ks-dev -j ACCEPT\n\
        -A CNISPAWN-ks-dev -o ks-dev -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT\nCOMMIT\n";

    fn bridges(gateway: bool) -> [Bridge; 1] {
        [Bridge { name: "ks-dev".into(), gateway, private: true }]
    }

    #[test]
    fn a_bridge_is_let_through_once_and_before_all_else() {
        let changes = ":CNISPAWN-ks-dev - [0:0]\n-A CNISPAWN-ks-dev -i ks-dev -j ACCEPT\n\
            -A CNISPAWN-ks-dev -o ks-dev -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT\n";
        assert_eq!(opening(CLOSED, &bridges(true)), format!("{changes}-I FORWARD -j CNISPAWN-ks-dev\n"));
        let half = OPEN.replace("-A CNISPAWN-ks-dev -i ks-dev -j ACCEPT\n", "");
        assert_eq!(opening(&half, &bridges(true)), changes, "no second jump");
        assert_eq!(opening(OPEN, &bridges(true)), "");
        assert_eq!(opening(CLOSED, &bridges(false)), "", "no traffic but its own");
    }

    #[test]
    fn only_the_bridges_own_chain_is_removed() {
        assert_eq!(
            removal(OPEN, &bridges(true)),
            "-D FORWARD -j CNISPAWN-ks-dev\n-F CNISPAWN-ks-dev\n-X CNISPAWN-ks-dev\n"
        );
        assert_eq!(removal(&OPEN.replace("ks-dev", "ks-dev2"), &bridges(true)), "");
    }
}
