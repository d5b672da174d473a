//! Why nodes cannot be started as asked.

use std::net::{IpAddr, Ipv4Addr};

use foundation::name::Name;
use foundation::record::{RecordError, Role};
use ipnet::Ipv4Net;

use crate::cluster::network::NetworkError;

/// Why nodes cannot be started as asked.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A node of that name runs.
    #[error(
        "node {node} of cluster {cluster} is running already; choose another name, remove it with `nodectl rm --cluster {cluster} {node}`, or pass --allow-running"
    )]
    Running {
        /// The node.
        node: Name,
        /// Its cluster.
        cluster: Name,
    },
    /// New nodes need an image.
    #[error("no image to make {nodes} from: {why}; name one with --image, or pipe: nodectl build | nodectl start ...")]
    NoImage {
        /// The new nodes.
        nodes: String,
        /// Why no image is given.
        why: &'static str,
    },
    /// New nodes need an image, and standard input is empty.
    #[error("no image to make {nodes} from")]
    EmptyInput {
        /// The new nodes.
        nodes: String,
        /// That it is empty.
        source: Box<RecordError>,
    },
    /// A node keeps its image.
    #[error(
        "node {node} was made from image {image}, and keeps it; leave out --image, or remove the node with `nodectl rm --cluster {cluster} {node}` to have it made anew"
    )]
    OtherImage {
        /// The node.
        node: Name,
        /// Its image.
        image: Name,
        /// Its cluster.
        cluster: Name,
    },
    /// A node keeps its role.
    #[error("node {node} is a {}, and stays one; to change its role, remove it first", word(*role))]
    OtherRole {
        /// The node.
        node: Name,
        /// Its role.
        role: Role,
    },
    /// A node keeps its addresses.
    #[error("node {node} has the address {address}, and keeps it; to change it, remove the node first")]
    OtherAddresses {
        /// The node.
        node: Name,
        /// Its address.
        address: IpAddr,
    },
    /// Limits change at a start.
    #[error(
        "node {node} runs with other limits; stop it first, with `nodectl stop --cluster {cluster} {node}`, to start it with these"
    )]
    RunningLimits {
        /// The node.
        node: Name,
        /// Its cluster.
        cluster: Name,
    },
    /// A wished address is not one that the network gives.
    #[error("node {node}: more than one address, and IPv6 addresses, are not supported yet; wish for one IPv4 address")]
    AddressFamily {
        /// The node.
        node: Name,
    },
    /// A wished address is in another network.
    #[error(
        "node {node} cannot have the address {address}: the nodes' are those of {subnet}, without the first, the last and the host's, {gateway}"
    )]
    AddressOutside {
        /// The node.
        node: Name,
        /// The address.
        address: Ipv4Addr,
        /// The cluster's subnet.
        subnet: Ipv4Net,
        /// The host's address in it.
        gateway: Ipv4Addr,
    },
    /// A wished address is another node's.
    #[error("node {node} cannot have the address {address}: it is node {owner}'s")]
    AddressTaken {
        /// The node.
        node: Name,
        /// The address.
        address: Ipv4Addr,
        /// The other node.
        owner: Name,
    },
    /// No address is free.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

fn word(role: Role) -> &'static str {
    match role {
        Role::ControlPlane => "control plane",
        Role::Worker => "worker",
    }
}
