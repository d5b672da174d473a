//! Run a command inside a node by its namespaces: it needs neither the node's network nor its sshd.

use std::ffi::{OsStr, OsString};
use std::process::Command;

use foundation::files::FileError;
use foundation::name::Name;
use foundation::record::State;

use super::Node;
use super::machine::Machine;

/// What a login on the node would have in PATH.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why a node's namespaces cannot be entered.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// The node does not run.
    #[error("node {node} is not running; start it with `nodectl start --cluster {cluster} {node}`")]
    Stopped {
        /// The node.
        node: Name,
        /// Its cluster.
        cluster: Name,
    },
    /// Its machine's file is damaged.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The command that runs `words` in all namespaces of `leader`, a node's PID 1, with the environment of a login. When
/// nsenter ends first, the command gets SIGHUP, which nohup(1) withstands.
pub(crate) fn command<S: AsRef<OsStr>>(leader: i32, words: impl IntoIterator<Item = S>) -> Command {
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

impl Node {
    /// The node's PID 1, by its process id on the host.
    pub(crate) fn leader(&self) -> Result<i32, EnterError> {
        self.leader_of(self.machine()?.as_ref())
    }

    /// [`Node::leader`], of a machine that has been read already.
    pub(crate) fn leader_of(&self, machine: Option<&Machine>) -> Result<i32, EnterError> {
        let stopped = || EnterError::Stopped { node: self.name.clone(), cluster: self.cluster.clone() };
        Ok(machine.and_then(Machine::find_leader).ok_or_else(stopped)?.pid)
    }
}

impl Machine {
    /// What `systemctl is-system-running` prints inside.
    pub(crate) fn system_state(&self) -> State {
        let Some(leader) = self.find_leader() else { return State::Starting };
        // It ends non-zero in every state but `running`: what it prints is what counts.
        let output = command(leader.pid, ["systemctl", "is-system-running"]).output();
        let printed = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        match printed.unwrap_or_default().as_str() {
            "running" => State::Running,
            "degraded" => State::Degraded,
            _ => State::Starting,
        }
    }
}
