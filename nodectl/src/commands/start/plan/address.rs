//! The addresses of new nodes: those that are wished, and free ones.

use std::net::{IpAddr, Ipv4Addr};

use super::{Asked, PlanError};
use crate::cluster::network::Network;
use crate::node::spec::NodeSpec;

/// The addresses of a cluster's network.
pub(super) struct Addresses<'a> {
    asked: &'a Asked<'a>,
    taken: Vec<Ipv4Addr>,
}

impl<'a> Addresses<'a> {
    /// All addresses that nodes have, or that are wished for `new` ones: the others get none of these.
    ///
    /// # Errors
    /// A wished address is taken, or the network does not have it.
    pub(super) fn new(asked: &'a Asked<'a>, new: &[&NodeSpec]) -> Result<Self, PlanError> {
        let mut owners: Vec<_> = Vec::new();
        for existing in asked.existing {
            let addresses = existing.node.addresses.iter().filter_map(ipv4);
            owners.extend(addresses.map(|address| (address, &existing.node.name)));
        }
        for wish in new {
            let Some(address) = wished(wish, asked.network)? else { continue };
            if let Some((_, owner)) = owners.iter().find(|(taken, _)| *taken == address) {
                let (node, owner) = (wish.name.clone(), (*owner).clone());
                return Err(PlanError::AddressTaken { node, address, owner });
            }
            owners.push((address, &wish.name));
        }
        Ok(Addresses { asked, taken: owners.into_iter().map(|(address, _)| address).collect() })
    }

    /// The addresses of a new node.
    ///
    /// # Errors
    /// No address is free.
    pub(super) fn of(&mut self, wish: &NodeSpec) -> Result<Vec<IpAddr>, PlanError> {
        if !wish.addresses.is_empty() {
            return Ok(wish.addresses.clone());
        }
        let free = self.asked.network.free_address(self.asked.cluster, &self.taken)?;
        self.taken.push(free);
        Ok(vec![free.into()])
    }
}

/// The address that is wished for a node, if one is.
fn wished(wish: &NodeSpec, network: &Network) -> Result<Option<Ipv4Addr>, PlanError> {
    match wish.addresses.as_slice() {
        [] => Ok(None),
        [IpAddr::V4(address)] if network.is_for_nodes(*address) => Ok(Some(*address)),
        [IpAddr::V4(address)] => {
            let (node, subnet) = (wish.name.clone(), network.subnet);
            Err(PlanError::AddressOutside { node, address: *address, subnet, gateway: network.gateway() })
        }
        _ => Err(PlanError::AddressFamily { node: wish.name.clone() }),
    }
}

fn ipv4(address: &IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(*address),
        IpAddr::V6(_) => None,
    }
}
