//! An archive as it is opened: a file that can be read twice, or a pipe.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;

use foundation::files::FileError;

/// A header of a tar file, and where in it the magic is (POSIX.1-2017, pax, ustar Interchange Format).
const TAR_BLOCK: u64 = 512;
const TAR_MAGIC: std::ops::Range<usize> = 257..262;

/// An open archive.
pub(super) enum Input {
    /// A file, which can be read twice.
    File(File),
    /// A pipe, after the bytes that were read of it already.
    Pipe(io::Chain<io::Cursor<Vec<u8>>, File>),
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Input::File(file) => file.read(buffer),
            Input::Pipe(rest) => rest.read(buffer),
        }
    }
}

/// Open the archive, and tell whether it is a plain tar file, not a compressed one.
pub(super) fn open(path: &Path) -> Result<(Input, bool), FileError> {
    // Its own file, not io::stdin(): that reads ahead.
    let path = if path == Path::new("-") { Path::new("/dev/stdin") } else { path };
    let mut file = File::open(path).map_err(FileError::of("open", path))?;
    let is_file = file.metadata().map_err(FileError::of("read", path))?.is_file();
    let mut begin = Vec::new();
    (&file).take(TAR_BLOCK).read_to_end(&mut begin).map_err(FileError::of("read", path))?;
    let is_plain = begin.get(TAR_MAGIC).is_some_and(|magic| magic == b"ustar");
    if is_file {
        file.rewind().map_err(FileError::of("read", path))?;
        return Ok((Input::File(file), is_plain));
    }
    Ok((Input::Pipe(io::Cursor::new(begin).chain(file)), is_plain))
}
