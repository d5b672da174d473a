//! Files that other commands rely on: written whole or not at all, with the mode that they need, under a lock.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use foundation::files::FileError;

use foundation::interrupt;

/// Write `content` to `path` by way of a temporary file beside it, synced: a power cut leaves the old file or the new.
///
/// # Errors
/// When the file system refuses (full, read-only).
pub fn write(path: &Path, content: impl AsRef<[u8]>, mode: u32) -> Result<(), FileError> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).map_err(FileError::of("create", parent))?;
    let attempt = || -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(parent)?;
        file.write_all(content.as_ref())?;
        file.as_file().set_permissions(Permissions::from_mode(mode))?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|e| e.error)?;
        File::open(parent)?.sync_all()
    };
    attempt().map_err(FileError::of("write", path))
}

/// Write `value` as JSON, as [`write`] does.
///
/// # Errors
/// As [`write`].
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), FileError> {
    let mut json = serde_json::to_vec_pretty(value).map_err(FileError::of("write", path))?;
    json.push(b'\n');
    write(path, json, 0o600)
}

/// Read JSON; `None` when there is no such file.
///
/// # Errors
/// When it cannot be read or is not such a value.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, FileError> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(FileError::of("read", path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::of("read", path)(error)),
    }
}

/// Names of the entries of a directory, sorted; empty when there is no such directory.
///
/// # Errors
/// When it cannot be read.
pub fn entries(dir: &Path) -> Result<Vec<String>, FileError> {
    let read = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(FileError::of("list", dir))?,
    };
    let mut names = Vec::new();
    for entry in read {
        let entry = entry.map_err(FileError::of("list", dir))?;
        names.extend(entry.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

/// Remove a directory and all below it; done when it is not there.
///
/// # Errors
/// When something in it cannot be removed.
pub fn remove_tree(dir: &Path) -> Result<(), FileError> {
    let mut attempts = 0;
    loop {
        match fs::remove_dir_all(dir) {
            // A child of a nodectl that was killed just now ends with it, but not before its last system call.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty && attempts < 50 => attempts += 1,
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(FileError::of("remove", dir)(error)),
            _ => return Ok(()),
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// How long to wait for a lock before saying so.
const SILENCE: Duration = Duration::from_secs(1);

/// How long others may hold a lock. A cold build of Kubernetes takes an hour of a slow machine.
const PATIENCE: Duration = Duration::from_secs(2 * 3600);

/// Take an exclusive lock; it is released when the returned file is dropped, and by the kernel when we are killed. A wait
/// for another command is told on standard error.
///
/// # Errors
/// When the lock's file cannot be made, others do not give it back, or the user asks us to stop meanwhile.
pub fn lock(path: &Path) -> Result<File, FileError> {
    lock_within(path, PATIENCE, interrupt::is_asked)
}

fn lock_within(path: &Path, patience: Duration, is_interrupted: impl Fn() -> bool) -> Result<File, FileError> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).map_err(FileError::of("create", parent))?;
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    let file = file.map_err(FileError::of("lock", path))?;
    // Who was interrupted before now undoes what is half-made.
    let was_interrupted = is_interrupted();
    let begun = Instant::now();
    let mut is_told = false;
    let refused = |error: io::Error| Err(FileError::of("lock", path)(error));
    // flock(2) has no timeout, and goes on after a signal (SA_RESTART).
    while let Err(error) = file.try_lock() {
        if let TryLockError::Error(error) = error {
            return refused(error);
        }
        if is_interrupted() && !was_interrupted {
            return refused(io::Error::new(io::ErrorKind::Interrupted, "interrupted"));
        }
        if begun.elapsed() > patience {
            let held = format!("another command still holds it after {} s", patience.as_secs());
            return refused(io::Error::new(io::ErrorKind::TimedOut, held));
        }
        if begun.elapsed() > SILENCE && !is_told {
            eprintln!("waiting for another command to end: it holds {}", path.display());
            is_told = true;
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_file_is_written_with_its_mode_and_read_back() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a/b.json");
        write_json(&path, &[1, 2]).expect("written");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(read_json::<Vec<i32>>(&path).expect("read"), Some(vec![1, 2]));
        assert_eq!(entries(&dir.path().join("a")).expect("listed"), ["b.json"], "no temporary file is left");
    }

    #[test]
    fn what_is_not_there_is_none_or_empty() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(read_json::<i32>(&dir.path().join("x")).expect("none"), None);
        assert!(entries(&dir.path().join("x")).expect("empty").is_empty());
        remove_tree(&dir.path().join("x")).expect("nothing to do");
    }

    #[test]
    fn a_wait_for_a_lock_ends_when_it_is_over_or_we_are_interrupted() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("lock");
        let held = lock_within(&path, PATIENCE, || false).expect("free");
        let error = lock_within(&path, Duration::ZERO, || false).expect_err("held");
        assert!(foundation::error_chain(&error).ends_with("another command still holds it after 0 s"), "{error}");

        let asked = Cell::new(0);
        let is_asked = || asked.replace(asked.get() + 1) > 0;
        let error = lock_within(&path, PATIENCE, is_asked).expect_err("held");
        assert!(foundation::error_chain(&error).ends_with("lock: interrupted"), "{error}");
        let error = lock_within(&path, Duration::ZERO, || true).expect_err("held");
        assert!(foundation::error_chain(&error).ends_with("after 0 s"), "what is undone is not interrupted: {error}");

        drop(held);
        lock_within(&path, Duration::ZERO, || true).expect("free again");
    }
}
