//! Undo what a container has left behind, in the reverse order of its making.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use foundation::files::FileError;
use foundation::lock::{Lock, LockError, Mode};
use foundation::name::MachineName;
use foundation::process::end_all;

use crate::cni::conf::ConfError;
use crate::cni::orphan;
use crate::cni::{Chain, NetworkList};
use crate::container::detach::{self, DetachError};
use crate::container::networks;
use crate::container::record::{Record, RecordError, Recorded};
use crate::container::unix_export;
use crate::dirs::Dirs;
use crate::host::bridge::{self, BridgeError};
use crate::host::hostport::{self, HostportError};
use crate::host::netns::{self, NetnsError};
use crate::host::{self, HostError};

/// How long a plugin may go on that was executing when its cnispawn was killed; it may be in the middle of something.
const PLUGIN_GRACE: Duration = Duration::from_secs(2);
/// How long a killed process may take to be gone.
const KILLED: Duration = Duration::from_secs(20);
/// How long others may hold a lock: the time that a chain of slow plugins takes.
pub const LOCKED: Duration = Duration::from_secs(180);

/// Why something is left behind. What is not undone stays recorded, and is tried again by `run` and `gc`.
#[derive(Debug, thiserror::Error)]
pub enum HealError {
    /// The container runs.
    #[error("container {name} runs already, as process {pid}; choose another name or stop it")]
    Running {
        /// The container.
        name: MachineName,
        /// Its process.
        pid: i32,
    },
    /// Processes survive SIGKILL: they hang in the kernel.
    #[error("processes {pids:?} of container {name} do not end; look at /proc/{}/stack", pids[0])]
    Unkillable {
        /// The container.
        name: MachineName,
        /// The processes.
        pids: Vec<i32>,
    },
    /// /proc could not be read.
    #[error("cannot look for the processes of container {name}")]
    Processes {
        /// The container.
        name: MachineName,
        /// Why.
        source: io::Error,
    },
    /// DEL failed, several times.
    #[error("cannot detach container {name}")]
    Detach {
        /// The container.
        name: MachineName,
        /// Why.
        source: DetachError,
    },
    /// A bridge could not be deleted.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    /// Chains could not be deleted.
    #[error(transparent)]
    Hostport(#[from] HostportError),
    /// The host's other programs could not be told.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The record's configuration is not one.
    #[error("the record of container {name} holds no network configuration")]
    Conf {
        /// The container.
        name: MachineName,
        /// Why.
        source: ConfError,
    },
    /// The network namespace could not be removed.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// The record could not be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A lock was not given back.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Take the container's lock, once nothing of an earlier container of this name is left.
///
/// # Errors
/// When the container runs, or something cannot be undone.
pub fn claim(dirs: &Dirs, name: &MachineName) -> Result<Lock, HealError> {
    claim_for(dirs, name, |_| false).map(|(lock, _)| lock)
}

/// The same, but where a container has ended to start again and `keep` says so, its network stays and its record is
/// returned.
///
/// # Errors
/// As [`claim`].
pub fn claim_for(
    dirs: &Dirs,
    name: &MachineName,
    keep: impl FnOnce(&Record) -> bool,
) -> Result<(Lock, Option<Record>), HealError> {
    let path = dirs.container_lock(name);
    let deadline = Instant::now() + LOCKED;
    loop {
        let lock = Lock::try_take(&path, Mode::Exclusive)?;
        let record = Record::load(dirs, name)?;
        if let Some(record) = record.as_ref().filter(|record| record.process.is_alive()) {
            return Err(HealError::Running { name: name.clone(), pid: record.process.pid });
        }
        if let Some(lock) = lock {
            return match record {
                Some(record) if record.parked && keep(&record) => Ok((lock, Some(record))),
                Some(record) => undo(dirs, &record).map(|()| (lock, None)),
                None => Ok((lock, None)),
            };
        }
        // Its watcher is at it, or another `run` or `gc`.
        if Instant::now() > deadline {
            return Err(LockError::Busy { path, waited: LOCKED }.into());
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Undo all that the record says. The caller holds the container's lock.
///
/// # Errors
/// When something is left; the record is left too then.
pub fn undo(dirs: &Dirs, record: &Record) -> Result<(), HealError> {
    tracing::debug!("undoing container {}", record.name);
    end_processes(record)?;
    unix_export::remove(&record.name)?;
    for recorded in record.attachments.iter().rev() {
        detach(dirs, record, recorded)?;
    }
    netns::remove(&record.netns)?;
    let lists = record.attachments.iter().map(|recorded| list(record, recorded)).collect::<Result<Vec<_>, _>>()?;
    let attachments = record.attachments.iter().map(|recorded| &recorded.attachment);
    // Until the record is gone, or of two containers that end at once each leaves the bridge to the other.
    let _alone = networks::hold_alone(dirs, lists.iter().zip(attachments))?;
    for (list, recorded) in lists.iter().zip(&record.attachments).rev() {
        bridge::remove(dirs, &record.name, list, &recorded.bridges_before)?;
        if !recorded.hostport_chains_before && hostport::publishes(list, &recorded.attachment) {
            hostport::remove(dirs, &record.name)?;
        }
    }
    host::dismiss(dirs, &record.name, &lists)?;
    Ok(record.remove(dirs)?)
}

/// End plugins that a killed cnispawn has left in the middle of ADD or DEL, then whatever is still in the container:
/// systemd-nspawn, when killed itself, leaves the container's processes running.
fn end_processes(record: &Record) -> Result<(), HealError> {
    let name = || record.name.clone();
    let unread = |source| HealError::Processes { name: name(), source };
    let plugins = || orphan::plugins(record.name.as_str(), &record.netns, None);
    let mut pids = end_all(plugins, PLUGIN_GRACE, KILLED).map_err(unread)?;
    pids.extend(end_all(|| netns::processes(&record.netns), Duration::ZERO, KILLED).map_err(unread)?);
    if pids.is_empty() { Ok(()) } else { Err(HealError::Unkillable { name: name(), pids }) }
}

/// DEL, before the namespace is removed: without it, the plugins free the address but leave their iptables rules.
fn detach(dirs: &Dirs, record: &Record, recorded: &Recorded) -> Result<(), HealError> {
    let list = list(record, recorded)?;
    let cache = dirs.cache_at(&record.cache_dir);
    let chain = Chain { list: &list, plugins: &recorded.plugins, cache: &cache };
    let _lock = Lock::take(&dirs.network_lock(&list.name), Mode::Shared, LOCKED)?;
    let detached = detach::detach(dirs, &chain, &recorded.attachment);
    detached.map_err(|source| HealError::Detach { name: record.name.clone(), source })
}

fn list(record: &Record, recorded: &Recorded) -> Result<NetworkList, HealError> {
    recorded.list().map_err(|source| HealError::Conf { name: record.name.clone(), source })
}

/// The lock and the other files of a container in /run are of no use after its end.
///
/// # Errors
/// When the file system refuses.
pub fn release(dirs: &Dirs, name: &MachineName, lock: Lock) -> Result<(), FileError> {
    for path in [dirs.watcher_log(name), dirs.resolv_conf(name)] {
        foundation::files::remove_if_exists(&path)?;
    }
    lock.remove()
}
