//! Have nodectl build something, and read the records that it prints.

use std::process::{Command, Stdio};

use nodectl::command::{self, CommandError};
use nodectl::record::{self, Record, RecordError};
use nodectl::state::StateDirs;

/// Why there is none of what nodectl should build.
#[derive(Debug, thiserror::Error)]
pub enum NodectlError {
    /// It could not be run.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// It has said why.
    #[error("nothing was built: {command} failed")]
    Failed {
        /// The command.
        command: String,
    },
    /// Its records cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// The records that nodectl prints, run with these arguments on the same state; what it says goes where our messages go.
///
/// # Errors
/// When it cannot be run, or fails.
pub fn records<R: Record>(dirs: &StateDirs, arguments: &[&str]) -> Result<Vec<R>, NodectlError> {
    // Of one build with us, where that is known.
    let beside = std::env::current_exe().unwrap_or_default().with_file_name("nodectl");
    let mut nodectl = Command::new(if beside.is_file() { beside } else { "nodectl".into() });
    nodectl.arg("--state-dir").arg(&dirs.state).arg("--run-dir").arg(&dirs.run);
    nodectl.args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit());
    let command = command::shown(&nodectl);
    let output = nodectl.output().map_err(|source| CommandError::Spawn { command: command.clone(), source })?;
    if !output.status.success() {
        return Err(NodectlError::Failed { command });
    }
    Ok(record::read_all(output.stdout.as_slice())?)
}
