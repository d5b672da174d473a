//! Locks between processes: flock(2) on files, so that the kernel releases what a killed process held.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::files::{self, FileError};
use crate::interrupt;

/// How often a held lock is tried again.
const PAUSE: Duration = Duration::from_millis(5);

/// How long to wait for a lock in silence.
const SILENCE: Duration = Duration::from_secs(1);

/// How long another command may hold a lock. A cold build of Kubernetes takes an hour of a slow machine.
const PATIENCE: Duration = Duration::from_secs(2 * 3600);

/// A held lock. It belongs to the open file, so a child that inherits the descriptor holds it too.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

/// Whether other processes may hold the lock at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They may, in this mode too.
    Shared,
    /// They may not.
    Exclusive,
}

/// Why a lock is not held.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process held it all the time.
    #[error(
        "lock {} is still held by another process after {} s; `fuser {}` names it",
        path.display(), waited.as_secs(), path.display()
    )]
    Busy {
        /// The lock's file.
        path: PathBuf,
        /// How long this one waited.
        waited: Duration,
    },
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Lock {
    /// Take the lock if it is free; `None` if it is not.
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
            // Its last holder removed the file between our open and our lock: what we hold guards nothing any more.
            Ok(()) | Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(FileError::of("lock", path)(error)),
        }
    }

    /// Take the lock, waiting for its holders.
    ///
    /// # Errors
    /// `timeout` passes first.
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

    /// Take an exclusive lock that another command may hold for long: a wait is announced on standard error, and ends
    /// when the user interrupts us.
    ///
    /// # Errors
    /// The lock's file cannot be made, the user interrupts the wait, or two hours pass.
    pub fn take_patiently(path: &Path) -> Result<Self, FileError> {
        Self::take_within(path, PATIENCE, interrupt::is_asked)
    }

    fn take_within(path: &Path, patience: Duration, is_interrupted: impl Fn() -> bool) -> Result<Self, FileError> {
        // If an interrupt arrived earlier, this is the rollback: let it finish.
        let was_interrupted = is_interrupted();
        let begun = Instant::now();
        let mut is_announced = false;
        let refused = |kind, why: String| Err(FileError::of("lock", path)(io::Error::new(kind, why)));
        // flock(2) has no timeout, and goes on after a signal (SA_RESTART).
        loop {
            if let Some(lock) = Self::try_take(path, Mode::Exclusive)? {
                return Ok(lock);
            }
            if is_interrupted() && !was_interrupted {
                return refused(io::ErrorKind::Interrupted, "interrupted".to_owned());
            }
            if begun.elapsed() > patience {
                let seconds = patience.as_secs();
                let why =
                    format!("another command still holds it after {seconds} s; `fuser {}` names it", path.display());
                return refused(io::ErrorKind::TimedOut, why);
            }
            if begun.elapsed() > SILENCE && !is_announced {
                eprintln!("waiting for another command to end: it holds {}", path.display());
                is_announced = true;
            }
            thread::sleep(PAUSE);
        }
    }

    /// The lock on a descriptor that this process has inherited.
    pub fn inherited(fd: OwnedFd, path: &Path) -> Self {
        Lock { file: fd.into(), path: path.to_owned() }
    }

    /// The descriptor to hand to a child.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Release the lock and remove its file. Processes that wait for it notice, and make a new one.
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
    use std::cell::Cell;

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
    fn a_wait_for_a_lock_ends_when_it_is_over_or_we_are_interrupted() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("lock");
        let held = Lock::take_within(&path, PATIENCE, || false).expect("free");
        let error = Lock::take_within(&path, Duration::ZERO, || false).expect_err("held");
        assert!(crate::error_chain(&error).contains("another command still holds it after 0 s"), "{error}");

        let asked = Cell::new(0);
        let is_asked = || asked.replace(asked.get() + 1) > 0;
        let error = Lock::take_within(&path, PATIENCE, is_asked).expect_err("held");
        assert!(crate::error_chain(&error).ends_with("lock: interrupted"), "{error}");
        let error = Lock::take_within(&path, Duration::ZERO, || true).expect_err("held");
        assert!(crate::error_chain(&error).contains("after 0 s"), "a rollback is not interrupted: {error}");

        drop(held);
        Lock::take_within(&path, Duration::ZERO, || true).expect("free again");
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
