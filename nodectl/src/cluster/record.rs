//! The record of a node, as pipes carry it.

use foundation::record::{NodeRecord, Ssh, State};
use serde_json::{Map, Value};

use super::Cluster;
use crate::node::Node;
use crate::node::machine::Machine;

impl Cluster {
    /// The record of one of the cluster's nodes, with this machine.
    pub(crate) fn record(&self, node: &Node, machine: Option<&Machine>) -> NodeRecord {
        let machine = machine.filter(|machine| machine.is_running());
        let state = match machine.map(|machine| machine.state) {
            None => State::Stopped,
            // A unit that was restarted by a reboot from inside: no command has waited for it.
            Some(State::Starting) => machine.map_or(State::Starting, Machine::system_state),
            Some(state) => state,
        };
        NodeRecord {
            name: node.name.clone(),
            cluster: node.cluster.clone(),
            role: node.role,
            addresses: node.addresses.clone(),
            ssh: Ssh {
                user: "root".to_owned(),
                port: 22,
                private_key: self.private_key(),
                known_hosts: self.known_hosts(),
            },
            image: Some(node.image.clone()),
            state: Some(state),
            pid: machine.and_then(Machine::find_leader).map(|leader| leader.pid),
            extra: limits(node),
        }
    }
}

/// The node's limits, as fields of its record.
fn limits(node: &Node) -> Map<String, Value> {
    match serde_json::to_value(node.limits) {
        Ok(Value::Object(limits)) => limits,
        _ => Map::new(),
    }
}
