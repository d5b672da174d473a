//! `nodectl component`: build one component, and an image with it if it runs in a container.

use std::io::Write;
use std::path::Path;

use foundation::files::FileError;
use foundation::record::{self, Component, ComponentRecord, Kind, RecordError, SourcesRecord};
use foundation::state::StateDirs;
use serde_json::Map;

use crate::image::containers::assemble::{self, AssembleError, Ingredients};
use crate::image::containers::recipes;
use crate::image::context::Context;
use crate::image::programs::build::Flavor;
use crate::image::programs::checkout::{Checkout, CheckoutError};
use crate::image::programs::component::{self, ComponentError, Obtained};
use crate::image::programs::mirrors::Mirrors;
use crate::image::programs::source::{Origin, ProgramSource, Source};
use crate::image::root::base::{self, BaseError};
use crate::image::root::os::NODE;
use crate::image::{cache, compress, digest};

/// What `nodectl component` is asked.
#[derive(Clone, Debug, clap::Args)]
pub struct ComponentArgs {
    /// The component
    #[arg(value_name = "COMPONENT")]
    component: Component,
    /// Where it comes from: dir:PATH, go:VERSION, release:VERSION, auto:VERSION or file:PATH
    ///
    /// dir: a checkout of Kubernetes, of which only the component is built. go: the component's Go module.
    /// release: upstream's published binary. auto: release, or where that cannot be reached go. file: the program
    /// itself, built by other means. For etcd, coredns and containerd, VERSION is their own.
    #[arg(long, value_name = "SOURCE")]
    from: ProgramSource,
    /// Compile it for a debugger, without optimisation and with symbols, and build delve, too; from dir: or go:
    #[arg(long)]
    debug: bool,
    /// Build nothing: print which files a build reads, as a sources record
    #[arg(long, conflicts_with = "debug")]
    sources: bool,
    /// Where to fetch from.
    #[command(flatten)]
    mirrors: Mirrors,
}

/// A component could not be built.
#[derive(Debug, thiserror::Error)]
pub enum ComponentCommandError {
    /// Its program could not be fetched or compiled.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// The checkout cannot be built from.
    #[error(transparent)]
    Checkout(#[from] CheckoutError),
    /// Debian, which its image has files of, could not be installed.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// Its image could not be put together.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    /// The program could not be read or compressed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The record could not be printed.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Build what `args` asks for and print its record.
pub(crate) fn run(args: &ComponentArgs, dirs: &StateDirs, output: impl Write) -> Result<(), ComponentCommandError> {
    if args.sources {
        return Ok(record::write(output, &sources(&args.from)?)?);
    }
    let cx = Context::begin(dirs)?;
    let component = args.component;
    let flavor = if args.debug { Flavor::Debug } else { Flavor::Release };
    let Obtained { version, programs } = component::obtain(&cx, &args.mirrors, component, &args.from, flavor)?;
    let debugger = if args.debug { Some(component::debugger(&cx)?) } else { None };
    let program = &programs[component.name()].path;
    let sha256 = digest::sha256_file(program).map_err(FileError::of("read", program))?;
    let archive = match component.repository() {
        Some(repository) => {
            // Its image takes the certificates from it, and is named by their content.
            let base = base::any(&cx, &args.mirrors, &NODE, NODE.packages)?;
            let reference = reference(repository, version.as_deref(), &sha256);
            let from = Ingredients { programs: &programs, base: &base, source: Path::new("") };
            Some(assemble::build(&cx, &reference, recipes::find(component.name()), &from)?)
        }
        None => None,
    };
    let compressed = match component.kind() {
        Kind::Program => Some(compress::program(&cx, program, &sha256)?),
        Kind::StaticPod | Kind::Workload => None,
    };
    let kind = if args.debug { "debug" } else { "component" };
    cache::remember_last(&cx, &format!("{kind}-{}", component.name()))?;
    let record = ComponentRecord {
        component,
        version,
        program: program.clone(),
        compressed,
        sha256,
        image: archive.as_ref().map(|archive| archive.reference.clone()),
        archive: archive.map(|archive| archive.path),
        debugger,
        extra: Map::new(),
    };
    Ok(record::write(output, &record)?)
}

/// The files that a build reads; none of a source that never changes.
fn sources(from: &ProgramSource) -> Result<SourcesRecord, ComponentCommandError> {
    let (files, directories) = match from {
        ProgramSource::File(path) => (vec![path.canonicalize().map_err(FileError::of("find", path))?], vec![]),
        ProgramSource::Source(Source::Only(Origin::Dir(path))) => {
            let checkout = Checkout::open(path)?;
            (checkout.module_files().collect(), checkout.sources().collect())
        }
        ProgramSource::Source(_) => (vec![], vec![]),
    };
    Ok(SourcesRecord { files, directories, extra: Map::new() })
}

/// A name that no other build has: kubelet does not check whether the image of a name has changed.
fn reference(repository: &str, version: Option<&str>, sha256: &str) -> String {
    // A tag has no `+` (distribution specification, "Pulling manifests"); kubeadm writes `_` too.
    let version = version.unwrap_or("file").replace('+', "_");
    format!("{repository}:{version}-{}", &sha256[..12])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_names_one_build() {
        let reference = reference("registry.k8s.io/kube-scheduler", Some("v1.37.2-5+84c7"), &"ab".repeat(32));
        assert_eq!(reference, "registry.k8s.io/kube-scheduler:v1.37.2-5_84c7-abababababab");
    }
}
