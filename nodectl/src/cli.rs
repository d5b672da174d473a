//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use foundation::name::Name;
use foundation::state::StateDirs;

use crate::commands::doctor::DoctorArgs;
use crate::commands::load::LoadArgs;
use crate::commands::logs::LogsArgs;
use crate::commands::ls::LsArgs;
use crate::commands::start::StartArgs;
use crate::image::BuildArgs;
use crate::image::remove::RemoveArgs;
use crate::image::single::ComponentArgs;
use crate::image::suite::SuiteArgs;
use crate::image::whole::SuppliesArgs;

/// Build node images, and start, stop, list and remove nodes: machines under systemd-nspawn.
///
/// Records on standard output are JSON Lines; messages go to standard error.
#[derive(Debug, Parser)]
#[command(name = "nodectl", version, max_term_width = 120)]
pub struct Cli {
    /// Where things are kept.
    #[command(flatten)]
    pub dirs: StateDirs,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Nodes of a cluster.
#[derive(Clone, Debug, clap::Args)]
pub struct NodesArgs {
    /// The nodes
    #[arg(value_name = "NODE", required_unless_present = "all", conflicts_with = "all")]
    pub names: Vec<Name>,
    /// All nodes of the cluster
    #[arg(long)]
    pub all: bool,
    /// The nodes' cluster
    #[arg(long, value_name = "NAME", env = "KUBEADM_SYSTEMD_CLUSTER", default_value = "default")]
    pub cluster: Name,
}

/// What nodectl can do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Build a node image; prints an image record
    Build(BuildArgs),
    /// Build one component of a cluster, for `clusterctl swap`; prints a component record
    Component(ComponentArgs),
    /// Build what an upgrade brings to nodes, for `clusterctl upgrade`; prints a supplies record
    Supplies(SuppliesArgs),
    /// Build Kubernetes' own end-to-end tests and their images, for `clusterctl e2e`; prints a suite record
    E2e(SuiteArgs),
    /// List images
    Images {
        /// Print image records, as `nodectl build` does
        #[arg(long)]
        json: bool,
    },
    /// Remove images that no node was made from
    Rmi(RemoveArgs),
    /// Start nodes from the image record on standard input; prints a node record for each once it is up
    Start(StartArgs),
    /// Shut nodes down; their disks stay
    Stop {
        /// Which nodes.
        #[command(flatten)]
        nodes: NodesArgs,
        /// Seconds that a node may take to shut down before it is killed
        #[arg(long, value_name = "SECONDS", default_value_t = 30)]
        timeout: u64,
    },
    /// Remove nodes and their disks
    Rm(NodesArgs),
    /// List nodes
    Ls(LsArgs),
    /// Say what nodes need of this host, what was found, and what mends it
    Doctor(DoctorArgs),
    /// Load an archive of container images into running nodes, or have them pull from a registry on this host; prints a
    /// record for each
    Load(LoadArgs),
    /// Run a command in a node
    Exec {
        /// The node's cluster
        #[arg(long, value_name = "NAME", env = "KUBEADM_SYSTEMD_CLUSTER", default_value = "default")]
        cluster: Name,
        /// The node
        #[arg(value_name = "NODE")]
        node: Name,
        /// The command and its arguments
        #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
    /// Open a login shell in a node
    Shell {
        /// The node's cluster
        #[arg(long, value_name = "NAME", env = "KUBEADM_SYSTEMD_CLUSTER", default_value = "default")]
        cluster: Name,
        /// The node
        #[arg(value_name = "NODE")]
        node: Name,
    },
    /// Print where, on this host, a program of a cluster's image is
    Which {
        /// The cluster
        #[arg(long, value_name = "NAME", env = "KUBEADM_SYSTEMD_CLUSTER", default_value = "default")]
        cluster: Name,
        /// The program
        #[arg(value_name = "PROGRAM")]
        program: PathBuf,
    },
    /// Show a node's journal
    Logs {
        /// The node's cluster
        #[arg(long, value_name = "NAME", env = "KUBEADM_SYSTEMD_CLUSTER", default_value = "default")]
        cluster: Name,
        /// Which log.
        #[command(flatten)]
        logs: LogsArgs,
    },
    /// Become a node's machine; `start` runs this
    #[command(hide = true)]
    Launch {
        /// The node's cluster
        #[arg(long, value_name = "NAME")]
        cluster: Name,
        /// The node
        #[arg(value_name = "NODE")]
        node: Name,
    },
}
