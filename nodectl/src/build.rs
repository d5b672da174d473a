//! STUB by lead until the real one is written: overwrite me.
use crate::state::StateDirs;
/// Args.
#[derive(Clone, Debug, clap::Args)]
pub struct BuildArgs {}
/// Error.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(#[from] crate::files::FileError);
/// Run.
pub fn run(_args: &BuildArgs, _dirs: &StateDirs, _output: impl std::io::Write) -> Result<(), Error> {
    Ok(())
}
