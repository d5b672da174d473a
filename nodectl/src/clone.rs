//! Copies of directories that take no time and no space: by reflinks where the file system has them, else by hard links,
//! which are separate only as long as files are replaced and not written into.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use foundation::command::{self, CommandError};
use foundation::files::FileError;
use tempfile::{NamedTempFile, TempDir};
use walkdir::WalkDir;

/// Why a directory could not be cloned.
#[derive(Debug, thiserror::Error)]
pub enum CloneError {
    /// It is something else, perhaps a symbolic link to a directory.
    #[error("{} is not a directory", .0.display())]
    NotDirectory(PathBuf),
    /// cp failed: no space for the directories, or another file system.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A file could not be copied.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Clone a directory by hard links.
///
/// # Errors
/// cp fails: no space for the directories, or another file system.
pub fn directory(from: &Path, to: &Path) -> Result<(), CloneError> {
    copy(from, to, "--link")
}

fn copy(from: &Path, to: &Path, how: &str) -> Result<(), CloneError> {
    // cp would clone the link, and writes to `to` would go elsewhere.
    if !from.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(CloneError::NotDirectory(from.to_owned()));
    }
    let mut cp = Command::new("cp");
    cp.args(["--archive", how, "--no-target-directory", "--"]).args([from, to]);
    command::output(&mut cp)?;
    Ok(())
}

/// Clone containerd's image store. Without reflinks, content and snapshots, which do not change, are hard links; bolt
/// databases (`*/*.db`), which do, are copies.
///
/// # Errors
/// As [`directory`].
pub fn image_store(from: &Path, to: &Path) -> Result<(), CloneError> {
    let parent = to.parent().unwrap_or(Path::new("/"));
    if has_reflinks(parent).map_err(FileError::of("write in", parent))? {
        return copy(from, to, "--reflink=always");
    }
    directory(from, to)?;
    // Symbolic links are not followed: they may lead out of the store.
    for entry in WalkDir::new(to).min_depth(2).max_depth(2) {
        let entry = entry.map_err(|error| FileError::of("list", to)(io::Error::from(error)))?;
        if entry.file_type().is_file() && entry.path().extension().is_some_and(|extension| extension == "db") {
            unshare(entry.path())?;
        }
    }
    Ok(())
}

/// Whether files can share extents there (ioctl_ficlone(2)): XFS and Btrfs, but not every XFS.
fn has_reflinks(dir: &Path) -> io::Result<bool> {
    let trial = TempDir::new_in(dir)?;
    let [from, to] = ["from", "to"].map(|name| trial.path().join(name));
    fs::write(&from, [1; 4096])?;
    Ok(rustix::fs::ioctl_ficlone(File::create(to)?, File::open(from)?).is_ok())
}

/// Replace a hard link by a copy.
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
