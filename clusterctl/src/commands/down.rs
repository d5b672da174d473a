//! Take a cluster apart, and forget it.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use foundation::files::FileError;
use foundation::name::Name;
use foundation::state::StateDirs;

use crate::ansible::{Ansible, AnsibleArgs, AnsibleError, Play};
use crate::cluster::{ClusterFiles, OpenError};

/// How long a reset may take.
const DEADLINE: Duration = Duration::from_secs(300);

/// Why a cluster was not taken apart.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DownError {
    /// The cluster does not exist, or its inventory cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The playbook failed.
    #[error("cannot reset the nodes; if they are gone, forget the cluster with --no-reset")]
    Ansible(#[from] AnsibleError),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Reset the cluster's nodes, unless `no_reset`, and remove what we keep of it.
///
/// # Errors
/// When a node cannot be reset: then nothing is forgotten.
pub(crate) fn run(
    dirs: &StateDirs,
    ansible: &AnsibleArgs,
    name: &Name,
    no_reset: bool,
    interrupted: &AtomicBool,
) -> Result<(), DownError> {
    let cluster = ClusterFiles::new(dirs, name);
    let _lock = cluster.lock(dirs)?;
    if !no_reset {
        cluster.open()?;
        Ansible::find(ansible, dirs)?.run(&Play::new("down"), DEADLINE, dirs, &cluster, interrupted)?;
    }
    Ok(cluster.remove()?)
}
