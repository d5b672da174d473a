//! The images that have been built: find one, list all, keep one from being removed.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use foundation::files::{self, FileError};
use foundation::name::Name;
use foundation::record::ImageRecord;
use foundation::state::StateDirs;

/// An image could not be found.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// No image has that name.
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
}

/// Where an image's record is.
pub(crate) fn record_path(dirs: &StateDirs, image: &Name) -> PathBuf {
    dirs.image(image).join("image.json")
}

/// The record of one image.
pub(crate) fn load(dirs: &StateDirs, image: &Name) -> Result<ImageRecord, ImageError> {
    let record = files::read_json(&record_path(dirs, image))?;
    record.ok_or_else(|| ImageError::NotFound { image: image.to_string(), images: dirs.images() })
}

/// Keep the image's generation from being removed until the returned lock is dropped or this process ends. A removal that
/// had begun has ended by then: the caller must check afterwards what is left. None when the directory does not exist.
pub(crate) fn hold(image: &ImageRecord) -> Result<Option<File>, FileError> {
    // flock(2) locks directories, too.
    match File::open(&image.path).and_then(|dir| dir.lock_shared().map(|()| dir)) {
        Ok(dir) => Ok(Some(dir)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::of("lock", &image.path)(error)),
    }
}

/// A lock under which a generation may be removed; none while another process holds one.
pub(crate) fn remove_lock(generation: &Path) -> Result<Option<File>, FileError> {
    let dir = File::open(generation).map_err(FileError::of("lock", generation))?;
    match dir.try_lock() {
        Ok(()) => Ok(Some(dir)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(FileError::of("lock", generation)(error)),
    }
}

/// The records of all images, in the order of their names.
pub(crate) fn list(dirs: &StateDirs) -> Result<Vec<ImageRecord>, FileError> {
    let mut records = Vec::new();
    for name in files::names_in(&dirs.images())? {
        records.extend(files::read_json(&dirs.images().join(name).join("image.json"))?);
    }
    Ok(records)
}
