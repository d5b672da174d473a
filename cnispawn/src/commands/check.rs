//! `cnispawn check`: check that a network namespace is as it was added.

use std::path::Path;

use foundation::lock::{LockError, Mode};

use super::attachment::{self, ArgumentsError};
use crate::cli::AttachArgs;
use crate::cni::chain::ChainError;
use crate::cni::{Chain, Plugins};
use crate::container::locks;
use crate::dirs::Dirs;

/// Why the attachment is not known to be as it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckError {
    #[error(transparent)]
    Arguments(#[from] ArgumentsError),
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Lock(#[from] LockError),
}

pub(crate) fn run(args: &AttachArgs, conf_dir: &Path, plugins: &Plugins, dirs: &Dirs) -> Result<(), CheckError> {
    let (list, attachment) = attachment::described(args, conf_dir, dirs)?;
    let _lock = locks::network(dirs, &list.name, Mode::Shared)?;
    Ok(Chain { list: &list, plugins, cache: &dirs.cache() }.check(&attachment)?)
}
