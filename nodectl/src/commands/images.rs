//! `nodectl images`: list images.

use std::io::Write;

use foundation::files::FileError;
use foundation::record::{self, ImageRecord, RecordError};
use foundation::state::StateDirs;
use foundation::table;

use crate::image::images;

/// Images could not be listed.
#[derive(Debug, thiserror::Error)]
pub enum ImagesError {
    /// A record could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A record could not be printed.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Print all images: a table, or records with `json`.
pub(crate) fn run(dirs: &StateDirs, json: bool, mut output: impl Write) -> Result<(), ImagesError> {
    let images = images::list(dirs)?;
    if json {
        return Ok(images.iter().try_for_each(|image| record::write(&mut output, image))?);
    }
    let header = ["IMAGE", "KUBERNETES", "SOURCE", "OS"].map(str::to_owned);
    let row = |image: &ImageRecord| {
        [image.image.to_string(), image.kubernetes.clone(), image.source.clone(), image.os.clone()]
    };
    let rows = std::iter::once(header).chain(images.iter().map(row));
    write!(output, "{}", table::render(rows)).map_err(RecordError::Write)?;
    Ok(())
}
