//! `nodectl stop`: shut nodes down.

use std::time::Duration;

use foundation::state::StateDirs;

use super::NodesArgs;
use crate::cluster::state::{ClusterState, StateError};
use crate::failures::Failures;
use crate::node::end::{self, How};

/// Options of `nodectl stop`.
#[derive(Clone, Debug, clap::Args)]
pub struct StopArgs {
    /// Which nodes.
    #[command(flatten)]
    nodes: NodesArgs,
    /// Seconds that a node may take to shut down before it is killed
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u64,
}

/// Why nodes were not stopped.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// The nodes could not be found.
    #[error(transparent)]
    State(#[from] StateError),
    /// Some did not end, or left something behind.
    #[error(transparent)]
    Failures(#[from] Failures),
}

/// Shut the nodes down, all at the same time.
///
/// # Errors
/// A node does not exist, or all that failed.
pub(crate) fn run(args: &StopArgs, dirs: &StateDirs) -> Result<(), StopError> {
    let state = ClusterState::open(dirs, &args.nodes.cluster)?;
    let nodes: Vec<_> = state.choose(&args.nodes.names)?.into_iter().map(|member| &member.node).collect();
    Ok(end::all(dirs, &nodes, How::PowerOff(Duration::from_secs(args.timeout)))?)
}
