//! The files of a container image, as a tar file that is the same whenever it is written.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use foundation::files::FileError;
use tar::{EntryType, Header};

/// What an entry of a layer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A directory with its mode.
    Directory(u32),
    /// A file of ours, with mode 0644.
    Text(String),
    /// A copy of a file of the host, with its mode.
    File(PathBuf),
    /// The same, to be run as its owner: root.
    Setuid(PathBuf),
    /// A symbolic link to this target.
    Link(PathBuf),
}

/// The one layer of an image: paths without a leading slash. A map, so that its order is always the same.
pub type Layer = BTreeMap<PathBuf, Entry>;

/// Add `path` with its parent directories.
pub fn add(layer: &mut Layer, path: impl Into<PathBuf>, entry: Entry) {
    let path = path.into();
    for parent in path.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty()) {
        layer.entry(parent.to_owned()).or_insert(Entry::Directory(0o755));
    }
    layer.insert(path, entry);
}

/// Write `layer` as a tar file.
pub(super) fn write(layer: &Layer, output: impl Write) -> Result<(), FileError> {
    let mut tar = tar::Builder::new(output);
    for (path, entry) in layer {
        let mut attempt = || -> io::Result<()> {
            match entry {
                Entry::Directory(mode) => {
                    let header = header(EntryType::Directory, *mode, 0);
                    append_as(&mut tar, header, path, io::empty())
                }
                Entry::Text(text) => append(&mut tar, path, text.len() as u64, text.as_bytes()),
                Entry::File(source) | Entry::Setuid(source) => {
                    let file = File::open(source)?;
                    let metadata = file.metadata()?;
                    let setuid = if matches!(entry, Entry::Setuid(_)) { 0o4000 } else { 0 };
                    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o7777 | setuid;
                    append_as(&mut tar, header(EntryType::Regular, mode, metadata.len()), path, file)
                }
                Entry::Link(target) => tar.append_link(&mut header(EntryType::Symlink, 0o777, 0), path, target),
            }
        };
        let named = if let Entry::File(source) | Entry::Setuid(source) = entry { source } else { path };
        attempt().map_err(FileError::of("archive", named))?;
    }
    tar.into_inner().map(drop).map_err(FileError::of("archive", Path::new("the layer")))
}

/// A header with nothing in it that changes from one build to the next.
pub(super) fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header
}

pub(super) fn append(
    tar: &mut tar::Builder<impl Write>,
    path: impl AsRef<Path>,
    size: u64,
    content: impl Read,
) -> io::Result<()> {
    append_as(tar, header(EntryType::Regular, 0o644, size), path.as_ref(), content)
}

fn append_as(
    tar: &mut tar::Builder<impl Write>,
    mut header: Header,
    path: &Path,
    content: impl Read,
) -> io::Result<()> {
    tar.append_data(&mut header, path, content)
}
