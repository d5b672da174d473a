//! The image that new nodes are made from: named by an option, or by a record on standard input.

use std::fs::File;
use std::io::{self, BufRead, IsTerminal};
use std::path::Path;

use foundation::record::{self, ImageRecord, Record, RecordError};
use foundation::state::StateDirs;

use super::{StartArgs, StartError};
use crate::image::images;

/// The image, or the reason why it is missing: only new nodes need one.
pub(super) enum Image {
    /// An image.
    Given(Box<ImageRecord>),
    /// Standard input is a terminal.
    Terminal,
    /// Standard input is empty or closed.
    Empty,
    /// Standard input carries the list of nodes, or only nodes that exist are started.
    NotRead,
}

impl Image {
    /// That standard input is empty, and the likely cause.
    pub(super) fn empty_error() -> RecordError {
        RecordError::Empty { what: ImageRecord::WHAT, hint: ImageRecord::HINT }
    }
}

/// Obtain the image, and a lock that keeps it from being removed.
///
/// # Errors
/// Standard input carries anything but one image record, or the image has no root file system.
pub(super) fn obtain(
    args: &StartArgs,
    dirs: &StateDirs,
    input: impl BufRead,
) -> Result<(Image, Option<File>), StartError> {
    let is_input_used = args.nodes.as_deref() == Some(Path::new("-"));
    let image = match &args.image {
        Some(name) => images::load(dirs, name)?,
        None if args.all || is_input_used => return Ok((Image::NotRead, None)),
        None if io::stdin().is_terminal() => return Ok((Image::Terminal, None)),
        None => match record::read_all::<ImageRecord>(input) {
            Err(RecordError::Empty { .. }) => return Ok((Image::Empty, None)),
            Ok(mut records) if records.len() == 1 => records.remove(0),
            Ok(records) => return Err(StartError::ManyImages { count: records.len() }),
            Err(error) => return Err(error.into()),
        },
    };
    let path = image.path.join("rootfs");
    let held = images::hold(&image)?;
    if !path.join("usr").is_dir() {
        return Err(StartError::NoRootfs { image: image.image, path });
    }
    Ok((Image::Given(Box::new(image)), held))
}
