//! All that a version of Kubernetes has on nodes beside their operating system: programs and container images.

use std::path::Path;

use foundation::files::FileError;

use super::containers::assemble::{self, AssembleError, Ingredients};
use super::containers::recipes;
use super::context::Context;
use super::programs::build::Flavor;
use super::programs::catalog::{self, KUBERNETES};
use super::programs::mirrors::Mirrors;
use super::programs::obtain::{ObtainError, Supplier};
use super::programs::program::Programs;
use super::programs::source::Origin;
use super::programs::version::Version;
use super::programs::wanted::{self, Reference, WantedError};
use super::root::base::Base;
use super::store::{self, Supply};

/// All that nodes need beside their operating system.
pub(crate) struct Supplies {
    /// Version of Kubernetes.
    pub(crate) version: Version,
    /// Programs for the node, and those in the images.
    pub(crate) programs: Programs,
    /// The images that kubeadm wants.
    pub(crate) images: Vec<Supply>,
    /// The pause image's name and tag.
    pub(crate) pause: String,
}

/// Something that nodes need could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SuppliesError {
    /// A program could not be fetched or compiled.
    #[error(transparent)]
    Obtain(#[from] ObtainError),
    /// kubeadm could not say which images it wants.
    #[error(transparent)]
    Wanted(#[from] WantedError),
    /// An image could not be put together.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    /// The registry's mirror could not be configured.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Get everything from `origin`.
pub(crate) fn obtain(cx: &Context, mirrors: &Mirrors, origin: &Origin, base: &Base) -> Result<Supplies, SuppliesError> {
    let supplier = Supplier::open(cx, mirrors, origin)?;
    // The images of a release are pulled with the programs in them.
    let names =
        if supplier.compiles() { KUBERNETES.names() } else { KUBERNETES.placed().map(|(name, _)| name).collect() };
    let (version, mut programs) = supplier.of_kubernetes(&KUBERNETES, &names, Flavor::Release)?;
    let wanted = wanted::list(&programs["kubeadm"].path, &version)?;
    for project in catalog::of_nodes().filter(|project| !project.is_of_kubernetes() && supplier.has(project)) {
        let version = project.version(&version, &wanted)?;
        programs.extend(supplier.at_version(project, &version, &project.names(), Flavor::Release)?);
    }
    let pause = wanted::find(&wanted, "pause")?.full.clone();
    let images = if supplier.compiles() {
        let from = Ingredients { programs: &programs, base, source: Path::new("") };
        let image = |reference: &Reference| {
            assemble::build(cx, &reference.full, recipes::find(&reference.name), &from).map(Supply::Archive)
        };
        wanted.iter().map(image).collect::<Result<_, _>>()?
    } else {
        store::pulled(cx, mirrors, &wanted)?
    };
    Ok(Supplies { version, programs, images, pause })
}
