//! `nodectl shell`: a login shell in a node.

use std::convert::Infallible;
use std::io::{self, IsTerminal};

use foundation::state::StateDirs;

use super::NodeArgs;
use super::exec::{self, ExecError};
use crate::cluster::state::find_node;

/// Become a login shell in the node. On a terminal, script(1) gives it a pty of the node's, and so line editing and job
/// control. Returns only on failure.
///
/// # Errors
/// The node does not exist or run.
pub(crate) fn run(args: &NodeArgs, dirs: &StateDirs) -> Result<Infallible, ExecError> {
    let node = find_node(dirs, &args.cluster, &args.node)?;
    let words: &[&str] = if io::stdin().is_terminal() {
        &["script", "--quiet", "--return", "--command", "bash --login", "/dev/null"]
    } else {
        &["bash", "--login"]
    };
    exec::become_in(&node, words)
}
