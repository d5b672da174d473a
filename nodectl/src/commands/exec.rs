//! Run a command inside a node, by its namespaces: works without its network and without its sshd.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal};
use std::os::unix::process::CommandExt;
use std::process::Command;

use foundation::command::{self, CommandError};
use foundation::files::FileError;
use foundation::state::StateDirs;

use crate::node::{Machine, Node};

/// What a login on the node would have in PATH.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why a command could not be run in a node.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// The node has no machine.
    #[error("node {node} is not running; start it with `nodectl start --cluster {cluster} {node}`")]
    Stopped {
        /// The node.
        node: String,
        /// Its cluster.
        cluster: String,
    },
    /// Its record could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// nsenter is missing.
    #[error(transparent)]
    Missing(#[from] CommandError),
    /// nsenter could not be run.
    #[error("cannot run nsenter")]
    Exec(#[source] io::Error),
}

/// The command that runs `words` in all namespaces of `leader`, a node's PID 1, with the environment of a login. What
/// runs there is told when nsenter ends, which need not have waited for it: by SIGHUP, which nohup(1) withstands.
pub fn command<S: AsRef<OsStr>>(leader: i32, words: impl IntoIterator<Item = S>) -> Command {
    let mut nsenter = Command::new("nsenter");
    nsenter.arg(format!("--target={leader}")).args(["--all", "--wdns=/root", "--"]);
    // nsenter is its parent, but no signal that ends nsenter reaches it.
    nsenter.args(["setpriv", "--pdeathsig=HUP", "--"]);
    nsenter.args(words);
    let term = std::env::var_os("TERM").unwrap_or_else(|| OsString::from("dumb"));
    nsenter
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", "/root")
        .env("USER", "root")
        .env("LANG", "C.UTF-8")
        .env("TERM", term);
    nsenter
}

/// The node's PID 1, by its process id on the host.
///
/// # Errors
/// When the node does not run.
pub fn leader(dirs: &StateDirs, node: &Node) -> Result<i32, ExecError> {
    let machine = node.machine(dirs)?;
    let stopped = || ExecError::Stopped { node: node.name.to_string(), cluster: node.cluster.to_string() };
    Ok(machine.as_ref().and_then(Machine::find_leader).ok_or_else(stopped)?.pid)
}

/// Become `words` inside the node; its exit status is ours.
///
/// # Errors
/// When the node does not run.
pub fn run(dirs: &StateDirs, node: &Node, words: &[OsString]) -> Result<Infallible, ExecError> {
    let leader = leader(dirs, node)?;
    command::find("nsenter", "util-linux")?;
    let mut nsenter = command(leader, words);
    Err(ExecError::Exec(nsenter.exec()))
}

/// A login shell: on a terminal one with line editing and job control of its own (script(1) gives it a pty of the node).
///
/// # Errors
/// When the node does not run.
pub fn shell(dirs: &StateDirs, node: &Node) -> Result<Infallible, ExecError> {
    let words: &[&str] = if io::stdin().is_terminal() {
        &["script", "--quiet", "--return", "--command", "bash --login", "/dev/null"]
    } else {
        &["bash", "--login"]
    };
    run(dirs, node, &words.iter().map(OsString::from).collect::<Vec<_>>())
}
