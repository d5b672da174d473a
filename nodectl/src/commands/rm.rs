//! `nodectl rm`: remove nodes and their disks.

use foundation::state::StateDirs;

use super::NodesArgs;
use crate::cluster::remove;
use crate::cluster::state::{ClusterState, StateError};
use crate::failures::Failures;
use crate::say::say;

/// Why nodes were not removed.
#[derive(Debug, thiserror::Error)]
pub enum RmError {
    /// The nodes could not be found.
    #[error(transparent)]
    State(#[from] StateError),
    /// Something is left.
    #[error(transparent)]
    Failures(#[from] Failures),
}

/// Remove the nodes, and with the last one what they shared.
///
/// # Errors
/// A node does not exist, or all that failed.
pub(crate) fn run(args: &NodesArgs, dirs: &StateDirs) -> Result<(), RmError> {
    let mut state = ClusterState::open(dirs, &args.cluster)?;
    let nodes: Vec<_> = state.choose(&args.names)?.into_iter().map(|member| member.node.clone()).collect();
    Ok(remove::nodes(&mut state, &nodes, |line| say(&line))?)
}
