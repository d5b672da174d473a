//! Unpack programs from upstream's archives.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::Path;

use foundation::files::FileError;

use super::download::MOST;

/// Unpack files of a gzipped tar without their directories, those of these names: `bin/ctr` becomes `to/ctr`.
///
/// # Errors
/// When it is damaged, a file has more than a GiB, or the file system refuses.
pub fn files(archive: &Path, names: &[&str], to: &Path) -> Result<(), FileError> {
    let file = File::open(archive).map_err(FileError::of("open", archive))?;
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(io::BufReader::new(file)));
    let mut attempt = || -> io::Result<()> {
        for entry in tar.entries()? {
            let mut entry = entry?;
            // Nothing but plain files, and those that are wanted: nothing can get out of `to`.
            let name = entry.path()?.file_name().and_then(OsStr::to_str).map(str::to_owned);
            let Some(name) = name.filter(|name| names.contains(&name.as_str())) else { continue };
            if entry.header().entry_type().is_file() {
                if entry.size() > MOST {
                    return Err(io::ErrorKind::FileTooLarge.into());
                }
                entry.unpack(to.join(name))?;
            }
        }
        Ok(())
    };
    attempt().map_err(FileError::of("unpack", archive))
}
