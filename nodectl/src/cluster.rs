//! What the nodes of a cluster share: its network, its SSH key, its known_hosts file.

mod draft;
pub(crate) mod network;
mod record;
pub(crate) mod remove;
pub(crate) mod state;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use foundation::files::{self, FileError};
use foundation::name::Name;
use foundation::state::StateDirs;
use foundation::subnet;
use ipnet::Ipv4Net;

pub(crate) use self::draft::Draft;
use self::network::{Network, NetworkError};
use crate::node::Node;
use crate::node::keys::{self, KeyError};
use crate::tree;

/// Bytes of a public key's line at the most; one of Ed25519 has a hundred.
const LONGEST_KEY: u64 = 1 << 10;

/// A cluster's directory and network.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    /// Its name.
    pub(crate) name: Name,
    /// Its directory.
    pub(crate) dir: PathBuf,
    /// Its network.
    pub(crate) network: Network,
}

/// Why a cluster could not be read or made.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// No node was ever started in it, or all were removed.
    #[error("cluster {name} does not exist; `nodectl ls` lists the nodes of all clusters")]
    Unknown {
        /// The cluster.
        name: Name,
    },
    /// Its network could not be planned.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Its key could not be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Cluster {
    /// Read a cluster.
    ///
    /// # Errors
    /// It does not exist.
    pub(crate) fn load(dirs: &StateDirs, name: &Name) -> Result<Self, ClusterError> {
        let dir = dirs.cluster(name);
        let network = files::read_json(&dir.join("network.json"))?;
        let network = network.ok_or_else(|| ClusterError::Unknown { name: name.clone() })?;
        Ok(Cluster { name: name.clone(), dir, network })
    }

    /// Directory of the CNI configuration.
    pub(crate) fn conf_dir(&self) -> PathBuf {
        self.dir.join("net.d")
    }

    fn ipam_dir(&self) -> PathBuf {
        self.dir.join("ipam")
    }

    /// The known_hosts file that pins all nodes of the cluster.
    fn known_hosts(&self) -> PathBuf {
        self.dir.join("ssh/known_hosts")
    }

    fn private_key(&self) -> PathBuf {
        self.dir.join("ssh/id_ed25519")
    }

    /// The public half of the key that logs in to every node as root, which is made first if it does not exist.
    ///
    /// # Errors
    /// ssh-keygen is missing or fails.
    pub(crate) fn user_key(&self) -> Result<String, KeyError> {
        keys::ensure(&self.private_key(), &format!("kubeadm-systemd {}", self.name))
    }

    /// Pin the host keys of the cluster's nodes under their names and addresses.
    pub(crate) fn pin_host_keys<'n>(&self, nodes: impl IntoIterator<Item = &'n Node>) -> Result<(), FileError> {
        let mut hosts = Vec::new();
        for node in nodes {
            let (upper, key) = (node.dir().join("upper"), Path::new("etc/ssh/ssh_host_ed25519_key.pub"));
            // Root in the node may have changed the file: read one line at the most, and stay in the node's tree.
            let mut public = String::new();
            let read = BufReader::new(tree::open(&upper, key)?.take(LONGEST_KEY)).read_line(&mut public);
            read.map_err(FileError::of("read", &upper.join(key)))?;
            let names = [node.name.to_string()].into_iter().chain(node.addresses.iter().map(ToString::to_string));
            hosts.push((names.collect(), public.trim_end().to_owned()));
        }
        keys::pin(&self.known_hosts(), &hosts)
    }
}

/// Names of all clusters that have a directory.
pub(crate) fn names(dirs: &StateDirs) -> Result<Vec<Name>, FileError> {
    Ok(files::names_in(&dirs.clusters())?.iter().filter_map(|name| name.parse().ok()).collect())
}

/// Subnets that a new cluster's may not overlap: the host's, and those of the other clusters.
///
/// # Errors
/// The host's routes or a cluster's network cannot be read.
pub(crate) fn taken_subnets(dirs: &StateDirs) -> Result<Vec<Ipv4Net>, ClusterError> {
    let mut subnets = subnet::of_host(None).map_err(NetworkError::from)?;
    for name in names(dirs)? {
        let network: Option<Network> = files::read_json(&dirs.cluster(&name).join("network.json"))?;
        subnets.extend(network.map(|network| network.subnet));
    }
    Ok(subnets)
}
