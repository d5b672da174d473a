//! Copies of directories by hard links: no time and no space, as long as nobody writes into a file but replaces it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use foundation::command::{self, CommandError};
use foundation::files::FileError;
use tempfile::NamedTempFile;
use walkdir::WalkDir;

/// Why a directory could not be cloned.
#[derive(Debug, thiserror::Error)]
pub enum CloneError {
    /// It is something else, perhaps a link to one.
    #[error("{} is not a directory", .0.display())]
    NotDirectory(PathBuf),
    /// cp failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Clone a directory.
///
/// # Errors
/// When cp fails: no space for the directories, or another file system.
pub fn directory(from: &Path, to: &Path) -> Result<(), CloneError> {
    // cp would clone the link, and what is then written to `to` would be written elsewhere.
    if !from.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(CloneError::NotDirectory(from.to_owned()));
    }
    let mut cp = Command::new("cp");
    cp.args(["--archive", "--link", "--no-target-directory", "--"]).args([from, to]);
    command::output(&mut cp)?;
    Ok(())
}

/// Clone containerd's image store. Content and snapshots never change once written: links do. Its bolt databases
/// (`*/*.db`) do change: copies.
///
/// # Errors
/// As [`directory`].
pub fn image_store(from: &Path, to: &Path) -> Result<(), CloneError> {
    directory(from, to)?;
    // Links are not followed: they lead wherever who made the store wants.
    for entry in WalkDir::new(to).min_depth(2).max_depth(2) {
        let entry = entry.map_err(|error| FileError::of("list", to)(io::Error::from(error)))?;
        if entry.file_type().is_file() && entry.path().extension().is_some_and(|extension| extension == "db") {
            unshare(entry.path())?;
        }
    }
    Ok(())
}

/// Replace a link by a copy.
fn unshare(path: &Path) -> Result<(), FileError> {
    let attempt = || -> io::Result<()> {
        let mut copy = NamedTempFile::new_in(path.parent().unwrap_or(Path::new("/")))?;
        io::copy(&mut File::open(path)?, &mut copy)?;
        copy.as_file().set_permissions(fs::metadata(path)?.permissions())?;
        copy.persist(path).map(drop).map_err(|error| error.error)
    };
    attempt().map_err(FileError::of("copy", path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    #[test]
    fn databases_are_copies_and_the_rest_links() {
        let dir = tempfile::tempdir().expect("a directory");
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir_all(from.join("plugin")).expect("made");
        fs::write(from.join("plugin/meta.db"), "database").expect("written");
        fs::write(from.join("plugin/blob"), "content").expect("written");
        image_store(&from, &to).expect("cloned");
        let links = |path: &str| fs::metadata(to.join(path)).expect("there").nlink();
        assert_eq!((links("plugin/meta.db"), links("plugin/blob")), (1, 2));
        assert_eq!(fs::read_to_string(to.join("plugin/meta.db")).expect("read"), "database");
    }

    #[test]
    fn a_link_in_a_store_does_not_lead_a_copy_outside() {
        let dir = tempfile::tempdir().expect("a directory");
        let [store, outside] = ["store", "outside"].map(|name| dir.path().join(name));
        fs::create_dir_all(store.join("real")).expect("made");
        fs::create_dir(&outside).expect("made");
        fs::write(outside.join("meta.db"), "secret").expect("written");
        let inode = || fs::metadata(outside.join("meta.db")).expect("there").ino();
        let before = inode();
        // A directory of databases, a database, and the name under which a copy might be written.
        symlink(&outside, store.join("plugin")).expect("linked");
        symlink(outside.join("meta.db"), store.join("real/meta.db")).expect("linked");
        fs::write(store.join("real/own.db"), "database").expect("written");
        for copy in ["copy", "own.db.copy"] {
            symlink(outside.join("written"), store.join("real").join(copy)).expect("linked");
        }
        let to = dir.path().join("to");
        image_store(&store, &to).expect("cloned");
        assert!(to.join("real/meta.db").is_symlink(), "not the secret");
        assert_eq!((inode(), fs::read_dir(&outside).expect("there").count()), (before, 1), "as it was");

        symlink(&store, dir.path().join("link")).expect("linked");
        let error = image_store(&dir.path().join("link"), &dir.path().join("other")).expect_err("a link").to_string();
        assert!(error.ends_with("/link is not a directory"), "{error}");
    }
}
