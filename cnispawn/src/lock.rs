//! Locks between processes: flock(2) on files, so that the kernel releases what a killed process held.

use std::fs::{self, File, TryLockError};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::files::{self, FileError};

/// How often a held lock is tried again.
const PAUSE: Duration = Duration::from_millis(5);

/// A held lock. It belongs to the open file, so a child that inherits the descriptor holds it too.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

/// Whether others may hold the lock at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Others that share.
    Shared,
    /// Nobody.
    Exclusive,
}

/// Why a lock is not held.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else did not give it back in time.
    #[error(
        "lock {} is still held by another process after {} s; `fuser {}` names it",
        path.display(), waited.as_secs(), path.display()
    )]
    Busy {
        /// The lock's file.
        path: PathBuf,
        /// How long we waited.
        waited: Duration,
    },
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Lock {
    /// Take the lock if nobody holds it.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn try_take(path: &Path, mode: Mode) -> Result<Option<Self>, FileError> {
        files::create_private_dir(path.parent().unwrap_or(Path::new(".")))?;
        let open = File::options().create(true).truncate(false).write(true).open(path);
        let file = open.map_err(FileError::of("open", path))?;
        let tried = match mode {
            Mode::Shared => file.try_lock_shared(),
            Mode::Exclusive => file.try_lock(),
        };
        match tried {
            Ok(()) if is_at(&file, path) => Ok(Some(Lock { file, path: path.to_owned() })),
            // Its last holder removed the file between our open and our lock: ours guards nothing any more.
            Ok(()) | Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(FileError::of("lock", path)(error)),
        }
    }

    /// Take the lock, waiting for those that hold it.
    ///
    /// # Errors
    /// When `timeout` passes first, or the file system refuses.
    pub fn take(path: &Path, mode: Mode, timeout: Duration) -> Result<Self, LockError> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(lock) = Self::try_take(path, mode)? {
                return Ok(lock);
            }
            if Instant::now() > deadline {
                return Err(LockError::Busy { path: path.to_owned(), waited: timeout });
            }
            thread::sleep(PAUSE);
        }
    }

    /// The lock whose descriptor we have inherited.
    pub fn inherited(fd: OwnedFd, path: &Path) -> Self {
        Lock { file: fd.into(), path: path.to_owned() }
    }

    /// The descriptor to hand to a child.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Give the lock back and remove its file; those that wait notice, and make a new one.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn remove(self) -> Result<(), FileError> {
        files::remove_if_exists(&self.path)
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(ours), Ok(there)) = (file.metadata(), fs::metadata(path)) else { return false };
    (ours.dev(), ours.ino()) == (there.dev(), there.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sharers_keep_an_exclusive_taker_out() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("new/lock");
        let one = Lock::take(&path, Mode::Shared, Duration::ZERO)?;
        let two = Lock::take(&path, Mode::Shared, Duration::ZERO)?;
        let busy = Lock::take(&path, Mode::Exclusive, Duration::ZERO).expect_err("held");
        assert!(busy.to_string().contains("new/lock is still held"), "{busy}");
        drop((one, two));
        Lock::take(&path, Mode::Exclusive, Duration::ZERO)?;
        Ok(())
    }

    #[test]
    fn a_removed_lock_is_made_anew() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("lock");
        Lock::take(&path, Mode::Exclusive, Duration::ZERO)?.remove()?;
        assert!(!path.exists());
        let _held = Lock::take(&path, Mode::Exclusive, Duration::ZERO)?;
        assert!(Lock::try_take(&path, Mode::Exclusive)?.is_none());
        Ok(())
    }
}
