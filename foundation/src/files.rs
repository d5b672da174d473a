//! Files that are whole or absent, and whose errors name them.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::NamedTempFile;

/// Number of random characters at the end of the name of a file that is being written.
const UNFINISHED_RANDOM: usize = 6;

/// The file system refused.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct FileError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl FileError {
    /// For `map_err`: what could not be done, and to which path.
    pub fn of<E: Into<io::Error>>(action: &'static str, path: &Path) -> impl FnOnce(E) -> Self {
        let path = path.to_owned();
        move |source| FileError { action, path, source: source.into() }
    }

    /// Whether the path does not exist.
    pub fn is_not_found(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }
}

/// Write a file with this mode, and its directories, such that after a power cut it is there whole or as before: fsync,
/// rename, and fsync of the directory, without which the rename itself may be lost (fsync(2)).
///
/// # Errors
/// The file system is full or read-only, say.
pub fn write_durably(path: &Path, content: impl AsRef<[u8]>, mode: u32) -> Result<(), FileError> {
    let dir = parent(path);
    fs::create_dir_all(dir).map_err(FileError::of("create", dir))?;
    let file = write_beside(path, content.as_ref())?;
    let finish = || -> io::Result<()> {
        file.as_file().set_permissions(Permissions::from_mode(mode))?;
        file.as_file().sync_all()
    };
    finish().map_err(FileError::of("write", path))?;
    put(file, path)?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(FileError::of("sync", dir))
}

/// [`write_durably`], for the owner alone: mode 0600, and 0700 for directories that are made.
///
/// # Errors
/// As [`write_durably`].
pub fn write_private_durably(path: &Path, content: impl AsRef<[u8]>) -> Result<(), FileError> {
    create_private_dir(parent(path))?;
    write_durably(path, content, 0o600)
}

/// Write a value as JSON, by [`write_durably`] with mode 0600.
///
/// # Errors
/// As [`write_durably`].
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), FileError> {
    let mut json = serde_json::to_vec_pretty(value).map_err(FileError::of("write", path))?;
    json.push(b'\n');
    write_durably(path, json, 0o600)
}

/// Read JSON; `None` when there is no such file.
///
/// # Errors
/// The file cannot be read, or its content is not such a value.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, FileError> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(FileError::of("read", path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::of("read", path)(error)),
    }
}

/// Write a file that only its owner may read (mode 0600), such that no reader sees half of it. It may be lost in a power
/// cut.
pub fn write_whole(path: &Path, content: &[u8]) -> Result<(), FileError> {
    create_private_dir(parent(path))?;
    put(write_beside(path, content)?, path)
}

/// Write a file that all users may read (mode 0644), in place: it may be bind-mounted in a container.
pub fn write_for_all(path: &Path, content: &[u8]) -> Result<(), FileError> {
    create_private_dir(parent(path))?;
    let opened = File::options().create(true).truncate(true).write(true).mode(0o644).open(path);
    opened.and_then(|mut file| file.write_all(content)).map_err(FileError::of("write", path))
}

fn write_beside(path: &Path, content: &[u8]) -> Result<NamedTempFile, FileError> {
    let dir = parent(path);
    let prefix = unfinished_prefix(path);
    let file = tempfile::Builder::new().prefix(&prefix).rand_bytes(UNFINISHED_RANDOM).tempfile_in(dir);
    let mut file = file.map_err(FileError::of("write in", dir))?;
    file.write_all(content).map_err(FileError::of("write", path))?;
    Ok(file)
}

fn put(file: NamedTempFile, path: &Path) -> Result<(), FileError> {
    file.persist(path).map(drop).map_err(|error| FileError::of("write", path)(error.error))
}

/// Hidden, so that a listing of the directory does not show a half-written file; and named after the whole one, so that
/// the leftovers of a killed writer are found with it.
fn unfinished_prefix(path: &Path) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(path.file_name().unwrap_or_default());
    prefix.push(".");
    prefix
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

/// Make a directory and its parents, for the owner alone.
pub fn create_private_dir(dir: &Path) -> Result<(), FileError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(FileError::of("create", dir))
}

/// Remove a file that may be gone already.
pub fn remove_if_exists(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FileError::of("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Remove a directory and all below it, if it is there.
pub fn remove_tree(dir: &Path) -> Result<(), FileError> {
    let mut attempts = 0;
    loop {
        match fs::remove_dir_all(dir) {
            // A child of a command that was killed just now ends with it, but not before its last system call.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty && attempts < 50 => attempts += 1,
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(FileError::of("remove", dir)(error)),
            _ => return Ok(()),
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Remove a file, if it is there, and the leftovers of killed writers of it.
pub fn remove_written(path: &Path) -> Result<(), FileError> {
    let prefix = unfinished_prefix(path);
    for file in in_dir(parent(path))? {
        let name = file.file_name().unwrap_or_default().as_encoded_bytes();
        let random = name.strip_prefix(prefix.as_encoded_bytes()).unwrap_or_default();
        if random.len() == UNFINISHED_RANDOM && !random.contains(&b'.') {
            remove_if_exists(&file)?;
        }
    }
    remove_if_exists(path)
}

/// The files of a directory that have one of these extensions, sorted by name; none if there is no such directory.
pub fn with_extensions(dir: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, FileError> {
    let mut files = in_dir(dir)?;
    files.retain(|file| extension(file).is_some_and(|extension| extensions.contains(&extension)) && !file.is_dir());
    Ok(files)
}

/// The extension of a file's name, as Go sees it: that of `.conf`, too, is `conf`.
pub fn extension(file: &Path) -> Option<&str> {
    file.file_name()?.to_str()?.rsplit_once('.').map(|(_, extension)| extension)
}

/// The entries of a directory, sorted by name; none if there is no such directory.
pub fn in_dir(dir: &Path) -> Result<Vec<PathBuf>, FileError> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(FileError::of("read", dir))?,
    };
    let mut paths: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

/// The names of the entries of a directory, sorted; none if there is no such directory. Names that are not UTF-8 are left
/// out.
pub fn names_in(dir: &Path) -> Result<Vec<String>, FileError> {
    let paths = in_dir(dir)?;
    Ok(paths.iter().filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_file_is_private_and_alone() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("new/file");
        write_private_durably(&path, b"one")?;
        write_private_durably(&path, b"two")?;
        assert_eq!(fs::read(&path)?, b"two");
        assert_eq!(fs::metadata(&path)?.permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path().join("new"))?.count(), 1, "no temporary file is left");
        remove_if_exists(&path)?;
        remove_if_exists(&path)?;
        Ok(())
    }

    #[test]
    fn what_a_killed_writer_has_left_goes_with_the_file() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let [path, other] = ["web", "web.dev"].map(|name| dir.path().join(name));
        write_beside(&path, b"half")?.keep()?;
        write_beside(&other, b"half")?.keep()?;
        write_whole(&path, b"whole")?;
        remove_written(&path)?;
        let left = in_dir(dir.path())?;
        assert!(left.len() == 1 && left[0].display().to_string().contains("/.web.dev."), "{left:?}");
        remove_written(&other)?;
        assert_eq!(fs::read_dir(dir.path())?.count(), 0);
        Ok(())
    }
    #[test]
    fn json_is_read_back_with_the_mode_of_a_secret() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a/b.json");
        write_json(&path, &[1, 2]).expect("written");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(read_json::<Vec<i32>>(&path).expect("read"), Some(vec![1, 2]));
        assert_eq!(names_in(&dir.path().join("a")).expect("listed"), ["b.json"], "no temporary file is left");
    }

    #[test]
    fn what_is_not_there_is_none_or_empty() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(read_json::<i32>(&dir.path().join("x")).expect("none"), None);
        assert!(names_in(&dir.path().join("x")).expect("empty").is_empty());
        remove_tree(&dir.path().join("x")).expect("nothing to do");
    }
}
