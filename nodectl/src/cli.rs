//! The command line.

use clap::{Parser, Subcommand};
use foundation::state::StateDirs;

use crate::commands::build::BuildArgs;
use crate::commands::component::ComponentArgs;
use crate::commands::doctor::DoctorArgs;
use crate::commands::e2e::SuiteArgs;
use crate::commands::exec::ExecArgs;
use crate::commands::load::LoadArgs;
use crate::commands::logs::LogsArgs;
use crate::commands::ls::LsArgs;
use crate::commands::rmi::RemoveArgs;
use crate::commands::start::StartArgs;
use crate::commands::stop::StopArgs;
use crate::commands::supplies::SuppliesArgs;
use crate::commands::which::WhichArgs;
use crate::commands::{NodeArgs, NodesArgs};

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
    /// Start nodes, new ones from the image record on standard input; prints a node record for each once it is up
    Start(StartArgs),
    /// Shut nodes down; their disks stay
    Stop(StopArgs),
    /// Remove nodes and their disks
    Rm(NodesArgs),
    /// List nodes
    Ls(LsArgs),
    /// Check what nodes need of this host; prints what was found and how to mend it
    Doctor(DoctorArgs),
    /// Load an archive of container images into running nodes, or have them pull from a registry on this host; prints a
    /// record for each
    Load(LoadArgs),
    /// Run a command in a node
    Exec(ExecArgs),
    /// Open a login shell in a node
    Shell(NodeArgs),
    /// Print where, on this host, a program of a cluster's image is
    Which(WhichArgs),
    /// Show a node's journal
    Logs(LogsArgs),
    /// Become a node's machine; `start` runs this
    #[command(hide = true)]
    Launch(NodeArgs),
}
