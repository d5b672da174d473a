//! Show a node's journal, of a running or a stopped one, or its console.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use foundation::command::{self, CommandError};
use foundation::state::StateDirs;

use crate::commands::exec::{self, ExecError};
use crate::node::{Machine, Node};

/// What `nodectl logs` is asked.
#[derive(Clone, Debug, clap::Args)]
pub struct LogsArgs {
    /// The node
    #[arg(value_name = "NODE")]
    pub node: foundation::name::Name,
    /// Go on as more comes
    #[arg(short, long)]
    pub follow: bool,
    /// Only this unit: kubelet, containerd, ...
    #[arg(short, long, value_name = "UNIT")]
    pub unit: Option<String>,
    /// The console, not the journal: what systemd-nspawn and the boot printed
    #[arg(long, conflicts_with_all = ["unit"])]
    pub console: bool,
}

/// Why a log could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// Inside the node.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// On the host.
    #[error(transparent)]
    Missing(#[from] CommandError),
    /// The program that shows it could not be run.
    #[error("cannot run {program}")]
    Run {
        /// The program.
        program: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// Become the program that shows the log.
///
/// # Errors
/// When it cannot be run.
pub fn run(dirs: &StateDirs, node: &Node, args: &LogsArgs) -> Result<Infallible, LogsError> {
    if args.console {
        let mut tail = Command::new("tail");
        tail.arg("--lines=+1").args(args.follow.then_some("--follow")).arg(node.console_log(dirs));
        return Err(LogsError::Run { program: "tail", source: tail.exec() });
    }
    let mut words: Vec<OsString> = vec!["--no-pager".into(), "--quiet".into()];
    words.extend(args.follow.then(|| "--follow".into()));
    words.extend(args.unit.iter().map(|unit| format!("--unit={unit}").into()));
    let machine = node.machine(dirs).map_err(ExecError::from)?;
    if machine.as_ref().and_then(Machine::find_leader).is_some() {
        words.insert(0, "journalctl".into());
        return Ok(exec::run(dirs, node, &words)?);
    }
    // Stopped: its journal lies in its upper directory.
    command::find("journalctl", "systemd")?;
    let mut journalctl = Command::new("journalctl");
    journalctl.arg("--directory").arg(node.dir(dirs).join("upper/var/log/journal")).args(words);
    Err(LogsError::Run { program: "journalctl", source: journalctl.exec() })
}
