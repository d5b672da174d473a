//! One component of a cluster, from wherever the user says: an [`Origin`], or a program that was built by other means.

use std::path::{Path, PathBuf};
use std::process::Command;

use foundation::command;
use foundation::files::FileError;
use foundation::record::Component;

use super::build::Flavor;
use super::catalog;
use super::copies;
use super::go::Toolchain;
use super::mirrors::Mirrors;
use super::obtain::{ObtainError, Supplier};
use super::program::Programs;
use super::source::{Origin, ProgramSource};
use super::version::Version;
use crate::image::context::Context;
use crate::image::tools::{self, ToolsError};

/// A component could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// It does not come from there.
    #[error("{} cannot be had from {from}; use {instead}", component.name())]
    Unknown {
        /// The component.
        component: Component,
        /// The source.
        from: ProgramSource,
        /// Those that it can be had from.
        instead: &'static str,
    },
    /// A program that is not compiled here cannot be compiled for a debugger.
    #[error("{0} is not compiled here, so it cannot be compiled for a debugger; use dir:PATH or go:VERSION")]
    Compiled(ProgramSource),
    /// etcd's image would lack its client.
    #[error("there is no {}; etcd's image has etcdctl in it, too: put it beside etcd", path.display())]
    NoEtcdctl {
        /// Where it should be.
        path: PathBuf,
    },
    /// The host lacks a compiler.
    #[error(transparent)]
    Tools(#[from] ToolsError),
    /// It could not be fetched or compiled.
    #[error(transparent)]
    Obtain(#[from] ObtainError),
    /// The program could not be read or copied.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A component's program with those that its image has beside it, and its version where that is known.
pub(crate) struct Obtained {
    pub(crate) version: Option<String>,
    pub(crate) programs: Programs,
}

/// Get `component` from `source`.
///
/// # Errors
/// It cannot be had from there, or does not compile.
pub(crate) fn obtain(
    cx: &Context,
    mirrors: &Mirrors,
    component: Component,
    source: &ProgramSource,
    flavor: Flavor,
) -> Result<Obtained, ComponentError> {
    let is_compiled = match source {
        ProgramSource::Source(source) => source.is_compiled(),
        ProgramSource::File(_) => false,
    };
    if flavor == Flavor::Debug && !is_compiled {
        return Err(ComponentError::Compiled(source.clone()));
    }
    let origin = match source {
        ProgramSource::File(path) => return from_file(cx, component, path),
        ProgramSource::Source(asked) => asked.clone().decide(mirrors.releases()),
    };
    let unknown = |instead| Err(ComponentError::Unknown { component, from: source.clone(), instead });
    let Some(project) = catalog::with_program(component.name()) else { return unknown("file:PATH") };
    if project.is_of_kubernetes() {
        tools::check(&[origin.tools()])?;
        let supplier = Supplier::open(cx, mirrors, &origin)?;
        let (version, programs) = supplier.of_kubernetes(project, &[component.name()], flavor)?;
        return Ok(Obtained { version: Some(version.to_string()), programs });
    }
    let Origin::Go(version) = &origin else { return unknown("go:VERSION or file:PATH") };
    tools::check(&[origin.tools()])?;
    let version = version.to_string();
    let programs = Supplier::open(cx, mirrors, &origin)?.at_version(project, &version, &project.names(), flavor)?;
    Ok(Obtained { version: Some(version), programs })
}

/// delve's program.
pub(crate) fn debugger(cx: &Context) -> Result<PathBuf, ComponentError> {
    let version = catalog::DELVE.version(&Version::pinned(), &[]).map_err(ObtainError::from)?;
    let programs = Toolchain::find().and_then(|go| go.build(cx, &catalog::DELVE.build(&version, Flavor::Release)));
    Ok(programs.map_err(ObtainError::from)?["dlv"].path.clone())
}

fn from_file(cx: &Context, component: Component, path: &Path) -> Result<Obtained, ComponentError> {
    let path = path.canonicalize().map_err(FileError::of("find", path))?;
    let mut files = vec![(component.name(), path.clone())];
    if component == Component::Etcd {
        // Its image has both.
        let beside = path.with_file_name("etcdctl");
        if !beside.is_file() {
            return Err(ComponentError::NoEtcdctl { path: beside });
        }
        files.push(("etcdctl", beside));
    }
    let programs = copies::keep(cx, &path, &files)?;
    Ok(Obtained { version: spoken_version(component, &programs[component.name()].path), programs })
}

/// The version that the program itself prints. A program that crashes or hangs has none.
fn spoken_version(component: Component, program: &Path) -> Option<String> {
    let argument = if component == Component::Kubeadm { "version" } else { "--version" };
    let output = command::output(Command::new("timeout").arg("5").arg(program).arg(argument)).ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    version_in(&text).map(str::to_owned)
}

/// The first word that is a version: `Kubernetes v1.37.2`, `CoreDNS-1.14.6`, `GitVersion:"v1.37.2"`.
fn version_in(text: &str) -> Option<&str> {
    text.split(|c: char| c.is_whitespace() || "\",".contains(c))
        .map(|word| word.trim_start_matches("CoreDNS-"))
        .find(|word| word.trim_start_matches('v').parse::<semver::Version>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_in_what_each_program_prints() {
        for (text, version) in [
            ("Kubernetes v1.37.2-dirty\n", "v1.37.2-dirty"),
            (
                "kubeadm version: &version.Info{Major:\"1\", Minor:\"37\", GitVersion:\"v1.37.2\", GitCommit:\"\"}",
                "v1.37.2",
            ),
            ("CoreDNS-1.14.6\nlinux/amd64, go1.26.8, \n", "1.14.6"),
            ("containerd github.com/containerd/containerd/v2 v2.4.2 \n", "v2.4.2"),
            ("runc version 1.1.15+ds1\ncommit: 1.1.15+ds1-2+b4\n", "1.1.15+ds1"),
        ] {
            assert_eq!(version_in(text), Some(version));
        }
        assert_eq!(version_in("usage: x [-h]\n"), None);
    }
}
