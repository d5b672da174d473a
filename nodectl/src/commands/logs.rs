//! `nodectl logs`: a node's journal, whether it runs or not, or its console.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use foundation::command::{self, CommandError};
use foundation::state::StateDirs;

use super::NodeArgs;
use super::exec::{self, ExecError};
use crate::cluster::state::{StateError, find_node};
use crate::node::namespaces::EnterError;

/// Options of `nodectl logs`.
#[derive(Clone, Debug, clap::Args)]
pub struct LogsArgs {
    /// Which node.
    #[command(flatten)]
    node: NodeArgs,
    /// Go on as more is logged
    #[arg(short, long)]
    follow: bool,
    /// Only this unit: kubelet, containerd, ...
    #[arg(short, long, value_name = "UNIT")]
    unit: Option<String>,
    /// The console instead of the journal: what systemd-nspawn and the boot printed
    #[arg(long, conflicts_with_all = ["unit"])]
    console: bool,
}

/// Why a log could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// The node could not be found.
    #[error(transparent)]
    State(#[from] StateError),
    /// journalctl could not be run inside the node.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// The host has no journalctl.
    #[error(transparent)]
    Missing(#[from] CommandError),
    /// The program that shows the log could not be run.
    #[error("cannot run {program}")]
    Run {
        /// The program.
        program: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// Become the program that shows the log. Returns only on failure.
///
/// # Errors
/// The node does not exist, or the program cannot be run.
pub(crate) fn run(args: &LogsArgs, dirs: &StateDirs) -> Result<Infallible, LogsError> {
    let node = find_node(dirs, &args.node.cluster, &args.node.node)?;
    if args.console {
        let mut tail = Command::new("tail");
        tail.arg("--lines=+1").args(args.follow.then_some("--follow")).arg(node.console_log());
        return Err(LogsError::Run { program: "tail", source: tail.exec() });
    }
    let mut words: Vec<OsString> = vec!["journalctl".into(), "--no-pager".into(), "--quiet".into()];
    words.extend(args.follow.then(|| "--follow".into()));
    words.extend(args.unit.iter().map(|unit| format!("--unit={unit}").into()));
    match node.leader() {
        Ok(_) => return Ok(exec::become_in(&node, &words)?),
        Err(EnterError::Stopped { .. }) => {}
        Err(error) => return Err(ExecError::from(error).into()),
    }
    // Of a node that does not run, the journal is in its upper directory.
    command::find("journalctl", "systemd")?;
    let mut journalctl = Command::new("journalctl");
    journalctl.arg("--directory").arg(node.dir().join("upper/var/log/journal")).args(&words[1..]);
    Err(LogsError::Run { program: "journalctl", source: journalctl.exec() })
}
