//! Have a node's machine run: by systemd where it is PID 1, as a transient unit; elsewhere as a daemon of ours.

mod daemon;
mod systemd;
pub(crate) mod unit;

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::time::Duration;

use foundation::command::CommandError;
use foundation::files::FileError;
use foundation::name::Name;
use foundation::process::Process;

use super::Node;
use crate::host::Supervisor;

/// How often a machine that is starting is looked at.
pub(crate) const TICK: Duration = Duration::from_millis(50);

/// Why a machine could not be launched.
#[derive(Debug, thiserror::Error)]
pub enum SuperviseError {
    /// The process could not be started.
    #[error("cannot launch node {node}")]
    Spawn {
        /// The node.
        node: Name,
        /// Why.
        source: io::Error,
    },
    /// A program is missing, or systemd refused.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A file could not be opened, or our own path not read.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A machine that has been launched and is not up yet.
pub(crate) trait Starting {
    /// What is new. Returns within a [`TICK`].
    fn progress(&mut self) -> Progress;
    /// When it has ended: what its supervisor reports about that.
    fn ended(&mut self) -> Option<String>;
}

/// What is new of a machine.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Its own PID 1, once it is known.
    pub(crate) leader: Option<Process>,
    /// Its systemd has started.
    pub(crate) ready: bool,
}

/// Launch the node's machine.
pub(crate) fn launch(supervisor: Supervisor, node: &Node) -> Result<Box<dyn Starting + '_>, SuperviseError> {
    Ok(match supervisor {
        Supervisor::Systemd => Box::new(systemd::Systemd::launch(node)?),
        Supervisor::Nobody => Box::new(daemon::Daemon::launch(node)?),
    })
}

/// The command line that becomes the node's machine.
fn launch_command(node: &Node) -> Result<Vec<OsString>, FileError> {
    let this = std::env::current_exe().map_err(FileError::of("read", Path::new("/proc/self/exe")))?;
    let mut words = vec![this.into(), "launch".into()];
    words.extend(["--cluster", node.cluster.as_str(), node.name.as_str(), "--state-dir"].map(OsString::from));
    words.push(node.dirs.state.clone().into());
    words.extend(["--run-dir".into(), node.dirs.run.clone().into()]);
    Ok(words)
}
