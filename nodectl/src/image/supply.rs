//! Get the programs and images of a node, whatever the source of Kubernetes is.

use std::path::Path;

use foundation::files::FileError;

use super::archives::{self, ArchivesError};
use super::base::Base;
use super::checkout::{Checkout, CheckoutError};
use super::component::{CONTAINERD, Component, Flavor, KUBERNETES};
use super::go::{GoError, Toolchain};
use super::mirrors::Mirrors;
use super::pause::{self, PauseError};
use super::release::{self, ReleaseError};
use super::source::{Source, Version};
use super::store::Supply;
use super::wanted::{self, WantedError};
use super::{CNI_PROGRAMS, CONTAINERD_PROGRAMS, Context, PROGRAMS, Program, Programs};

/// All that a node needs beside its operating system.
pub struct Supplies {
    /// Version of Kubernetes.
    pub version: Version,
    /// Programs for the node, and those in the images.
    pub programs: Programs,
    /// The images that kubeadm wants.
    pub images: Vec<Supply>,
    /// The pause image's name and tag.
    pub pause: String,
}

/// Why something could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SupplyError {
    /// It could not be fetched.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// The checkout is of no use.
    #[error(transparent)]
    Checkout(#[from] CheckoutError),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// Go could not build it.
    #[error(transparent)]
    Go(#[from] GoError),
    /// pause could not be compiled.
    #[error(transparent)]
    Pause(#[from] PauseError),
    /// kubeadm could not say which images it wants.
    #[error(transparent)]
    Wanted(#[from] WantedError),
    /// An image could not be put together.
    #[error(transparent)]
    Archives(#[from] ArchivesError),
}

/// Get everything from `source`.
///
/// # Errors
/// When something cannot be built or fetched.
pub fn obtain(cx: &Context, mirrors: &Mirrors, source: &Source, base: &Base) -> Result<Supplies, SupplyError> {
    match source {
        Source::Release(version) => from_release(cx, mirrors, version),
        Source::Dir(path) => from_checkout(cx, path, base),
        // Decided before: what is still `auto` here has no release.
        Source::Go(version) | Source::Auto(version) => from_go(cx, version, base),
    }
}

fn from_release(cx: &Context, mirrors: &Mirrors, version: &Version) -> Result<Supplies, SupplyError> {
    let programs = release::programs(cx, mirrors, version)?;
    let wanted = wanted::list(&programs["kubeadm"].path, version)?;
    let images = release::images(cx, mirrors, &wanted)?;
    let pause = wanted::find(&wanted, "pause")?.full.clone();
    Ok(Supplies { version: version.clone(), programs, images, pause })
}

fn from_checkout(cx: &Context, path: &Path, base: &Base) -> Result<Supplies, SupplyError> {
    let checkout = Checkout::open(path)?;
    let (version, programs) = checkout.build(cx, &PROGRAMS, Flavor::Release)?;
    let go = Toolchain::find()?;
    let tree = match checkout.vendored() {
        Some(module) => go.source(cx, KUBERNETES, module.as_str())?,
        None => checkout.path().to_owned(),
    };
    assemble(cx, &go, &version, programs, &tree, base)
}

fn from_go(cx: &Context, version: &Version, base: &Base) -> Result<Supplies, SupplyError> {
    let go = Toolchain::find()?;
    let mut programs = Programs::new();
    let (dir, key) = go.build(cx, &Component::kubernetes(version))?;
    add(&mut programs, PROGRAMS, &dir, &key);
    let tree = go.source(cx, KUBERNETES, version.as_str())?;
    assemble(cx, &go, version, programs, &tree, base)
}

/// Build what is beside Kubernetes' own programs, and the images of all of them. `tree` is Kubernetes' source.
fn assemble(
    cx: &Context,
    go: &Toolchain,
    version: &Version,
    mut programs: Programs,
    tree: &Path,
    base: &Base,
) -> Result<Supplies, SupplyError> {
    let wanted = wanted::list(&programs["kubeadm"].path, version)?;
    let (dir, key) = go.build(cx, &Component::etcd(&wanted::etcd_version(&wanted::find(&wanted, "etcd")?.tag)))?;
    add(&mut programs, ["etcd", "etcdctl"], &dir, &key);
    let (dir, key) = go.build(cx, &Component::coredns(&wanted::find(&wanted, "coredns")?.tag))?;
    add(&mut programs, ["coredns"], &dir, &key);
    let (dir, key) = go.build(cx, &Component::containerd(CONTAINERD))?;
    add(&mut programs, CONTAINERD_PROGRAMS, &dir, &key);
    let (dir, key) = go.build(cx, &Component::cni_plugins())?;
    add(&mut programs, CNI_PROGRAMS.map(|(_, name)| name), &dir, &key);
    let pause = wanted::find(&wanted, "pause")?;
    let (dir, key) = pause::build(cx, tree, &pause.tag)?;
    add(&mut programs, ["pause"], &dir, &key);

    let archive = |reference| archives::build(cx, reference, &programs, base).map(Supply::Archive);
    let images = wanted.iter().map(archive).collect::<Result<_, _>>()?;
    Ok(Supplies { version: version.clone(), programs, images, pause: pause.full.clone() })
}

/// Programs of one directory, which a digest of all that went into it names.
pub(super) fn add(programs: &mut Programs, names: impl IntoIterator<Item = &'static str>, dir: &Path, key: &str) {
    for name in names {
        programs.insert(name, Program { path: dir.join(name), key: key.to_owned() });
    }
}
