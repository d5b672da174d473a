//! Undo what ended containers have left behind: after a reboot, or when their watchers were killed.

use crate::dirs::Dirs;
use crate::files::FileError;
use crate::heal::{self, HealError};
use crate::record::Record;

/// Why something is left.
#[derive(Debug, thiserror::Error)]
pub enum GcError {
    /// One line for each container.
    #[error("{}", .0.join("\n"))]
    Left(Vec<String>),
    /// The records could not be read.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Undo all ended containers, waiting for watchers that are at it. Goes on past errors.
///
/// # Errors
/// When something is left; all that is, is listed.
pub fn run(dirs: &Dirs) -> Result<(), GcError> {
    let mut left = Vec::new();
    for record in Record::all(dirs)? {
        let collected = record.map_err(HealError::from).and_then(|record| collect(dirs, &record));
        left.extend(collected.err().map(|error| crate::error_chain(&error)));
    }
    if left.is_empty() { Ok(()) } else { Err(GcError::Left(left)) }
}

fn collect(dirs: &Dirs, record: &Record) -> Result<(), HealError> {
    if record.process.is_alive() {
        return Ok(());
    }
    match heal::claim(dirs, &record.name) {
        Ok(lock) => Ok(heal::release(dirs, &record.name, lock)?),
        // Started anew in the meantime.
        Err(HealError::Running { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
