//! `cnispawn check`: check that a network namespace is as it was added.

use std::path::Path;

use foundation::lock::Mode;

use super::attachment::{self, OperationError};
use crate::cli::AttachArgs;
use crate::cni::{Chain, Plugins};
use crate::container::locks;
use crate::dirs::Dirs;

pub(crate) fn run(args: &AttachArgs, conf_dir: &Path, plugins: &Plugins, dirs: &Dirs) -> Result<(), OperationError> {
    let (list, attachment) = attachment::described(args, conf_dir, dirs)?;
    let _lock = locks::network(dirs, &list.name, Mode::Shared)?;
    Ok(Chain { list: &list, plugins, cache: &dirs.cache() }.check(&attachment)?)
}
