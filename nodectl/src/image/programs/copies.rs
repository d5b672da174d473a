//! Copies of programs that were built elsewhere and may be rebuilt there at any time. A copy lies in a directory named by
//! its content, and never changes.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use foundation::files::{self, FileError};

use super::program::{Program, Programs};
use crate::image::context::Context;
use crate::image::digest::{self, Key};

/// A program's stamp and the digest of its content: half a gigabyte need not be read to see that nothing has changed.
type Digests = BTreeMap<String, (Stamp, String)>;

/// What changes when a file is written or replaced: inode, size, and seconds and nanoseconds of its last change.
type Stamp = (u64, u64, i64, i64);

/// Copy the programs to the cache. `from` is the directory that they are in: what they were is remembered for it.
pub(super) fn keep(cx: &Context, from: &Path, programs: &[(&'static str, PathBuf)]) -> Result<Programs, FileError> {
    let memory = working_dir(cx, from).join("digests.json");
    let known: Digests = files::read_json(&memory).unwrap_or_default().unwrap_or_default();
    let mut seen = known.clone();
    let mut kept = Programs::new();
    for (name, from) in programs {
        let stamp = stamp(from).map_err(FileError::of("read", from))?;
        let program = match known.get(*name) {
            Some((before, key)) if *before == stamp && place(cx, name, key).is_file() => {
                Program { path: place(cx, name, key), key: key.clone() }
            }
            _ => copy(cx, name, from)?,
        };
        seen.insert((*name).to_owned(), (stamp, program.key.clone()));
        kept.insert(name, program);
    }
    if seen != known {
        files::write_json(&memory, &seen)?;
    }
    Ok(kept)
}

fn place(cx: &Context, name: &str, key: &str) -> PathBuf {
    cx.cached("bin", &format!("{name}/{key}/{name}"))
}

/// The digest is that of the copy: the original may be overwritten meanwhile.
fn copy(cx: &Context, name: &str, from: &Path) -> Result<Program, FileError> {
    let half = cx.building.join(name);
    fs::copy(from, &half).map_err(FileError::of("copy", from))?;
    fs::set_permissions(&half, Permissions::from_mode(0o755)).map_err(FileError::of("set the mode of", &half))?;
    let key: String = digest::sha256_file(&half).map_err(FileError::of("read", &half))?.chars().take(12).collect();
    let path = place(cx, name, &key);
    cx.keep(&half, &path)?;
    Ok(Program { path, key })
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.ino(), metadata.len(), metadata.ctime(), metadata.ctime_nsec()))
}

/// Our own directory for what belongs to a directory of the user's.
pub(super) fn working_dir(cx: &Context, path: &Path) -> PathBuf {
    cx.cached("checkout", &Key::new("checkout 1").with("path", path.as_os_str().as_encoded_bytes()).finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_executable_and_does_not_change_with_its_original() {
        let dir = tempfile::tempdir().expect("a directory");
        let cx = Context::for_tests(dir.path());
        let from = dir.path().join("my-kubelet");
        let keep = || {
            let kept = keep(&cx, dir.path(), &[("kubelet", from.clone())]).expect("kept");
            kept["kubelet"].clone()
        };
        fs::write(&from, "first").expect("written");
        fs::set_permissions(&from, Permissions::from_mode(0o640)).expect("set");
        let first = keep();
        assert_eq!(keep().key, first.key);
        assert_eq!(fs::metadata(&first.path).expect("there").permissions().mode() & 0o777, 0o755);
        fs::write(&from, "second").expect("written");
        assert_ne!(keep().key, first.key);
        assert_eq!(fs::read(&first.path).expect("there"), b"first");
        fs::remove_file(&first.path).expect("removed");
        fs::write(&from, "first").expect("written");
        assert_eq!(keep().path, first.path);
        assert_eq!(fs::read(&first.path).expect("made again"), b"first");
    }
}
