//! Kubernetes from a checkout: its own build output where that is up to date, else built in it by `go build`, whose
//! cache makes a small change a matter of seconds. Or from a module of the user's own that has Kubernetes below
//! vendor/, as `go mod vendor` puts it there.

use std::fs;
use std::path::{Path, PathBuf};

use foundation::command::CommandError;
use foundation::files::FileError;
use nix::sys::signal::Signal;

use super::child::{self, ChildError};
use super::component::{Component, Flavor, KUBERNETES};
use super::go;
use super::kept;
use super::source::{SourceError, Version};
use super::{Context, Programs, arch};

mod fresh;
mod version;

/// Where the source of the programs is, in a checkout and in a module that vendors them.
const SOURCES: [&str; 6] = ["cmd", "pkg", "plugin", "staging/src", "third_party", "vendor"];

/// At the top of the tree, what decides which modules the programs are compiled from.
const MODULE_FILES: [&str; 4] = ["go.mod", "go.sum", "go.work", "go.work.sum"];

/// What `go mod vendor` lays out: the modules with their versions, and Kubernetes.
const MODULES: &str = "vendor/modules.txt";
const VENDORED: &str = "vendor/k8s.io/kubernetes";

/// Why a checkout is of no use.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    /// It is none.
    #[error("{} is no checkout of Kubernetes: it has no {missing}, and no {VENDORED} of `go mod vendor`", path.display())]
    NotOne {
        /// The directory.
        path: PathBuf,
        /// What is missing.
        missing: &'static str,
    },
    /// Another module is vendored in place of Kubernetes'.
    #[error("{} does not say which version of {KUBERNETES} is vendored; run `go mod vendor`", path.display())]
    NoModule {
        /// The list of modules.
        path: PathBuf,
    },
    /// Nobody says which version it is.
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
    /// The version is not one.
    #[error(transparent)]
    Version(#[from] SourceError),
    /// git or kubeadm failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// It does not compile.
    #[error(transparent)]
    Child(#[from] ChildError),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A tree with Kubernetes' source.
pub struct Checkout {
    path: PathBuf,
    /// The module's version, where it is vendored.
    vendored: Option<Version>,
}

impl Checkout {
    /// The tree at `path`.
    ///
    /// # Errors
    /// When it is none.
    pub fn open(path: &Path) -> Result<Self, CheckoutError> {
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
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The files that decide which modules its programs are compiled from. Not all of them need be there.
    pub fn module_files(&self) -> impl Iterator<Item = PathBuf> {
        MODULE_FILES.iter().map(|file| self.path.join(file))
    }

    /// The directories with the source of its programs.
    pub fn sources(&self) -> impl Iterator<Item = PathBuf> {
        SOURCES.iter().map(|dir| self.path.join(dir)).filter(|dir| dir.is_dir())
    }

    /// The version of Kubernetes' module that is vendored; what is no Go package (pause) is left out there.
    pub fn vendored(&self) -> Option<&Version> {
        self.vendored.as_ref()
    }

    /// The programs `names`, copied to the cache under the digest of their content, and their version.
    ///
    /// # Errors
    /// When it does not compile.
    pub fn build(
        &self,
        cx: &Context,
        names: &[&'static str],
        flavor: Flavor,
    ) -> Result<(Version, Programs), CheckoutError> {
        let made = self.path.join("_output/local/bin/linux").join(arch());
        // What is there has most likely been optimised.
        if flavor == Flavor::Release && fresh::is_up_to_date(&made, &self.path, names) {
            eprintln!("build: using the programs in {}", made.display());
            return Ok((version::spoken(&made.join(names[0]))?, keep(cx, &made, names)?));
        }
        let version = self.version()?;
        let component = Component::kubernetes(&version).only(names).compiled_for(flavor);
        Ok((version, self.compile(cx, &component)?))
    }

    /// The version as upstream's own build finds it; of a vendored tree, the module's. `-dirty` once it was edited.
    ///
    /// # Errors
    /// When nobody knows it.
    pub fn version(&self) -> Result<Version, CheckoutError> {
        version::of(&self.path, self.vendored.as_ref())
    }

    /// Compile the programs of `component` in the tree, and keep copies. The programs stay where they are, so that go
    /// links only what has changed. It links in GOTMPDIR, and renames from there; from another file system it would
    /// copy, and take half of a program, which a build that was killed has left, for a whole one: it looks at the
    /// beginning.
    ///
    /// # Errors
    /// When one does not compile.
    pub fn compile(&self, cx: &Context, component: &Component) -> Result<Programs, CheckoutError> {
        let dir = if component.flavor == Flavor::Debug { "debug" } else { "bin" };
        let out = kept::working_dir(cx, &self.path).join(dir);
        fs::create_dir_all(&out).map_err(FileError::of("create", &out))?;
        let (_, version) = &component.modules[0];
        let what = format!("compile {} {version} in {} (go)", component.name, self.path.display());
        cx.progress.stage(&what, |stage| {
            go::commands(component, &["-buildvcs=false"], &out).iter_mut().try_for_each(|go| {
                let go = go.env("GOTMPDIR", &cx.building).current_dir(&self.path);
                child::run(child::contain(go, Signal::SIGTERM), &cx.log("checkout"), stage)
            })
        })?;
        // By the names that go gives them, which are those of Kubernetes' programs.
        let names: Vec<_> = component.programs.iter().map(|(name, _)| *name).collect();
        Ok(keep(cx, &out, &names)?)
    }
}

/// Copies of the programs in `dir`.
fn keep(cx: &Context, dir: &Path, names: &[&'static str]) -> Result<Programs, FileError> {
    let programs: Vec<_> = names.iter().map(|name| (*name, dir.join(name))).collect();
    kept::keep(cx, dir, &programs)
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
