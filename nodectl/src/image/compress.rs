//! Compress what is sent to nodes, by zstd.

use std::fs::File;
use std::io::{self, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread;

use foundation::files::FileError;
use zstd::Encoder;

use super::context::Context;

/// zstd's fastest level. The usual third one makes programs smaller, but takes longer than SSH and a node's disk take for
/// the difference.
const LEVEL: i32 = 1;

/// Compresses all that is written to it, on all processors.
pub(crate) fn encoder<W: Write>(to: W) -> io::Result<Encoder<'static, W>> {
    let mut encoder = Encoder::new(to, LEVEL)?;
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    // One thread or many give the same result; no thread gives another.
    encoder.multithread(u32::try_from(processors).unwrap_or(1))?;
    Ok(encoder)
}

/// A program, compressed, in the cache; `sha256` is its content's.
pub(crate) fn program(cx: &Context, program: &Path, sha256: &str) -> Result<PathBuf, FileError> {
    let place = cx.cached("zstd", &format!("{sha256}.zst"));
    if !place.is_file() {
        let half = cx.building.join("program.zst");
        let attempt = || -> io::Result<()> {
            let mut encoder = encoder(File::create(&half)?)?;
            io::copy(&mut File::open(program)?, &mut encoder)?;
            encoder.finish()?;
            Ok(())
        };
        attempt().map_err(FileError::of("compress", program))?;
        cx.keep(&half, &place)?;
    }
    Ok(place)
}
