//! `cnispawn del`: delete a network namespace from a network.

use std::path::Path;

use foundation::lock::Mode;

use super::attachment::{self, OperationError};
use crate::cli::AttachArgs;
use crate::cni::{Chain, Plugins};
use crate::container::{detach, locks};
use crate::dirs::Dirs;

/// One DEL, as cnitool does it.
pub(crate) fn run(args: &AttachArgs, conf_dir: &Path, plugins: &Plugins, dirs: &Dirs) -> Result<(), OperationError> {
    let (list, attachment) = attachment::described(args, conf_dir, dirs)?;
    let _lock = locks::network(dirs, &list.name, Mode::Shared)?;
    let cache = dirs.cache();
    let chain = Chain { list: &list, plugins, cache: &cache };
    let _lock = detach::chains_lock(dirs, &chain)?;
    Ok(chain.del(&attachment)?)
}
