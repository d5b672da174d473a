//! A cluster's network on the host: its own bridge, made by CNI plugins from the configuration written here.

use std::net::Ipv4Addr;
use std::path::Path;

use foundation::name::Name;
use foundation::subnet::{self, RoutesError};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Subnets to choose from: /24s of this network. It overlaps neither kubeadm's Services (10.96.0.0/12), nor the usual pod
/// networks (10.244.0.0/16, 192.168.0.0/16), nor Docker's pools (from 172.17.0.0/16).
const POOL: &str = "10.200.0.0/16";

/// A cluster's network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Network {
    /// Name in the CNI configuration.
    pub(crate) name: String,
    /// Name of the bridge.
    pub(crate) bridge: String,
    /// The nodes' subnet; its first address is the host's.
    pub(crate) subnet: Ipv4Net,
}

/// Why a network could not be planned.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// Every /24 of the pool overlaps something.
    #[error(
        "no free subnet: every /24 of {POOL} and 198.18.0.0/15 overlaps another cluster, a route of this host, see `ip route show table all`, or a pool of Docker's"
    )]
    NoSubnet,
    /// Every address of the subnet is taken.
    #[error(
        "no free address in {subnet}: its {nodes} addresses belong to nodes of cluster {cluster}; remove one with `nodectl rm`"
    )]
    NoAddress {
        /// The subnet.
        subnet: Ipv4Net,
        /// How many nodes have one.
        nodes: usize,
        /// The cluster.
        cluster: Name,
    },
    /// The host's routes could not be read.
    #[error(transparent)]
    Routes(#[from] RoutesError),
}

impl Network {
    /// Plan the network of `cluster`, so that it overlaps no subnet in `taken`.
    ///
    /// # Errors
    /// No subnet is left.
    pub(crate) fn plan(cluster: &Name, taken: &[Ipv4Net]) -> Result<Self, NetworkError> {
        let name = format!("kubeadm-systemd-{cluster}");
        Ok(Network { name, bridge: bridge_name(cluster), subnet: free_subnet(taken)? })
    }

    /// The first address that is neither the host's nor in `taken`.
    ///
    /// # Errors
    /// No address is left.
    pub(crate) fn free_address(&self, cluster: &Name, taken: &[Ipv4Addr]) -> Result<Ipv4Addr, NetworkError> {
        let mut hosts = self.subnet.hosts().skip(1);
        hosts.find(|host| !taken.contains(host)).ok_or_else(|| NetworkError::NoAddress {
            subnet: self.subnet,
            nodes: taken.len(),
            cluster: cluster.clone(),
        })
    }

    /// Whether a node can have the address: it is in the subnet, and not one of the host's.
    pub(crate) fn is_for_nodes(&self, address: Ipv4Addr) -> bool {
        let Network { subnet, .. } = self;
        subnet.contains(&address) && ![subnet.network(), subnet.broadcast(), self.gateway()].contains(&address)
    }

    /// The host's own address on the bridge: the nodes' gateway.
    pub(crate) fn gateway(&self) -> Ipv4Addr {
        self.subnet.hosts().next().unwrap_or(self.subnet.network())
    }

    /// The CNI network configuration list (CNI specification, section 1). Addresses are recorded in `ipam_dir`.
    pub(crate) fn conflist(&self, ipam_dir: &Path) -> Value {
        json!({
            // 1.0.0 is the newest version that Debian's plugins speak.
            "cniVersion": "1.0.0",
            "name": self.name,
            "plugins": [{
                "type": "bridge",
                "bridge": self.bridge,
                "isGateway": true,
                "ipMasq": true,
                "ipam": {
                    "type": "host-local",
                    "dataDir": ipam_dir,
                    "ranges": [[{ "subnet": self.subnet, "gateway": self.gateway() }]],
                    "routes": [{ "dst": "0.0.0.0/0" }],
                },
            }],
        })
    }
}

/// A subnet of the pool that overlaps none in `taken`.
///
/// # Errors
/// No subnet is left.
pub(crate) fn free_subnet(taken: &[Ipv4Net]) -> Result<Ipv4Net, NetworkError> {
    let pool = POOL.parse().expect("a constant network");
    subnet::free(pool, 24, taken).ok_or(NetworkError::NoSubnet)
}

/// Interface names have at most 15 bytes (IFNAMSIZ less the NUL): long clusters' names end in a hash.
fn bridge_name(cluster: &Name) -> String {
    let name = cluster.as_str();
    if name.len() <= 12 {
        return format!("ks-{name}");
    }
    // FNV-1a: short, and the same in every build, which std's hasher does not promise.
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("ks-{}-{:06x}", &name[..5], hash & 0x00ff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(s: &str) -> Name {
        s.parse().expect("a label")
    }

    #[test]
    fn the_subnet_is_apart_from_the_hosts_routes() {
        let taken = ["10.200.0.0/23", "10.200.2.7/32", "192.168.0.0/16"].map(|s| s.parse().expect("a network"));
        let network = Network::plan(&name("dev"), &taken).expect("a subnet");
        assert_eq!(network.subnet.to_string(), "10.200.3.0/24");
        assert!(matches!(
            Network::plan(&name("dev"), &["0.0.0.0/0".parse().expect("a network")]),
            Err(NetworkError::NoSubnet)
        ));
    }

    #[test]
    fn addresses_are_given_in_order_until_none_is_left() {
        let network = Network {
            subnet: "10.200.0.0/29".parse().expect("a network"),
            ..Network::plan(&name("dev"), &[]).expect("planned")
        };
        let mut taken = Vec::new();
        while let Ok(address) = network.free_address(&name("dev"), &taken) {
            taken.push(address);
        }
        assert_eq!(taken.first().map(ToString::to_string).as_deref(), Some("10.200.0.2"));
        assert_eq!(taken.len(), 5, "8 less network, broadcast and the host's own");
    }

    #[test]
    fn a_node_cannot_have_an_address_of_the_host_or_of_another_network() {
        let network = Network::plan(&name("dev"), &[]).expect("planned");
        let is_for_nodes = |address: &str| network.is_for_nodes(address.parse().expect("an address"));
        assert!(is_for_nodes("10.200.0.2") && is_for_nodes("10.200.0.254"));
        for other in ["10.200.0.0", "10.200.0.1", "10.200.0.255", "10.200.1.2"] {
            assert!(!is_for_nodes(other), "{other}");
        }
    }

    #[test]
    fn a_bridges_name_fits_into_an_interface_name() {
        assert_eq!(bridge_name(&name("default")), "ks-default");
        let (a, b) = (bridge_name(&name("development-a")), bridge_name(&name("development-b")));
        assert_ne!(a, b);
        assert_eq!(a.len(), 15);
    }
}
