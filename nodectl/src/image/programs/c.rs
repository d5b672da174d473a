//! Compile the programs of Kubernetes that are written in C.

use std::path::{Path, PathBuf};
use std::process::Command;

use foundation::files::FileError;
use nix::sys::signal::Signal;

use super::project::Row;
use crate::image::child::{self, ChildError};
use crate::image::context::Context;
use crate::image::digest::{self, Key};

/// A program in C could not be compiled.
#[derive(Debug, thiserror::Error)]
pub enum CError {
    /// The compiler failed.
    #[error(transparent)]
    Child(#[from] ChildError),
    /// The source could not be read, or the program not be kept.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Compile `program` from the source `tree` of Kubernetes, as build/pause/Makefile there does, unless that is done.
/// `version` is Kubernetes' word for it: v3.10.2. Returns the directory and its key.
pub(super) fn build(cx: &Context, program: &Row, tree: &Path, version: &str) -> Result<(PathBuf, String), CError> {
    let (name, tag) = (program.name, version.trim_start_matches('v'));
    let source = tree.join(program.package);
    let content = digest::sha256_file(&source).map_err(FileError::of("read", &source))?;
    let key = Key::new(&format!("{name} 1")).with("source", content).with("tag", tag).finish();
    let done = cx.cached("bin", &format!("{name}/{key}"));
    if done.is_dir() {
        return Ok((done, key));
    }
    cx.progress.stage(&format!("compile {name} {tag} (cc)"), |stage| {
        let bin = cx.building.join(name);
        std::fs::create_dir_all(&bin).map_err(FileError::of("create", &bin))?;
        let mut cc = Command::new("cc");
        cc.args(["-Os", "-Wall", "-static", "-s"]).arg(format!("-DVERSION=v{tag}"));
        cc.arg("-o").arg(bin.join(name)).arg(&source);
        child::run(child::contain(&mut cc, Signal::SIGKILL), &cx.log(name), stage)?;
        cx.keep(&bin, &done)?;
        Ok((done, key))
    })
}
