//! What a plugin prints: read while it runs, kept up to a limit.

use std::fs::File;
use std::io::{self, Read};

/// How much is read at once: as much as a pipe holds by default (pipe(7)).
const CHUNK: usize = 64 << 10;

/// Which part of the output is kept.
pub(super) enum Keep {
    /// The first bytes.
    Start(usize),
    /// The last.
    End(usize),
}

/// One of a plugin's two outputs.
pub(super) struct Output {
    /// Does not block; `None` at its end.
    pipe: Option<File>,
    keep: Keep,
    kept: Vec<u8>,
}

impl Output {
    pub(super) fn new(pipe: Option<File>, keep: Keep) -> Self {
        Output { pipe, keep, kept: Vec::new() }
    }

    /// The pipe to wait for, until its end.
    pub(super) fn pipe(&self) -> Option<&File> {
        self.pipe.as_ref()
    }

    /// Read what is there, or a part of it. Returns its length.
    pub(super) fn read_some(&mut self) -> io::Result<usize> {
        let Some(pipe) = &mut self.pipe else { return Ok(0) };
        let mut chunk = [0; CHUNK];
        match pipe.read(&mut chunk) {
            Ok(0) => self.pipe = None,
            Ok(length) => {
                self.add(&chunk[..length]);
                return Ok(length);
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
        Ok(0)
    }

    /// Read what the plugin has left in the pipe: at most a mebibyte (pipe(7), pipe-max-size). More comes from a child
    /// that the plugin has left behind.
    pub(super) fn read_rest(&mut self) -> io::Result<()> {
        let mut read = 0;
        while read < 1 << 20 {
            match self.read_some()? {
                0 => break,
                length => read += length,
            }
        }
        Ok(())
    }

    /// The kept part.
    pub(super) fn kept(mut self) -> Vec<u8> {
        if let Keep::End(limit) = self.keep {
            self.kept.drain(..self.kept.len().saturating_sub(limit));
        }
        self.kept
    }

    fn add(&mut self, chunk: &[u8]) {
        match self.keep {
            Keep::Start(limit) => {
                let room = limit.saturating_sub(self.kept.len());
                self.kept.extend_from_slice(&chunk[..chunk.len().min(room)]);
            }
            Keep::End(limit) => {
                self.kept.drain(..self.kept.len().saturating_sub(limit));
                self.kept.extend_from_slice(chunk);
            }
        }
    }
}
