//! Unpack a node's archive. The node's root has made it, so nothing in it is trusted.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Component, Path};

use flate2::read::GzDecoder;
use foundation::files::{self, FileError};

/// Bytes that are unpacked of a node at the most. kubelet keeps 50 MiB of each container's log.
const MOST: u64 = 16 << 30;

/// Unpack plain files and directories that lie in `parts` into `to`, readable for us alone.
///
/// # Errors
/// When the archive is damaged, too large or has something elsewhere: then nothing of it is left.
pub(super) fn archive(archive: &Path, parts: &[&str], to: &Path) -> Result<(), FileError> {
    let file = File::open(archive).map_err(FileError::of("open", archive))?;
    let mut tar = tar::Archive::new(GzDecoder::new(BufReader::new(file)).take(MOST));
    tar.set_mask(0o077);
    let mut unpacked = entries(&mut tar, parts, to);
    if tar.into_inner().limit() == 0 {
        unpacked = Err(io::Error::other(format!("it has more than {} GiB", MOST >> 30)));
    }
    unpacked.map_err(|error| {
        // The first error is the one to tell.
        parts.iter().for_each(|part| files::remove_tree(&to.join(part)).unwrap_or_default());
        FileError::of("unpack", archive)(error)
    })
}

fn entries(tar: &mut tar::Archive<impl Read>, parts: &[&str], to: &Path) -> io::Result<()> {
    for entry in tar.entries()? {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        let path = entry.path()?.into_owned();
        let is_ours = |part: &&str| path.components().next() == Some(Component::Normal(part.as_ref()));
        let is_plain = kind.is_file() || kind.is_dir();
        // No links: nothing is written through one. unpack_in passes over what leads upwards.
        if !is_plain || !parts.iter().any(is_ours) || !entry.unpack_in(to)? {
            return Err(io::Error::other(format!("it has {path:?}, which is not a file or directory of this node's")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use tar::{EntryType, Header};

    use super::*;

    /// Unpack an archive of one entry, and what was made of it.
    fn unpacked(path: &str, kind: EntryType) -> (Result<(), FileError>, tempfile::TempDir) {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("a.tar.gz");
        let mut tar = tar::Builder::new(GzEncoder::new(File::create(&file).expect("made"), Compression::fast()));
        let mut header = Header::new_gnu();
        // As an honest tar would not write it.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o4777);
        header.set_size(if kind.is_file() { 4 } else { 0 });
        if kind.is_symlink() || kind.is_hard_link() {
            header.set_link_name("/etc/passwd").expect("set");
        }
        header.set_cksum();
        tar.append(&header, "text".as_bytes()).expect("appended");
        tar.into_inner().and_then(GzEncoder::finish).expect("finished");
        fs::create_dir(dir.path().join("to")).expect("made");
        (archive(&file, &["node1", "cluster"], &dir.path().join("to")), dir)
    }

    #[test]
    fn files_are_ours_alone_whatever_the_archive_says() {
        let (result, dir) = unpacked("cluster/deep/nodes.txt", EntryType::Regular);
        result.expect("unpacked");
        let path = dir.path().join("to/cluster/deep/nodes.txt");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o7777, 0o700);
        assert_eq!(fs::read_to_string(&path).expect("read"), "text");
    }

    #[test]
    fn nothing_is_written_outside_of_the_nodes_own_directory() {
        for path in ["../x", "/x", "node1/../../x", "node1/../node2/x", "node2/x", "./node1/x", "x"] {
            let (result, dir) = unpacked(path, EntryType::Regular);
            let error = foundation::error_chain(&result.expect_err(path));
            assert!(error.contains("which is not a file or directory of this node's"), "{path}: {error}");
            assert_eq!(fs::read_dir(dir.path().join("to")).expect("listed").count(), 0, "{path}");
            assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 2, "{path}");
        }
        for kind in [EntryType::Symlink, EntryType::Link, EntryType::Char, EntryType::Fifo] {
            assert!(unpacked("node1/x", kind).0.is_err(), "{kind:?}");
        }
    }
}
