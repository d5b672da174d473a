//! `nodectl component`: build one component, and where it runs in a container an image with it.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use foundation::command;
use foundation::files::FileError;
use foundation::record::{self, Component, ComponentRecord, Kind, RecordError, SourcesRecord};
use foundation::state::StateDirs;
use serde_json::Map;

use super::archives::{self, ArchivesError};
use super::base::{self, BaseError};
use super::cache;
use super::checkout::{Checkout, CheckoutError};
use super::component::{self as modules, Flavor};
use super::compress;
use super::digest;
use super::go::{GoError, Toolchain};
use super::kept;
use super::mirrors::Mirrors;
use super::release::{self, ReleaseError};
use super::source::{Source, SourceError, Version};
use super::supply;
use super::tools::{self, ToolsError};
use super::wanted::Reference;
use super::{Context, Programs};

/// What `nodectl component` is asked.
#[derive(Clone, Debug, clap::Args)]
pub struct ComponentArgs {
    /// The component
    #[arg(value_name = "COMPONENT")]
    pub component: Component,
    /// Where it comes from: dir:PATH, go:VERSION, release:VERSION, auto:VERSION or file:PATH
    ///
    /// dir: a checkout of Kubernetes, of which no more is built than the component. go: the component's Go module.
    /// release: upstream's published binary. auto: release, or where that cannot be reached go. file: the program
    /// itself, built by other means. Of etcd, coredns and containerd the VERSION is their own.
    #[arg(long, value_name = "SOURCE")]
    pub from: Origin,
    /// Compile it for a debugger, without optimisation and with symbols, and build delve, too; from dir: or go:
    #[arg(long)]
    pub debug: bool,
    /// Build nothing: print which files a build reads, as a sources record
    #[arg(long, conflicts_with = "debug")]
    pub sources: bool,
    /// Where to fetch from.
    #[command(flatten)]
    pub mirrors: Mirrors,
}

/// `--from`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A program that is there already.
    File(PathBuf),
    /// A source, as images are built from.
    Source(Source),
}

impl FromStr for Origin {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("file:") {
            Some("") => Err(SourceError::NoPath),
            Some(path) => Ok(Origin::File(path.into())),
            None => text.parse().map(Origin::Source),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File(path) => write!(f, "file:{}", path.display()),
            Origin::Source(source) => source.fmt(f),
        }
    }
}

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// It does not come from there.
    #[error("{} cannot be had from {origin}; use {instead}", component.name())]
    Unknown {
        /// The component.
        component: Component,
        /// The source.
        origin: Origin,
        /// Those that it can be had from.
        instead: &'static str,
    },
    /// It is there already, and was compiled by others.
    #[error("{origin} is not compiled here, so it cannot be compiled for a debugger; use dir:PATH or go:VERSION")]
    Compiled {
        /// The source.
        origin: Origin,
    },
    /// etcd's image would lack its client.
    #[error("there is no {}; etcd's image has etcdctl in it, too: put it beside etcd", path.display())]
    NoEtcdctl {
        /// Where it should be.
        path: PathBuf,
    },
    /// The host lacks something.
    #[error(transparent)]
    Tools(#[from] ToolsError),
    /// The operating system could not be installed.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// It could not be fetched.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// The checkout is of no use.
    #[error(transparent)]
    Checkout(#[from] CheckoutError),
    /// Go could not build it.
    #[error(transparent)]
    Go(#[from] GoError),
    /// Its image could not be put together.
    #[error(transparent)]
    Archives(#[from] ArchivesError),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// The record could not be printed.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Build what `args` asks for and print its record.
///
/// # Errors
/// When it cannot be had from there, or does not compile.
pub fn run(args: &ComponentArgs, dirs: &StateDirs, output: impl Write) -> Result<(), ComponentError> {
    if args.sources {
        return Ok(record::write(output, &sources(&args.from)?)?);
    }
    let cx = Context::begin(dirs)?;
    let component = args.component;
    let flavor = if args.debug { Flavor::Debug } else { Flavor::Release };
    let (version, programs) = obtain(&cx, component, &args.from, &args.mirrors, flavor)?;
    let debugger = if args.debug { Some(debugger(&cx)?) } else { None };
    let program = &programs[component.name()].path;
    let sha256 = digest::sha256_file(program).map_err(FileError::of("read", program))?;
    let archive = match component.repository() {
        Some(repository) => {
            let base = base::build(&cx, &args.mirrors)?;
            let reference = reference(component, repository, version.as_deref(), &sha256);
            Some(archives::build(&cx, &reference, &programs, &base)?)
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

/// The files that a build reads.
fn sources(origin: &Origin) -> Result<SourcesRecord, ComponentError> {
    let (files, directories) = match origin {
        Origin::File(path) => (vec![path.canonicalize().map_err(FileError::of("find", path))?], vec![]),
        Origin::Source(Source::Dir(path)) => {
            let checkout = Checkout::open(path)?;
            (checkout.module_files().collect(), checkout.sources().collect())
        }
        Origin::Source(Source::Auto(_) | Source::Release(_) | Source::Go(_)) => (vec![], vec![]),
    };
    Ok(SourcesRecord { files, directories, extra: Map::new() })
}

/// The component's program, with those that its image has beside it, and its version where that is known.
///
/// # Errors
/// When it cannot be had from there, or does not compile.
pub(super) fn obtain(
    cx: &Context,
    component: Component,
    origin: &Origin,
    mirrors: &Mirrors,
    flavor: Flavor,
) -> Result<(Option<String>, Programs), ComponentError> {
    if flavor == Flavor::Debug && !matches!(origin, Origin::Source(Source::Dir(_) | Source::Go(_))) {
        return Err(ComponentError::Compiled { origin: origin.clone() });
    }
    let source = match origin {
        Origin::File(path) => return from_file(cx, component, path),
        Origin::Source(source) => source.clone().decide(&mirrors.release_url),
    };
    let unknown = |instead| Err(ComponentError::Unknown { component, origin: origin.clone(), instead });
    let own_module = match component {
        Component::Etcd => Some(modules::Component::etcd as fn(&str) -> modules::Component),
        Component::Coredns => Some(modules::Component::coredns as _),
        Component::Containerd => Some(modules::Component::containerd as _),
        Component::Runc => return unknown("file:PATH"),
        _ => None,
    };
    if own_module.is_some() && !matches!(source, Source::Go(_)) {
        return unknown("go:VERSION or file:PATH");
    }
    tools::check_compiler(&source)?;
    match (&source, own_module) {
        (Source::Go(version) | Source::Auto(version), Some(module)) => {
            from_go(cx, version, module(version.as_str()).compiled_for(flavor), None)
        }
        (Source::Go(version) | Source::Auto(version), None) => {
            let module = modules::Component::kubernetes(version).compiled_for(flavor);
            from_go(cx, version, module, Some(component.name()))
        }
        (Source::Dir(path), _) => {
            let (version, programs) = Checkout::open(path)?.build(cx, &[component.name()], flavor)?;
            Ok((Some(version.to_string()), programs))
        }
        (Source::Release(version), _) => {
            let programs = release::program(cx, mirrors, version, component.name())?;
            Ok((Some(version.to_string()), programs))
        }
    }
}

/// All programs of the module where an image has them already, else, where one will do, that one.
fn from_go(
    cx: &Context,
    version: &Version,
    mut module: modules::Component,
    one: Option<&'static str>,
) -> Result<(Option<String>, Programs), ComponentError> {
    let go = Toolchain::find()?;
    if let Some(name) = one.filter(|_| !go.has(cx, &module)) {
        module = module.only(&[name]);
    }
    let (dir, key) = go.build(cx, &module)?;
    let mut programs = Programs::new();
    supply::add(&mut programs, module.programs.iter().map(|(name, _)| *name), &dir, &key);
    Ok((Some(version.to_string()), programs))
}

/// delve's program.
fn debugger(cx: &Context) -> Result<PathBuf, ComponentError> {
    let (dir, _) = Toolchain::find()?.build(cx, &modules::Component::delve())?;
    Ok(dir.join("dlv"))
}

fn from_file(cx: &Context, component: Component, path: &Path) -> Result<(Option<String>, Programs), ComponentError> {
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
    let programs = kept::keep(cx, &path, &files)?;
    Ok((spoken_version(component, &programs[component.name()].path), programs))
}

/// What the program itself says. It may be one that crashes at start, or does not end: then it has none.
fn spoken_version(component: Component, program: &Path) -> Option<String> {
    let argument = if component == Component::Kubeadm { "version" } else { "--version" };
    let output = command::output(Command::new("timeout").arg("5").arg(program).arg(argument)).ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    version_in(&text).map(str::to_owned)
}

/// The first word that is a version: `Kubernetes v1.37.2`, `CoreDNS-1.14.6`, `GitVersion:"v1.37.2"`.
fn version_in(text: &str) -> Option<&str> {
    let is_version = |word: &&str| {
        let digits = word.trim_start_matches('v');
        digits.starts_with(|c: char| c.is_ascii_digit()) && digits.matches('.').count() >= 2
    };
    text.split(|c: char| c.is_whitespace() || "\",".contains(c))
        .map(|word| word.trim_start_matches("CoreDNS-"))
        .find(is_version)
}

/// A name that no other build has: kubelet does not look whether the image of a name has changed.
fn reference(component: Component, repository: &str, version: Option<&str>, sha256: &str) -> Reference {
    // A tag has no `+` (distribution specification, "Pulling manifests"); kubeadm writes `_` too.
    let version = version.unwrap_or("file").replace('+', "_");
    let tag = format!("{version}-{}", &sha256[..12]);
    Reference { full: format!("{repository}:{tag}"), name: component.name().to_owned(), tag }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;
    use crate::image::PROGRAMS;

    #[test]
    fn a_version_is_found_in_what_each_program_says() {
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

    #[test]
    fn a_tag_names_one_build() {
        let reference = reference(
            Component::KubeScheduler,
            "registry.k8s.io/kube-scheduler",
            Some("v1.37.2-5+84c7"),
            &"ab".repeat(32),
        );
        assert_eq!(reference.full, "registry.k8s.io/kube-scheduler:v1.37.2-5_84c7-abababababab");
    }

    #[test]
    fn where_a_component_comes_from_is_read_and_shown_as_it_was_written() {
        for text in ["file:/tmp/kubelet", "dir:/home/me/kubernetes", "go:v1.37.2"] {
            assert_eq!(text.parse::<Origin>().expect(text).to_string(), text);
        }
        assert!("file:".parse::<Origin>().is_err());
        assert!("kubelet".parse::<Origin>().is_err());
    }

    #[test]
    fn every_component_of_kubernetes_is_one_of_its_programs() {
        let others = ["etcd", "coredns", "containerd", "runc"];
        for component in Component::value_variants() {
            assert!(PROGRAMS.contains(&component.name()) != others.contains(&component.name()), "{component:?}");
        }
    }
}
