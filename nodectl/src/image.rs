//! Build a node image: a root file system with Kubernetes in it, and an image store with what kubeadm wants.
//!
//! Every step's result is named by the digest of all that goes into it, and kept: what is there already is not made
//! again. A build with nothing changed is the same walk through the steps, with nothing to do in any of them.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use foundation::files::FileError;
use foundation::name::Name;
use foundation::record::{self, Component, RecordError};
use foundation::state::StateDirs;

use crate::images;

pub mod archives;
pub mod base;
pub mod cache;
pub mod checkout;
pub mod child;
pub mod component;
pub mod compress;
pub mod containerd;
pub mod context;
pub mod digest;
pub mod download;
pub mod generation;
pub mod go;
pub mod kept;
pub mod layer;
pub mod mirrors;
pub mod oci;
pub mod pause;
pub mod progress;
pub mod release;
pub mod remove;
pub mod rootfs;
pub mod single;
pub mod source;
pub mod store;
pub mod suite;
pub mod supply;
pub mod tools;
pub mod units;
pub mod unpack;
pub mod wanted;
pub mod whole;

use component::Flavor;
pub use context::Context;
use mirrors::Mirrors;
use single::{ComponentError, Origin};
use source::Source;

/// Kubernetes' own programs.
pub const PROGRAMS: [&str; 7] =
    ["kubeadm", "kubelet", "kubectl", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"];

/// containerd's programs.
pub const CONTAINERD_PROGRAMS: [&str; 3] = ["containerd", "containerd-shim-runc-v2", "ctr"];

/// The CNI plugins that the pod network and others use: kind and name.
pub const CNI_PROGRAMS: [(&str, &str); 10] = [
    ("main", "bridge"),
    ("main", "host-device"),
    ("main", "loopback"),
    ("main", "ptp"),
    ("ipam", "host-local"),
    ("ipam", "static"),
    ("meta", "bandwidth"),
    ("meta", "firewall"),
    ("meta", "portmap"),
    ("meta", "tuning"),
];

/// A program, and the digest that names its content.
#[derive(Clone, Debug)]
pub struct Program {
    /// Where it is.
    pub path: PathBuf,
    /// Digest of the content, or of all that it was made from.
    pub key: String,
}

/// Programs by their names.
pub type Programs = BTreeMap<&'static str, Program>;

/// This machine's architecture, in Go's and OCI's words.
pub fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// What to build.
#[derive(Clone, Debug, clap::Args)]
pub struct BuildArgs {
    /// Name of the image
    #[arg(long, value_name = "NAME", env = "KUBEADM_SYSTEMD_IMAGE", default_value = "default")]
    pub image: Name,
    /// Where Kubernetes comes from: auto:VERSION, release:VERSION, go:VERSION or dir:PATH
    ///
    /// release: upstream's published binaries and images. go: built from Go modules by this machine's Go toolchain.
    /// dir: a checkout of Kubernetes. auto: release, or where that cannot be reached go.
    #[arg(
        long,
        value_name = "SOURCE",
        env = "KUBEADM_SYSTEMD_KUBERNETES",
        default_value_t = Source::Auto(source::pinned())
    )]
    pub kubernetes: Source,
    /// Where the node's kubelet comes from, if not with the rest: as for `nodectl component --from`
    ///
    /// Kubernetes supports kubelets up to three minor versions older than the control plane.
    #[arg(long, value_name = "SOURCE")]
    pub kubelet: Option<Origin>,
    /// Where to fetch from.
    #[command(flatten)]
    pub mirrors: Mirrors,
}

/// Why an image could not be built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host lacks something.
    #[error(transparent)]
    Tools(#[from] tools::ToolsError),
    /// The operating system could not be installed.
    #[error(transparent)]
    Base(#[from] base::BaseError),
    /// Kubernetes could not be had.
    #[error(transparent)]
    Supply(#[from] supply::SupplyError),
    /// The other kubelet could not be had.
    #[error("there is no kubelet of another version")]
    Kubelet(#[source] ComponentError),
    /// The image could not be put together.
    #[error(transparent)]
    Generation(#[from] generation::GenerationError),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// The record could not be printed.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Build what `args` asks for and print the image's record.
///
/// # Errors
/// When anything is wrong: an image of that name is as it was before.
pub fn run(args: &BuildArgs, dirs: &StateDirs, output: impl Write) -> Result<(), Error> {
    let cx = Context::begin(dirs)?;
    let source = decide(args, dirs);
    tools::check(&source)?;
    let base = base::build(&cx, &args.mirrors)?;
    let mut supplies = supply::obtain(&cx, &args.mirrors, &source, &base)?;
    let kubelet = match &args.kubelet {
        Some(origin) => {
            let other = single::obtain(&cx, Component::Kubelet, origin, &args.mirrors, Flavor::Release)
                .map_err(Error::Kubelet)?;
            supplies.programs.extend(other.1.into_iter().filter(|(name, _)| *name == Component::Kubelet.name()));
            other.0
        }
        None => None,
    };
    let record = generation::build(
        &cx,
        &generation::Inputs {
            image: &args.image,
            kubernetes: supplies.version.to_string(),
            kubelet,
            source: source.to_string(),
            base: &base,
            programs: &supplies.programs,
            supplies: &supplies.images,
            pause: &supplies.pause,
        },
    )?;
    Ok(record::write(output, &record)?)
}

/// Decide `auto:`. An image that was made from one of the two stays with it as long as the version is the same: its
/// nodes get no other programs because the network was down for a moment, and a build with nothing to do asks nobody.
fn decide(args: &BuildArgs, dirs: &StateDirs) -> Source {
    let before = images::load(dirs, &args.image).ok().and_then(|record| record.source.parse().ok());
    match (&args.kubernetes, before) {
        (Source::Auto(version), Some(Source::Release(before))) if before == *version => Source::Release(before),
        (Source::Auto(version), Some(Source::Go(before))) if before == *version => Source::Go(before),
        (source, _) => source.clone().decide(&args.mirrors.release_url),
    }
}
