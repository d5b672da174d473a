//! Claim a container's name: take its lock, and undo what an earlier container of that name has left.

use std::thread;
use std::time::{Duration, Instant};

use foundation::files::{self, FileError};
use foundation::lock::{Lock, LockError, Mode};
use foundation::name::MachineName;

use super::locks::PATIENCE;
use super::record::{Record, RecordError};
use super::undo::{self, UndoError};
use crate::dirs::Dirs;

/// Why a name is not to be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClaimError {
    #[error("container {name} runs already, as process {pid}; choose another name or stop it")]
    Running { name: MachineName, pid: i32 },
    #[error(transparent)]
    Undo(#[from] UndoError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    File(#[from] FileError),
}

/// Take the container's lock, once nothing of an earlier container of this name is left.
pub(crate) fn claim(dirs: &Dirs, name: &MachineName) -> Result<Lock, ClaimError> {
    claim_or_take_over(dirs, name, |_| false).map(|(lock, _)| lock)
}

/// [`claim`], except that the network of a container that is rebooting stays if `take_over` says so; its record is
/// returned then.
pub(crate) fn claim_or_take_over(
    dirs: &Dirs,
    name: &MachineName,
    take_over: impl FnOnce(&Record) -> bool,
) -> Result<(Lock, Option<Record>), ClaimError> {
    let path = dirs.container_lock(name);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let lock = Lock::try_take(&path, Mode::Exclusive)?;
        let record = Record::load(dirs, name)?;
        if let Some(record) = record.as_ref().filter(|record| record.process.is_alive()) {
            return Err(ClaimError::Running { name: name.clone(), pid: record.process.pid });
        }
        if let Some(lock) = lock {
            return match record {
                Some(record) if record.parked && take_over(&record) => Ok((lock, Some(record))),
                Some(record) => Ok(undo::undo(dirs, &record).map(|()| (lock, None))?),
                None => Ok((lock, None)),
            };
        }
        // The container's watcher is at it, or another `run` or `gc`.
        if Instant::now() > deadline {
            return Err(LockError::Busy { path, waited: PATIENCE }.into());
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Give the lock back, and remove the container's files in /run: after its end they are of no use.
pub(crate) fn release(dirs: &Dirs, name: &MachineName, lock: Lock) -> Result<(), FileError> {
    for path in [dirs.watcher_log(name), dirs.resolv_conf(name)] {
        files::remove_if_exists(&path)?;
    }
    lock.remove()
}

/// Undo the network of a container that has ended.
pub(crate) fn undo_ended(dirs: &Dirs, name: &MachineName) -> Result<(), ClaimError> {
    let lock = claim(dirs, name)?;
    Ok(release(dirs, name, lock)?)
}
