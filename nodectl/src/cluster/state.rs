//! A cluster as a verb finds it: its nodes and their machines, read once.

use std::sync::Arc;

use foundation::files::FileError;
use foundation::lock::Lock;
use foundation::name::Name;
use foundation::state::StateDirs;

use super::{Cluster, ClusterError};
use crate::node::Node;
use crate::node::machine::Machine;

/// A cluster's state.
pub(crate) struct ClusterState {
    /// Its name.
    pub(crate) name: Name,
    /// Its nodes, in the order of their names.
    pub(crate) members: Vec<Member>,
    /// Where all of it is.
    pub(crate) dirs: StateDirs,
    /// Held by a verb that changes the cluster.
    _lock: Option<Lock>,
}

/// A node, and its machine.
pub(crate) struct Member {
    /// The node.
    pub(crate) node: Node,
    /// A damaged file of one machine is no reason to leave the others running.
    machine: Result<Option<Machine>, Arc<FileError>>,
}

impl Member {
    fn read(node: Node) -> Self {
        Member { machine: node.machine().map_err(Arc::new), node }
    }

    /// The node's machine, which may have ended.
    ///
    /// # Errors
    /// Its file is malformed.
    pub(crate) fn machine(&self) -> Result<Option<&Machine>, StateError> {
        self.machine.as_ref().map(Option::as_ref).map_err(|error| StateError::Machine(Arc::clone(error)))
    }
}

/// Why a cluster's state could not be read, or a node not be found.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The node does not exist.
    #[error("node {node} of cluster {cluster} does not exist; `nodectl ls` lists those that do")]
    Unknown {
        /// The node.
        node: Name,
        /// Its cluster.
        cluster: Name,
    },
    /// The cluster has no node.
    #[error("cluster {cluster} has no nodes; start some with `nodectl start`")]
    NoNodes {
        /// The cluster.
        cluster: Name,
    },
    /// The cluster's network could not be read.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A machine's file could not be read.
    #[error(transparent)]
    Machine(Arc<FileError>),
    /// A node could not be read, or the lock not be taken.
    #[error(transparent)]
    File(#[from] FileError),
}

impl ClusterState {
    /// Take the cluster's lock and read its state: for verbs that change it.
    ///
    /// # Errors
    /// A file is malformed, or a symbolic link in the cluster's directory leads elsewhere.
    pub(crate) fn open(dirs: &StateDirs, name: &Name) -> Result<Self, StateError> {
        dirs.refuse_links(name)?;
        let lock = Lock::take_patiently(&dirs.lock(&format!("cluster-{name}")))?;
        Ok(ClusterState { _lock: Some(lock), ..Self::read(dirs, name)? })
    }

    /// Read the state without the lock: for verbs that look at it.
    ///
    /// # Errors
    /// A file is malformed.
    pub(crate) fn read(dirs: &StateDirs, name: &Name) -> Result<Self, StateError> {
        let members = Node::all(dirs, name)?.into_iter().map(Member::read).collect();
        Ok(ClusterState { name: name.clone(), members, dirs: dirs.clone(), _lock: None })
    }

    /// The cluster's directory and network; `None` before its first node is started.
    ///
    /// # Errors
    /// `network.json` is malformed.
    pub(crate) fn cluster(&self) -> Result<Option<Cluster>, ClusterError> {
        match Cluster::load(&self.dirs, &self.name) {
            Err(ClusterError::Unknown { .. }) => Ok(None),
            cluster => cluster.map(Some),
        }
    }

    /// The nodes of these names, or all when `names` is empty.
    ///
    /// # Errors
    /// A name is not that of a node.
    pub(crate) fn choose(&self, names: &[Name]) -> Result<Vec<&Member>, StateError> {
        if names.is_empty() {
            return Ok(self.members.iter().collect());
        }
        let unknown = |node: &Name| StateError::Unknown { node: node.clone(), cluster: self.name.clone() };
        names.iter().map(|name| self.member(name).ok_or_else(|| unknown(name))).collect()
    }

    /// The node of this name.
    pub(crate) fn member(&self, name: &Name) -> Option<&Member> {
        self.members.iter().find(|member| member.node.name == *name)
    }
}

/// Read one node of a cluster.
///
/// # Errors
/// The node does not exist.
pub(crate) fn find_node(dirs: &StateDirs, cluster: &Name, name: &Name) -> Result<Node, StateError> {
    let node = Node::load(dirs, cluster, name)?;
    node.ok_or_else(|| StateError::Unknown { node: name.clone(), cluster: cluster.clone() })
}
