//! STUB by lead until the real one is written: overwrite me. Must have `load`, `print`, `Error`.
use crate::{files, name::Name, record::ImageRecord, state::StateDirs};
/// Error.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(#[from] crate::files::FileError);
/// Load.
pub fn load(dirs: &StateDirs, image: &Name) -> Result<ImageRecord, Error> {
    let found = files::read_json(&dirs.image(image).join("image.json"))?;
    Ok(found.ok_or_else(|| {
        files::FileError::of("find", &dirs.image(image))(std::io::Error::from(std::io::ErrorKind::NotFound))
    })?)
}
/// Print images: table, or records with `json`.
pub fn print(_dirs: &StateDirs, _json: bool, _output: impl std::io::Write) -> Result<(), Error> {
    Ok(())
}
