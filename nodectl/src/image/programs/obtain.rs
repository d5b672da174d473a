//! Get programs from wherever Kubernetes comes from: the one place that knows what each origin takes.

use std::cell::OnceCell;
use std::path::PathBuf;

use foundation::files::FileError;

use super::build::{Build, Flavor};
use super::c::{self, CError};
use super::checkout::{Checkout, CheckoutError};
use super::go::{self, GoError, Toolchain};
use super::mirrors::Mirrors;
use super::program::{self, Programs};
use super::project::{Compiler, Project};
use super::release::{self, ReleaseError};
use super::source::Origin;
use super::version::Version;
use super::wanted::WantedError;
use crate::image::context::Context;

/// Programs could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ObtainError {
    /// They could not be fetched.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// The checkout cannot be built from.
    #[error(transparent)]
    Checkout(#[from] CheckoutError),
    /// go could not build them.
    #[error(transparent)]
    Go(#[from] GoError),
    /// cc could not build one.
    #[error(transparent)]
    C(#[from] CError),
    /// Their version follows from an image's that kubeadm does not name.
    #[error(transparent)]
    Wanted(#[from] WantedError),
    /// A program could not be read or copied.
    #[error(transparent)]
    File(#[from] FileError),
}

/// An [`Origin`], opened.
pub(crate) struct Supplier<'a> {
    pub(crate) cx: &'a Context,
    mirrors: &'a Mirrors,
    from: From,
    toolchain: OnceCell<Toolchain>,
}

enum From {
    Release(Version),
    Go(Version),
    Checkout(Checkout),
}

impl<'a> Supplier<'a> {
    /// Open `origin`.
    ///
    /// # Errors
    /// It is a directory without Kubernetes.
    pub(crate) fn open(cx: &'a Context, mirrors: &'a Mirrors, origin: &Origin) -> Result<Self, ObtainError> {
        let from = match origin {
            Origin::Release(version) => From::Release(version.clone()),
            Origin::Go(version) => From::Go(version.clone()),
            Origin::Dir(path) => From::Checkout(Checkout::open(path)?),
        };
        Ok(Supplier { cx, mirrors, from, toolchain: OnceCell::new() })
    }

    /// Whether programs are compiled here; else they are fetched, and nodes pull the images.
    pub(crate) fn compiles(&self) -> bool {
        !matches!(self.from, From::Release(_))
    }

    /// Programs of a project whose version is Kubernetes' own, at least those of `names`, and that version.
    pub(crate) fn of_kubernetes(
        &self,
        project: &Project,
        names: &[&'static str],
        flavor: Flavor,
    ) -> Result<(Version, Programs), ObtainError> {
        let version = match &self.from {
            From::Release(version) | From::Go(version) => version.clone(),
            From::Checkout(checkout) => {
                // Build output was most likely optimised, of which a debugger makes nothing.
                if flavor == Flavor::Release
                    && let Some(made) = checkout.made(self.cx, names)?
                {
                    return Ok(made);
                }
                let version = checkout.version()?;
                let build = self.found(project.build(&version.to_string(), flavor).only(names))?;
                return Ok((version, checkout.compile(self.cx, &build)?));
            }
        };
        let programs = self.at_version(project, &version.to_string(), names, flavor)?;
        Ok((version, programs))
    }

    /// Whether it has programs of `project`: some are published in images alone.
    pub(crate) fn has(&self, project: &Project) -> bool {
        self.compiles() || project.release.is_some()
    }

    /// Programs of a project at its own `version`, at least those of `names`; none of those that it does not have.
    pub(crate) fn at_version(
        &self,
        project: &Project,
        version: &str,
        names: &[&'static str],
        flavor: Flavor,
    ) -> Result<Programs, ObtainError> {
        if !self.compiles() {
            let Some(release) = &project.release else { return Ok(Programs::new()) };
            return Ok(release::fetch(self.cx, self.mirrors, project, release, version, names)?);
        }
        if project.compiler == Compiler::C {
            let mut programs = Programs::new();
            for row in project.programs {
                let (dir, key) = c::build(self.cx, row, &self.tree()?.unwrap_or_default(), version)?;
                programs.extend(program::in_dir(&[row.name], &dir, &key));
            }
            return Ok(programs);
        }
        let mut build = self.found(project.build(version, flavor))?;
        // All of them where an image has them already, else no more than what is wanted.
        let go = self.toolchain()?;
        if names.len() < build.programs.len() && !go.has(self.cx, &build) {
            build = build.only(names);
        }
        Ok(go.build(self.cx, &build)?)
    }

    /// `build` without the programs that this version of Kubernetes does not have.
    fn found(&self, build: Build) -> Result<Build, ObtainError> {
        if !build.has_optional_programs() {
            return Ok(build);
        }
        Ok(self.tree()?.map_or(build.clone(), |tree| build.found_in(&tree)))
    }

    /// Where all of Kubernetes' source is, unless programs are fetched.
    pub(crate) fn tree(&self) -> Result<Option<PathBuf>, ObtainError> {
        let version = match &self.from {
            From::Release(_) => return Ok(None),
            From::Go(version) => version,
            From::Checkout(checkout) => match checkout.vendored() {
                // What is no Go package is not vendored.
                Some(version) => version,
                None => return Ok(Some(checkout.path().to_owned())),
            },
        };
        Ok(Some(go::source(self.cx, &version.to_string())?))
    }

    fn toolchain(&self) -> Result<&Toolchain, GoError> {
        if let Some(toolchain) = self.toolchain.get() {
            return Ok(toolchain);
        }
        let toolchain = Toolchain::find()?;
        Ok(self.toolchain.get_or_init(|| toolchain))
    }
}
