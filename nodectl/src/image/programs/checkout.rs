//! Kubernetes from a checkout: its own build output where that is up to date, else compiled in it by `go build`, whose
//! cache makes a small change a matter of seconds. Or from a module of the user's own that has Kubernetes below
//! vendor/, as `go mod vendor` puts it there.

use std::fs;
use std::path::{Path, PathBuf};

use foundation::command::CommandError;
use foundation::files::FileError;
use nix::sys::signal::Signal;

use super::build::{Build, Flavor};
use super::copies;
use super::go;
use super::program::Programs;
use super::version::{MODULE, Version, VersionError};
use crate::image::arch::arch;
use crate::image::child::{self, ChildError};
use crate::image::context::Context;

mod fresh;
mod version;

/// Where the source of the programs is, in a checkout and in a module that vendors them.
const SOURCES: [&str; 6] = ["cmd", "pkg", "plugin", "staging/src", "third_party", "vendor"];

/// At the top of the tree, what decides which modules the programs are compiled from.
const MODULE_FILES: [&str; 4] = ["go.mod", "go.sum", "go.work", "go.work.sum"];

/// What `go mod vendor` lays out: the modules with their versions, and Kubernetes.
const MODULES: &str = "vendor/modules.txt";
const VENDORED: &str = "vendor/k8s.io/kubernetes";

/// A checkout cannot be built from.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    /// It is another directory.
    #[error("{} is no checkout of Kubernetes: it has no {missing}, and no {VENDORED} of `go mod vendor`", path.display())]
    NotOne {
        /// The directory.
        path: PathBuf,
        /// What is missing.
        missing: &'static str,
    },
    /// Another module is vendored in place of Kubernetes'.
    #[error("{} does not say which version of {MODULE} is vendored; run `go mod vendor`", path.display())]
    NoModule {
        /// The list of modules.
        path: PathBuf,
    },
    /// git knows no tag of it.
    #[error(
        "cannot tell the version of {} by its newest tag v*; fetch tags, or set KUBE_GIT_VERSION",
        path.display()
    )]
    NoVersion {
        /// The directory.
        path: PathBuf,
        /// What git says.
        source: CommandError,
    },
    /// Its version does not parse.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// git, or a program that it has built, failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// It does not compile.
    #[error(transparent)]
    Child(#[from] ChildError),
    /// A file could not be read, or a copy of a program not be written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A tree with Kubernetes' source.
pub(crate) struct Checkout {
    path: PathBuf,
    /// The module's version, where it is vendored.
    vendored: Option<Version>,
}

impl Checkout {
    /// The tree at `path`.
    ///
    /// # Errors
    /// The directory does not exist, or is no checkout of Kubernetes.
    pub(crate) fn open(path: &Path) -> Result<Self, CheckoutError> {
        let path = path.canonicalize().map_err(FileError::of("find", path))?;
        if path.join(VENDORED).is_dir() {
            let vendored = Some(version::vendored(&path.join(MODULES))?);
            return Ok(Checkout { path, vendored });
        }
        for missing in ["go.mod", "cmd/kubeadm", "build/pause/linux/pause.c"] {
            if !path.join(missing).exists() {
                return Err(CheckoutError::NotOne { path, missing });
            }
        }
        Ok(Checkout { path, vendored: None })
    }

    /// The directory.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The files that decide which modules its programs are compiled from. Not all of them need exist.
    pub(crate) fn module_files(&self) -> impl Iterator<Item = PathBuf> {
        MODULE_FILES.iter().map(|file| self.path.join(file))
    }

    /// The directories with the source of its programs.
    pub(crate) fn sources(&self) -> impl Iterator<Item = PathBuf> {
        SOURCES.iter().map(|dir| self.path.join(dir)).filter(|dir| dir.is_dir())
    }

    /// The version of Kubernetes' module that is vendored. What is no Go package (pause) is not vendored with it.
    pub(super) fn vendored(&self) -> Option<&Version> {
        self.vendored.as_ref()
    }

    /// The version as upstream's own build finds it; of a vendored tree, the module's. `-dirty` once it was edited.
    pub(super) fn version(&self) -> Result<Version, CheckoutError> {
        version::of(&self.path, self.vendored.as_ref())
    }

    /// Copies of the programs `names` of the tree's own build output, and their version, unless the source is newer.
    pub(super) fn made(
        &self,
        cx: &Context,
        names: &[&'static str],
    ) -> Result<Option<(Version, Programs)>, CheckoutError> {
        let made = self.path.join("_output/local/bin/linux").join(arch());
        if !fresh::is_up_to_date(&made, &self.path, names) {
            return Ok(None);
        }
        eprintln!("build: using the programs in {}", made.display());
        Ok(Some((version::spoken(&made.join(names[0]))?, keep(cx, &made, names)?)))
    }

    /// Compile the programs of `build` in the tree, and keep copies. The programs stay where they are, so that go links
    /// only what has changed. It links in GOTMPDIR and renames from there: between two file systems it would copy, and
    /// after a build that was killed it would take half a program for a whole one, for it reads only the beginning.
    pub(super) fn compile(&self, cx: &Context, build: &Build) -> Result<Programs, CheckoutError> {
        let dir = if build.flavor == Flavor::Debug { "debug" } else { "bin" };
        let out = copies::working_dir(cx, &self.path).join(dir);
        fs::create_dir_all(&out).map_err(FileError::of("create", &out))?;
        let (_, version) = &build.modules[0];
        let what = format!("compile {} {version} in {} (go)", build.name, self.path.display());
        cx.progress.stage(&what, |stage| {
            go::commands(build, &["-buildvcs=false"], &out).iter_mut().try_for_each(|go| {
                let go = go.env("GOTMPDIR", &cx.building).current_dir(&self.path);
                child::run(child::contain(go, Signal::SIGTERM), &cx.log("checkout"), stage)
            })
        })?;
        // go names programs by their packages: Kubernetes' packages have the names of its programs.
        Ok(keep(cx, &out, &build.names())?)
    }
}

/// Copies of the programs in `dir`.
fn keep(cx: &Context, dir: &Path, names: &[&'static str]) -> Result<Programs, FileError> {
    let programs: Vec<_> = names.iter().map(|name| (*name, dir.join(name))).collect();
    copies::keep(cx, dir, &programs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_no_checkout_is_refused_with_what_is_missing() {
        let dir = tempfile::tempdir().expect("a directory");
        let error = Checkout::open(dir.path()).err().expect("none").to_string();
        assert!(error.contains("is no checkout of Kubernetes: it has no go.mod, and no vendor/"), "{error}");
    }
}
