//! Have nodectl build something, and read the records that it prints.

use std::process::{Command, Stdio};

use foundation::command::{self, CommandError};
use foundation::record::{self, Record, RecordError};
use foundation::state::StateDirs;
use nix::sys::signal::Signal;

/// Why it has built nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuilderError {
    /// It could not be run.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// It has said why.
    #[error("{0} failed")]
    Failed(String),
    /// Its records cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// The records that nodectl prints when it is called with `words`.
///
/// # Errors
/// When it fails: it has said why on standard error.
pub(crate) fn records<T: Record>(dirs: &StateDirs, words: &[&str]) -> Result<Vec<T>, BuilderError> {
    // Of one build with us, where that is known.
    let beside = std::env::current_exe().unwrap_or_default().with_file_name("nodectl");
    let mut nodectl = Command::new(if beside.is_file() { beside } else { "nodectl".into() });
    nodectl.arg("--state-dir").arg(&dirs.state).arg("--run-dir").arg(&dirs.run);
    nodectl.args(words).stdin(Stdio::null()).stderr(Stdio::inherit());
    let command = command::shown(&nodectl);
    // SIGTERM even if SIGKILL ends us: nodectl then ends the build that it has begun.
    let output = command::end_with_us(&mut nodectl, Signal::SIGTERM).output();
    let output = output.map_err(command::not_started(&nodectl))?;
    if !output.status.success() {
        return Err(BuilderError::Failed(command));
    }
    Ok(record::read_all(output.stdout.as_slice())?)
}
