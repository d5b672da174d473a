//! `nodectl e2e`: build Kubernetes' own end-to-end tests, and the images that their pods are made of.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use foundation::command::{self, CommandError};
use foundation::files::FileError;
use foundation::name::Name;
use foundation::record::{self, Missing, RecordError, SuiteImage, SuiteRecord};
use foundation::state::StateDirs;
use serde_json::Map;

use self::assemble::Ingredients;
use self::recipes::Recipe;
use super::archives::ArchivesError;
use super::base::{self, BaseError};
use super::cache;
use super::checkout::{Checkout, CheckoutError};
use super::component::{Component, KUBERNETES};
use super::generation;
use super::go::{GoError, Toolchain};
use super::mirrors::Mirrors;
use super::release::{self, ReleaseError};
use super::source::Source;
use super::supply;
use super::tools::{self, ToolsError};
use super::{Context, Programs};
use crate::images;
use crate::node::Node;

mod assemble;
mod missing;
mod recipes;

/// What `nodectl e2e` is asked.
#[derive(Clone, Debug, clap::Args)]
pub struct SuiteArgs {
    /// Where the tests come from: dir:PATH, go:VERSION, release:VERSION or auto:VERSION, as for `nodectl build`;
    /// without it, from where the cluster's Kubernetes does
    ///
    /// Of a release no images are made: the nodes pull them.
    #[arg(long, value_name = "SOURCE")]
    pub from: Option<Source>,
    /// The cluster
    #[arg(long, value_name = "NAME", env = "KUBEADM_SYSTEMD_CLUSTER", default_value = "default")]
    pub cluster: Name,
    /// Where to fetch from.
    #[command(flatten)]
    pub mirrors: Mirrors,
}

/// Why there are no tests.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    /// Nobody knows what the cluster was made from.
    #[error("cannot tell what cluster {0} was made from: it has no nodes of nodectl's; say it by --from")]
    NoSource(Name),
    /// What it was made from is unknown.
    #[error(transparent)]
    Image(#[from] images::Error),
    /// What it was made from is no source.
    #[error(transparent)]
    Source(#[from] super::source::SourceError),
    /// The host lacks something.
    #[error(transparent)]
    Tools(#[from] ToolsError),
    /// Debian could not be installed.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// The tests could not be fetched.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// The checkout is of no use.
    #[error(transparent)]
    Checkout(#[from] CheckoutError),
    /// Go could not build them.
    #[error(transparent)]
    Go(#[from] GoError),
    /// The tests cannot say which images they want.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// An image could not be put together.
    #[error(transparent)]
    Archives(#[from] ArchivesError),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// The record could not be printed.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Build the tests and their images, and print a record of them.
///
/// # Errors
/// When something does not compile, or cannot be fetched.
pub fn run(args: &SuiteArgs, dirs: &StateDirs, output: impl Write) -> Result<(), SuiteError> {
    let source = match &args.from {
        Some(source) => source.clone(),
        None => source_of(dirs, &args.cluster)?,
    };
    let cx = Context::begin(dirs)?;
    let source = source.decide(&args.mirrors.release_url);
    if !matches!(source, Source::Release(_)) {
        tools::check(&source)?;
    }
    let Built { version, programs, tree } = obtain(&cx, args, &source)?;
    let (images, missing) = match tree {
        Some(tree) => images(&cx, args, &programs, &tree)?,
        None => Default::default(),
    };
    cache::remember_last(&cx, "e2e")?;
    let path = |name| programs[name].path.clone();
    let record = SuiteRecord {
        kubernetes: version,
        program: path("e2e.test"),
        ginkgo: path("ginkgo"),
        kubectl: path("kubectl"),
        images,
        missing,
        extra: Map::new(),
    };
    Ok(record::write(output, &record)?)
}

/// What the cluster's control plane was made from.
fn source_of(dirs: &StateDirs, cluster: &Name) -> Result<Source, SuiteError> {
    let nodes = Node::all(dirs, cluster)?;
    let node = nodes.iter().min_by_key(|node| node.role).ok_or_else(|| SuiteError::NoSource(cluster.clone()))?;
    let path = node.generation.join(generation::SOURCE);
    match fs::read_to_string(&path) {
        Ok(source) => Ok(source.parse()?),
        // Of an earlier version of ours.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(images::load(dirs, &node.image)?.source.parse()?),
        Err(error) => Err(FileError::of("read", &path)(error).into()),
    }
}

/// The tests, and where Kubernetes' source is, unless they were fetched.
struct Built {
    version: String,
    programs: Programs,
    tree: Option<PathBuf>,
}

fn obtain(cx: &Context, args: &SuiteArgs, source: &Source) -> Result<Built, SuiteError> {
    match source {
        Source::Release(version) => {
            let programs = release::suite(cx, &args.mirrors, version)?;
            Ok(Built { version: version.to_string(), programs, tree: None })
        }
        Source::Go(version) | Source::Auto(version) => {
            let go = Toolchain::find()?;
            let tree = go.source(cx, KUBERNETES, version.as_str())?;
            let component = Component::suite(version, &tree);
            let (dir, key) = go.build(cx, &component)?;
            let mut programs = Programs::new();
            supply::add(&mut programs, component.programs.iter().map(|(name, _)| *name), &dir, &key);
            Ok(Built { version: version.to_string(), programs, tree: Some(tree) })
        }
        Source::Dir(path) => {
            let checkout = Checkout::open(path)?;
            // What is no Go package is not vendored.
            let tree = match checkout.vendored() {
                Some(module) => Toolchain::find()?.source(cx, KUBERNETES, module.as_str())?,
                None => checkout.path().to_owned(),
            };
            let version = checkout.version()?;
            let programs = checkout.compile(cx, &Component::suite(&version, &tree))?;
            Ok(Built { version: version.to_string(), programs, tree: Some(tree) })
        }
    }
}

/// Make those of the images that can be made.
fn images(
    cx: &Context,
    args: &SuiteArgs,
    programs: &Programs,
    tree: &Path,
) -> Result<(Vec<SuiteImage>, Vec<Missing>), SuiteError> {
    let base = base::with(cx, &args.mirrors, &recipes::PACKAGES)?;
    let source = tree.join("test/images");
    let from = Ingredients { programs, base: &base, source: &source };
    let list = command::output(Command::new(&programs["e2e.test"].path).arg("--list-images").current_dir("/"))?;
    let (mut images, mut missing) = (Vec::new(), Vec::new());
    for image in String::from_utf8_lossy(&list.stdout).lines().map(str::trim).filter(|line| line.contains('/')) {
        let name = image.strip_prefix(recipes::REGISTRY).and_then(|name| name.split(':').next());
        // A version that has the image, but not the program that we know it to be made of, is not known.
        let is_built = |recipe: &Recipe| recipe.built().all(|program| programs.contains_key(program));
        match name.and_then(recipes::find).filter(is_built) {
            Some(recipe) => images.push(assemble::build(cx, image, &recipe, &from)?),
            None if missing::is_no_matter(image) => {}
            None => missing.push(missing::image(image)),
        }
    }
    missing.extend(missing::parts());
    Ok((images, missing))
}
