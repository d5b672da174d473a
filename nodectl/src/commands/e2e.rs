//! `nodectl e2e`: build Kubernetes' own end-to-end tests, and the images that their pods are made of.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::Command;

use foundation::command::{self, CommandError};
use foundation::files::FileError;
use foundation::name::Name;
use foundation::record::{self, Missing, RecordError, SuiteImage, SuiteRecord};
use foundation::state::StateDirs;
use serde_json::Map;

use crate::image::containers::assemble::{self, AssembleError, Ingredients};
use crate::image::containers::{missing, oci, recipes};
use crate::image::context::Context;
use crate::image::images::{self, ImageError};
use crate::image::programs::build::Flavor;
use crate::image::programs::catalog::{E2E, KUBERNETES};
use crate::image::programs::mirrors::Mirrors;
use crate::image::programs::obtain::{ObtainError, Supplier};
use crate::image::programs::program::Programs;
use crate::image::programs::source::{Origin, Source, SourceError};
use crate::image::root::base::{self, BaseError};
use crate::image::root::os::NODE;
use crate::image::tools::{self, ToolsError};
use crate::image::{cache, generation};
use crate::node::Node;

/// What `nodectl e2e` is asked.
#[derive(Clone, Debug, clap::Args)]
pub struct SuiteArgs {
    /// Where the tests come from: dir:PATH, go:VERSION, release:VERSION or auto:VERSION, as for `nodectl build`;
    /// without it, from where the cluster's Kubernetes does
    ///
    /// Of a release no images are made: the nodes pull them.
    #[arg(long, value_name = "SOURCE")]
    from: Option<Source>,
    /// The cluster
    #[arg(long, value_name = "NAME", env = "KUBEADM_SYSTEMD_CLUSTER", default_value = "default")]
    cluster: Name,
    /// Where to fetch from.
    #[command(flatten)]
    mirrors: Mirrors,
}

/// The tests could not be built.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    /// The cluster has no nodes that say what it was made from.
    #[error("cannot tell what cluster {0} was made from: it has no nodes of nodectl's; say it by --from")]
    NoSource(Name),
    /// The image that it was made from is gone.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// What it was made from is not a source.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The host lacks something.
    #[error(transparent)]
    Tools(#[from] ToolsError),
    /// Debian, which the images have programs of, could not be installed.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// The tests could not be fetched or compiled.
    #[error(transparent)]
    Obtain(#[from] ObtainError),
    /// The tests could not say which images they want.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// An image could not be put together.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The record could not be printed.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Build the tests and their images, and print a record of them.
pub(crate) fn run(args: &SuiteArgs, dirs: &StateDirs, output: impl Write) -> Result<(), SuiteError> {
    let source = match &args.from {
        Some(source) => source.clone(),
        None => source_of(dirs, &args.cluster)?,
    };
    let cx = Context::begin(dirs)?;
    let origin = source.decide(args.mirrors.releases());
    if !matches!(origin, Origin::Release(_)) {
        tools::check(&[&NODE.tools(), origin.tools()])?;
    }
    let supplier = Supplier::open(&cx, &args.mirrors, &origin)?;
    let (version, mut programs) = supplier.of_kubernetes(&E2E, &E2E.names(), Flavor::Release)?;
    let (images, missing) = match supplier.tree()? {
        Some(tree) => make_images(&cx, args, &programs, &tree)?,
        None => Default::default(),
    };
    if !programs.contains_key("kubectl") {
        // Upstream's archive of tests has none.
        programs.extend(supplier.of_kubernetes(&KUBERNETES, &["kubectl"], Flavor::Release)?.1);
    }
    cache::remember_last(&cx, "e2e")?;
    let path = |name| programs[name].path.clone();
    let record = SuiteRecord {
        kubernetes: version.to_string(),
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
        // An image that an earlier version of nodectl built.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(images::load(dirs, &node.image)?.source.parse()?),
        Err(error) => Err(FileError::of("read", &path)(error).into()),
    }
}

/// Make those of the images that can be made.
fn make_images(
    cx: &Context,
    args: &SuiteArgs,
    programs: &Programs,
    tree: &Path,
) -> Result<(Vec<SuiteImage>, Vec<Missing>), SuiteError> {
    let base = base::current(cx, &args.mirrors, &NODE, &recipes::packages_of_tests())?;
    let from = Ingredients { programs, base: &base, source: &tree.join("test/images") };
    let list = command::output(Command::new(&programs["e2e.test"].path).arg("--list-images").current_dir("/"))?;
    let (mut images, mut missing) = (Vec::new(), Vec::new());
    for image in String::from_utf8_lossy(&list.stdout).lines().map(str::trim).filter(|line| line.contains('/')) {
        // A version of Kubernetes may have the image, but not the program that the recipe makes it of.
        let recipe = recipes::of_tests(image).filter(|recipe| recipe.built().all(|name| programs.contains_key(name)));
        if recipe.is_some() {
            let archive = assemble::build(cx, image, recipe, &from)?;
            let digest = oci::digest(&archive.path)?;
            images.push(SuiteImage { image: archive.reference, digest, archive: archive.path });
        } else if !missing::is_not_needed(image) {
            missing.push(missing::image(image));
        }
    }
    missing.extend(missing::parts());
    Ok((images, missing))
}
