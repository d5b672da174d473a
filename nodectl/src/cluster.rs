//! What the nodes of a cluster share: its network, its SSH key, its known_hosts file.

pub mod network;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use foundation::files::{self, FileError};
use foundation::lock::Lock;
use foundation::name::Name;
use foundation::state::StateDirs;
use foundation::subnet;
use ipnet::Ipv4Net;

use crate::cluster::network::{Network, NetworkError};
use crate::node::Node;
use crate::node::keys::{self, KeyError, KeyPair};
use crate::tree;

/// Bytes of a public key's line at the most; one of Ed25519 has a hundred.
const LONGEST_KEY: u64 = 1 << 10;

/// A cluster's directory, and where things lie in it.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Its name.
    pub name: Name,
    /// Its directory.
    pub dir: PathBuf,
    /// Its network.
    pub network: Network,
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
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Cluster {
    /// Read a cluster.
    ///
    /// # Errors
    /// When it does not exist.
    pub fn load(dirs: &StateDirs, name: &Name) -> Result<Self, ClusterError> {
        let dir = dirs.cluster(name);
        let network = files::read_json(&dir.join("network.json"))?;
        let network = network.ok_or_else(|| ClusterError::Unknown { name: name.clone() })?;
        Ok(Cluster { name: name.clone(), dir, network })
    }

    /// Read a cluster, or make it: plan its network apart from the host's routes and from the other clusters'.
    ///
    /// # Errors
    /// When no subnet is free, or the file system refuses.
    pub fn ensure(dirs: &StateDirs, name: &Name) -> Result<Self, ClusterError> {
        dirs.make_private()?;
        match Self::load(dirs, name) {
            Err(ClusterError::Unknown { .. }) => {}
            other => return other,
        }
        let cluster = Self::make(dirs, name);
        if cluster.is_err() {
            // What there is of it; the first error is the one to tell.
            let _ = remove_parts(&dirs.cluster(name));
        }
        cluster
    }

    fn make(dirs: &StateDirs, name: &Name) -> Result<Self, ClusterError> {
        // Two clusters that are planned at the same time must not choose the same subnet.
        let _planning = Lock::take_patiently(&dirs.lock("subnets"))?;
        let network = Network::plan(name, &taken_subnets(dirs)?)?;
        let cluster = Cluster { name: name.clone(), dir: dirs.cluster(name), network };
        let conflist = cluster.network.conflist(&cluster.ipam_dir());
        files::write_json(&cluster.conf_dir().join("10-nodes.conflist"), &conflist)?;
        cluster.user_key()?;
        // Last: a cluster whose network.json is there is whole.
        files::write_json(&cluster.dir.join("network.json"), &cluster.network)?;
        Ok(cluster)
    }

    /// Hold the right to change the cluster's nodes.
    ///
    /// # Errors
    /// When the lock's file cannot be made, or something in the cluster's directory leads elsewhere.
    pub fn lock(dirs: &StateDirs, name: &Name) -> Result<Lock, FileError> {
        dirs.refuse_links(name)?;
        Lock::take_patiently(&dirs.lock(&format!("cluster-{name}")))
    }

    /// Directory of the CNI configuration.
    pub fn conf_dir(&self) -> PathBuf {
        self.dir.join("net.d")
    }

    fn ipam_dir(&self) -> PathBuf {
        self.dir.join("ipam")
    }

    /// The known_hosts file that pins all nodes of the cluster.
    pub fn known_hosts(&self) -> PathBuf {
        self.dir.join("ssh/known_hosts")
    }

    /// The key that logs in to every node as root.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn user_key(&self) -> Result<KeyPair, KeyError> {
        keys::ensure(&self.dir.join("ssh/id_ed25519"), &format!("kubeadm-systemd {}", self.name))
    }

    /// Pin the host keys of all nodes of the cluster, under their names and addresses.
    ///
    /// # Errors
    /// When a key cannot be read or the file not written.
    pub fn pin_host_keys(&self, dirs: &StateDirs) -> Result<(), FileError> {
        let mut hosts = Vec::new();
        for node in Node::all(dirs, &self.name)? {
            let (upper, key) = (node.dir(dirs).join("upper"), Path::new("etc/ssh/ssh_host_ed25519_key.pub"));
            // What lies there is the node's to change: one line, wherever its links lead.
            let mut public = String::new();
            let read = BufReader::new(tree::open(&upper, key)?.take(LONGEST_KEY)).read_line(&mut public);
            read.map_err(FileError::of("read", &upper.join(key)))?;
            hosts.push((vec![node.name.to_string(), node.address.to_string()], public.trim_end().to_owned()));
        }
        keys::pin(&self.known_hosts(), &hosts)
    }

    /// The first address that no node of the cluster has.
    ///
    /// # Errors
    /// When none is left.
    pub fn free_address(&self, nodes: &[Node]) -> Result<Ipv4Addr, NetworkError> {
        let taken: Vec<_> = nodes.iter().map(|node| node.address).collect();
        self.network.free_address(&self.name, &taken)
    }

    /// Remove what the nodes shared, once there is no node left. What other tools keep in the directory stays.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn remove(&self) -> Result<(), FileError> {
        // First: from here on the cluster is not there, whatever else is.
        let _ = fs::remove_file(self.dir.join("network.json"));
        remove_parts(&self.dir)
    }
}

/// Remove what nodes share, of a cluster that may be half-made. What other tools keep in the directory stays.
///
/// # Errors
/// When something cannot be removed.
pub fn remove_parts(dir: &Path) -> Result<(), FileError> {
    for part in ["net.d", "ipam", "ssh", "nodes"] {
        files::remove_tree(&dir.join(part))?;
    }
    // Fails while another tool's files are in it, and then it should stay.
    let _ = fs::remove_dir(dir);
    Ok(())
}

/// Names of all clusters that have a directory.
///
/// # Errors
/// When the directory cannot be read.
pub fn names(dirs: &StateDirs) -> Result<Vec<Name>, FileError> {
    Ok(files::names_in(&dirs.clusters())?.iter().filter_map(|name| name.parse().ok()).collect())
}

/// Subnets that a new cluster's must be apart from: the host's, and those of the other clusters.
///
/// # Errors
/// When routes or records cannot be read.
pub fn taken_subnets(dirs: &StateDirs) -> Result<Vec<Ipv4Net>, ClusterError> {
    let mut subnets = subnet::of_host(None).map_err(NetworkError::from)?;
    for name in names(dirs)? {
        let network: Option<Network> = files::read_json(&dirs.cluster(&name).join("network.json"))?;
        subnets.extend(network.map(|network| network.subnet));
    }
    Ok(subnets)
}
