//! Undo all that a record says, in the reverse order of its making.

use std::io;
use std::time::Duration;

use foundation::files::FileError;
use foundation::lock::{LockError, Mode};
use foundation::name::MachineName;
use foundation::process::end_all;

use super::detach::{self, DetachError};
use super::record::{Record, Recorded};
use super::shared::{self, SharedError};
use super::{locks, unix_export};
use crate::cni::conf::ConfError;
use crate::cni::{Chain, NetworkList, processes};
use crate::dirs::Dirs;
use crate::host::netns::{self, NetnsError};

/// How long a plugin may go on that was running when its cnispawn was killed; it may be in the middle of something.
const PLUGIN_GRACE: Duration = Duration::from_secs(2);
/// How long a killed process may take to be gone.
const KILLED: Duration = Duration::from_secs(20);

/// Why something is left behind. What is not undone stays recorded, and is tried again by `run` and `gc`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UndoError {
    /// They hang in the kernel.
    #[error("processes {pids:?} of container {name} do not end; look at /proc/{}/stack", pids[0])]
    Unkillable { name: MachineName, pids: Vec<i32> },
    #[error("cannot look for the processes of container {name}")]
    Processes { name: MachineName, source: io::Error },
    #[error("cannot detach container {name}")]
    Detach { name: MachineName, source: DetachError },
    #[error("the record of container {name} holds no valid network configuration")]
    Conf { name: MachineName, source: ConfError },
    #[error(transparent)]
    Shared(#[from] SharedError),
    #[error(transparent)]
    Netns(#[from] NetnsError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    File(#[from] FileError),
}

/// Undo all that the record says. The caller holds the container's lock. On failure the record stays.
pub(crate) fn undo(dirs: &Dirs, record: &Record) -> Result<(), UndoError> {
    tracing::debug!("undoing container {}", record.name);
    end_processes(record)?;
    unix_export::remove(&record.name)?;
    for recorded in record.attachments.iter().rev() {
        detach(dirs, record, recorded)?;
    }
    netns::remove(&record.netns)?;
    let lists = record.attachments.iter().map(|recorded| list(record, recorded)).collect::<Result<Vec<_>, _>>()?;
    let attachments = record.attachments.iter().map(|recorded| &recorded.attachment);
    let _alone = locks::exclude(dirs, lists.iter().zip(attachments))?;
    shared::remove_unused(dirs, record, &lists)?;
    Ok(record.remove(dirs)?)
}

/// End the plugins that a killed cnispawn has left in the middle of ADD or DEL, then all that still runs in the
/// container: a systemd-nspawn that is killed leaves the container's processes running.
fn end_processes(record: &Record) -> Result<(), UndoError> {
    let name = || record.name.clone();
    let unread = |source| UndoError::Processes { name: name(), source };
    let plugins = || processes::of_attachment(record.name.as_str(), &record.netns, None);
    let mut pids = end_all(plugins, PLUGIN_GRACE, KILLED).map_err(unread)?;
    pids.extend(end_all(|| netns::processes(&record.netns), Duration::ZERO, KILLED).map_err(unread)?);
    if pids.is_empty() { Ok(()) } else { Err(UndoError::Unkillable { name: name(), pids }) }
}

/// DEL, before the namespace is removed: without it, the plugins free the address but leave their iptables rules.
fn detach(dirs: &Dirs, record: &Record, recorded: &Recorded) -> Result<(), UndoError> {
    let list = list(record, recorded)?;
    let cache = dirs.cache_at(&record.cache_dir);
    let chain = Chain { list: &list, plugins: &recorded.plugins, cache: &cache };
    let _lock = locks::network(dirs, &list.name, Mode::Shared)?;
    let detached = detach::detach(dirs, &chain, &recorded.attachment);
    detached.map_err(|source| UndoError::Detach { name: record.name.clone(), source })
}

fn list(record: &Record, recorded: &Recorded) -> Result<NetworkList, UndoError> {
    recorded.list().map_err(|source| UndoError::Conf { name: record.name.clone(), source })
}
