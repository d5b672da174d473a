//! `nodectl exec`: run a command in a node.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;

use foundation::command::{self, CommandError};
use foundation::state::StateDirs;

use super::NodeArgs;
use crate::cluster::state::{StateError, find_node};
use crate::node::Node;
use crate::node::namespaces::{self, EnterError};

/// Options of `nodectl exec`.
#[derive(Clone, Debug, clap::Args)]
pub struct ExecArgs {
    /// Which node.
    #[command(flatten)]
    node: NodeArgs,
    /// The command and its arguments
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// Why a command could not be run in a node.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// The node could not be found.
    #[error(transparent)]
    State(#[from] StateError),
    /// The node does not run.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// nsenter is missing.
    #[error(transparent)]
    Missing(#[from] CommandError),
    /// nsenter could not be run.
    #[error("cannot run nsenter")]
    Exec(#[source] io::Error),
}

/// Become the command inside the node. Returns only on failure.
///
/// # Errors
/// The node does not exist or run.
pub(crate) fn run(args: &ExecArgs, dirs: &StateDirs) -> Result<Infallible, ExecError> {
    become_in(&find_node(dirs, &args.node.cluster, &args.node.node)?, &args.command)
}

/// Become `words` inside the node. Returns only on failure.
///
/// # Errors
/// The node does not run.
pub(super) fn become_in<S: AsRef<OsStr>>(node: &Node, words: &[S]) -> Result<Infallible, ExecError> {
    let leader = node.leader()?;
    command::find("nsenter", "util-linux")?;
    Err(ExecError::Exec(namespaces::command(leader, words).exec()))
}
