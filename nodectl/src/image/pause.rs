//! Compile the pause program, which holds a pod's namespaces: the one part of Kubernetes that is written in C.

use std::path::{Path, PathBuf};
use std::process::Command;

use foundation::files::FileError;
use nix::sys::signal::Signal;

use super::Context;
use super::child::{self, ChildError};
use super::digest::{self, Key};

/// Why pause could not be compiled.
#[derive(Debug, thiserror::Error)]
pub enum PauseError {
    /// The compiler failed.
    #[error(transparent)]
    Child(#[from] ChildError),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Compile pause from the source tree of Kubernetes, as build/pause/Makefile there does, unless that is done.
/// `tag` is the image's.
///
/// # Errors
/// When it does not compile.
pub fn build(cx: &Context, tree: &Path, tag: &str) -> Result<(PathBuf, String), PauseError> {
    let source = tree.join("build/pause/linux/pause.c");
    let content = digest::sha256_file(&source).map_err(FileError::of("read", &source))?;
    let key = Key::new("pause 1").with("source", content).with("tag", tag).finish();
    let done = cx.cached("bin", &format!("pause/{key}"));
    if done.is_dir() {
        return Ok((done, key));
    }
    cx.progress.stage(&format!("compile pause {tag} (cc)"), |stage| {
        let bin = cx.building.join("pause");
        std::fs::create_dir_all(&bin).map_err(FileError::of("create", &bin))?;
        let mut cc = Command::new("cc");
        cc.args(["-Os", "-Wall", "-static", "-s"]).arg(format!("-DVERSION=v{tag}"));
        cc.arg("-o").arg(bin.join("pause")).arg(&source);
        child::run(child::contain(&mut cc, Signal::SIGKILL), &cx.log("pause"), stage)?;
        cx.keep(&bin, &done)?;
        Ok((done, key))
    })
}
