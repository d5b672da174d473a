//! Make the host ready for nodes: kernel modules and sysctls. Idempotent, and part of every launch, as the host may have
//! been booted since the last one.

use foundation::command::CommandError;
use foundation::files::FileError;
use foundation::state::StateDirs;

use super::{modules, sysctl};

/// Why nodes cannot run on the host.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// A kernel module could not be loaded.
    #[error(transparent)]
    Module(#[from] CommandError),
    /// A sysctl could not be set.
    #[error(transparent)]
    Sysctl(#[from] FileError),
}

/// Load what is not loaded, and set what is not set; `report` gets a line for each changed sysctl.
///
/// # Errors
/// The kernel lacks a module, or /proc/sys is read-only.
pub(crate) fn prepare(dirs: &StateDirs, report: impl FnMut(String)) -> Result<(), PrepareError> {
    modules::load()?;
    sysctl::apply(dirs, report)?;
    Ok(())
}
