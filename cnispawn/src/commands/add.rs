//! `cnispawn add`: add a network namespace that another program has made to a network.

use std::path::{Path, PathBuf};

use foundation::error_chain;
use foundation::lock::{LockError, Mode};
use serde_json::Value;

use super::attachment::{self, ArgumentsError};
use crate::cli::AttachArgs;
use crate::cni::chain::ChainError;
use crate::cni::{Chain, Plugins};
use crate::container::locks;
use crate::dirs::Dirs;
use crate::host::netns::{self, NetnsError};

/// Why nothing was added.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AddError {
    #[error("network namespace {} has an interface {if_name} already; `cnispawn del` it or choose another --ifname", netns.display())]
    Exists { netns: PathBuf, if_name: String },
    #[error("{} is not a network namespace; make one with `ip netns add`", path.display())]
    NoNetns { path: PathBuf },
    /// ADD failed, and so did DEL.
    #[error("{add}\nand what it left could not be deleted: {del}")]
    NotRolledBack { add: String, del: String },
    #[error(transparent)]
    Arguments(#[from] ArgumentsError),
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Netns(#[from] NetnsError),
    #[error(transparent)]
    Lock(#[from] LockError),
}

/// ADD, rolled back when it fails. Returns the result.
pub(crate) fn run(args: &AttachArgs, conf_dir: &Path, plugins: &Plugins, dirs: &Dirs) -> Result<Value, AddError> {
    let (list, attachment) = attachment::described(args, conf_dir, dirs)?;
    let cache = dirs.cache();
    let chain = Chain { list: &list, plugins, cache: &cache };
    chain.check_programs()?;
    // Before ADD: the DEL after a failed ADD would delete an interface that is not ours.
    if !netns::exists(&attachment.netns) {
        return Err(AddError::NoNetns { path: attachment.netns });
    }
    if netns::has_interface(&attachment.netns, &attachment.if_name)? {
        return Err(AddError::Exists { netns: attachment.netns, if_name: attachment.if_name });
    }
    let _lock = locks::network(dirs, &list.name, Mode::Shared)?;
    chain.add(&attachment).map_err(|add| match chain.del(&attachment) {
        Ok(()) => add.into(),
        Err(del) => AddError::NotRolledBack { add: error_chain(&add), del: error_chain(&del) },
    })
}
