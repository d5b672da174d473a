//! Unpack programs from upstream's archives.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::Path;

use foundation::files::FileError;

use super::download::MOST;

/// Unpack the files of these names from a gzipped tar, without their directories: `bin/ctr` becomes `to/ctr`.
///
/// # Errors
/// The archive is damaged, or a file in it has more than a GiB.
pub fn files(archive: &Path, names: &[&str], to: &Path) -> Result<(), FileError> {
    let file = File::open(archive).map_err(FileError::of("open", archive))?;
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(io::BufReader::new(file)));
    let mut attempt = || -> io::Result<()> {
        for entry in tar.entries()? {
            let mut entry = entry?;
            // Only plain files of names that are wanted: nothing is written outside `to`.
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
