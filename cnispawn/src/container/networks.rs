//! Find a network: in the configuration directory, or the one that is built in.

use std::path::Path;

use super::builtin::{self, BuiltinError};
use crate::cni::NetworkList;
use crate::cni::discovery::{self, DEFAULT_CONF_DIR, DiscoveryError};
use crate::dirs::Dirs;

/// Why there is no network.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NetworksError {
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    #[error(transparent)]
    Builtin(#[from] BuiltinError),
}

/// The network `name`; without a name the directory's first. Where the directory has none at all, the network is the
/// built-in one, which also has a name.
pub(crate) fn find(conf_dir: &Path, name: Option<&str>, dirs: &Dirs) -> Result<NetworkList, NetworksError> {
    match discovery::find(conf_dir, name) {
        Err(_) if name == Some(builtin::NAME) => Ok(builtin::list(dirs)?),
        // The default directory need not be there; one that the user has named must.
        Err(DiscoveryError::NoDir { .. }) if name.is_none() && conf_dir == Path::new(DEFAULT_CONF_DIR) => {
            Ok(builtin::list(dirs)?)
        }
        Err(error) if name.is_none() && error.is_nothing_there() => Ok(builtin::list(dirs)?),
        found => Ok(found?),
    }
}
