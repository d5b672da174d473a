//! The images that have been built: find one, list all.

use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use foundation::files::{self, FileError};
use foundation::name::Name;
use foundation::record::{self, ImageRecord, RecordError};
use foundation::state::StateDirs;
use foundation::table;

/// Why an image could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none of that name.
    #[error("image {image:?} not found under {}; build it with `nodectl build --image {image}`", images.display())]
    NotFound {
        /// The name.
        image: String,
        /// Where images are.
        images: PathBuf,
    },
    /// Its record could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its record could not be printed.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Where an image's record is.
pub fn record_path(dirs: &StateDirs, image: &Name) -> PathBuf {
    dirs.image(image).join("image.json")
}

/// The record of one image.
///
/// # Errors
/// When it has not been built, or its record cannot be read.
pub fn load(dirs: &StateDirs, image: &Name) -> Result<ImageRecord, Error> {
    let record = files::read_json(&record_path(dirs, image))?;
    record.ok_or_else(|| Error::NotFound { image: image.to_string(), images: dirs.images() })
}

/// Keep the image's generation from being removed, until the lock that is returned is dropped or this process ends.
/// A removal that had begun has ended by then: look at what is there afterwards. None when the directory is not there.
///
/// # Errors
/// When it cannot be opened.
pub fn hold(image: &ImageRecord) -> Result<Option<File>, FileError> {
    // flock(2) locks directories, too.
    match File::open(&image.path).and_then(|dir| dir.lock_shared().map(|()| dir)) {
        Ok(dir) => Ok(Some(dir)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::of("lock", &image.path)(error)),
    }
}

/// A lock under which a generation may be removed; none when somebody holds it.
///
/// # Errors
/// When it cannot be opened.
pub fn remove_lock(generation: &Path) -> Result<Option<File>, FileError> {
    let dir = File::open(generation).map_err(FileError::of("lock", generation))?;
    match dir.try_lock() {
        Ok(()) => Ok(Some(dir)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(FileError::of("lock", generation)(error)),
    }
}

/// The records of all images, in the order of their names.
///
/// # Errors
/// When one cannot be read.
pub fn list(dirs: &StateDirs) -> Result<Vec<ImageRecord>, Error> {
    let mut records = Vec::new();
    for name in files::names_in(&dirs.images())? {
        records.extend(files::read_json(&dirs.images().join(name).join("image.json"))?);
    }
    Ok(records)
}

/// Print all images: a table, or records with `json`.
///
/// # Errors
/// When one cannot be read, or the other end of the pipe is gone.
pub fn print(dirs: &StateDirs, json: bool, mut output: impl Write) -> Result<(), Error> {
    let images = list(dirs)?;
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
