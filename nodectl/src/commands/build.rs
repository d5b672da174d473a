//! `nodectl build`: build a node image.

use std::io::Write;

use foundation::files::FileError;
use foundation::name::Name;
use foundation::record::{self, Component, RecordError};
use foundation::state::StateDirs;

use crate::image::context::Context;
use crate::image::generation::{self, GenerationError, Inputs};
use crate::image::images;
use crate::image::programs::build::Flavor;
use crate::image::programs::component::{self, ComponentError};
use crate::image::programs::mirrors::Mirrors;
use crate::image::programs::source::{ProgramSource, Source};
use crate::image::programs::version::Version;
use crate::image::root::base::{self, BaseError};
use crate::image::root::os::NODE;
use crate::image::supplies::{self, SuppliesError};
use crate::image::tools::{self, ToolsError};

/// What to build.
#[derive(Clone, Debug, clap::Args)]
pub struct BuildArgs {
    /// Name of the image
    #[arg(long, value_name = "NAME", env = "KUBEADM_SYSTEMD_IMAGE", default_value = "default")]
    image: Name,
    /// Where Kubernetes comes from: auto:VERSION, release:VERSION, go:VERSION or dir:PATH
    ///
    /// release: upstream's published binaries and images. go: built from Go modules by this machine's Go toolchain.
    /// dir: a checkout of Kubernetes. auto: release, or where that cannot be reached go.
    #[arg(
        long,
        value_name = "SOURCE",
        env = "KUBEADM_SYSTEMD_KUBERNETES",
        default_value_t = Source::Auto(Version::pinned())
    )]
    kubernetes: Source,
    /// Where the node's kubelet comes from, if not with the rest: as for `nodectl component --from`
    ///
    /// Kubernetes supports kubelets up to three minor versions older than the control plane.
    #[arg(long, value_name = "SOURCE")]
    kubelet: Option<ProgramSource>,
    /// Where to fetch from.
    #[command(flatten)]
    mirrors: Mirrors,
}

/// An image could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The host lacks something.
    #[error(transparent)]
    Tools(#[from] ToolsError),
    /// The operating system could not be installed.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// Kubernetes could not be fetched or compiled.
    #[error(transparent)]
    Supplies(#[from] SuppliesError),
    /// The kubelet of another version could not.
    #[error("there is no kubelet of another version")]
    Kubelet(#[source] ComponentError),
    /// The image could not be put together.
    #[error(transparent)]
    Generation(#[from] GenerationError),
    /// The state directory could not be prepared.
    #[error(transparent)]
    File(#[from] FileError),
    /// The record could not be printed.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Build what `args` asks for and print the image's record.
///
/// # Errors
/// A step failed. An earlier image of that name is unchanged.
pub(crate) fn run(args: &BuildArgs, dirs: &StateDirs, output: impl Write) -> Result<(), BuildError> {
    let cx = Context::begin(dirs)?;
    let before = images::load(dirs, &args.image).ok().and_then(|record| match record.source.parse() {
        Ok(Source::Only(origin)) => Some(origin),
        _ => None,
    });
    let origin = args.kubernetes.clone().decide_like(before, args.mirrors.releases());
    tools::check(&[&NODE.tools(), origin.tools()])?;
    let base = base::current(&cx, &args.mirrors, &NODE, NODE.packages)?;
    let mut supplies = supplies::obtain(&cx, &args.mirrors, &origin, &base)?;
    let mut kubelet = None;
    if let Some(source) = &args.kubelet {
        let other = component::obtain(&cx, &args.mirrors, Component::Kubelet, source, Flavor::Release)
            .map_err(BuildError::Kubelet)?;
        let is_kubelet = |name: &&str| *name == Component::Kubelet.name();
        supplies.programs.extend(other.programs.into_iter().filter(|(name, _)| is_kubelet(name)));
        kubelet = other.version;
    }
    let record = generation::build(
        &cx,
        &Inputs {
            image: &args.image,
            kubernetes: supplies.version.to_string(),
            kubelet,
            source: origin.to_string(),
            base: &base,
            programs: &supplies.programs,
            supplies: &supplies.images,
            pause: &supplies.pause,
        },
    )?;
    Ok(record::write(output, &record)?)
}
