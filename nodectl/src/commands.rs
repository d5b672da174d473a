//! What nodectl can do: one file a verb.

use foundation::name::Name;

pub(crate) mod build;
pub(crate) mod component;
pub(crate) mod doctor;
pub(crate) mod e2e;
pub(crate) mod exec;
pub(crate) mod images;
pub(crate) mod launch;
pub(crate) mod load;
pub(crate) mod logs;
pub(crate) mod ls;
pub(crate) mod rm;
pub(crate) mod rmi;
pub(crate) mod shell;
pub(crate) mod start;
pub(crate) mod stop;
pub(crate) mod supplies;
pub(crate) mod which;

/// Nodes of a cluster.
#[derive(Clone, Debug, clap::Args)]
pub struct NodesArgs {
    /// The nodes
    #[arg(value_name = "NODE", required_unless_present = "all", conflicts_with = "all")]
    pub(crate) names: Vec<Name>,
    /// All nodes of the cluster
    #[arg(long)]
    pub(crate) all: bool,
    /// The nodes' cluster
    #[arg(long, value_name = "NAME", env = "KUBEADM_SYSTEMD_CLUSTER", default_value = "default")]
    pub(crate) cluster: Name,
}

/// A node of a cluster.
#[derive(Clone, Debug, clap::Args)]
pub struct NodeArgs {
    /// The node's cluster
    #[arg(long, value_name = "NAME", env = "KUBEADM_SYSTEMD_CLUSTER", default_value = "default")]
    pub(crate) cluster: Name,
    /// The node
    #[arg(value_name = "NODE")]
    pub(crate) node: Name,
}
