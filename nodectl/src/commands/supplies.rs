//! `nodectl supplies`: all that a version of Kubernetes has on nodes, without a node image around it.

use std::io::Write;

use foundation::files::FileError;
use foundation::record::{self, ImageFile, NodeProgram, ProgramFile, RecordError, SuppliesRecord};
use foundation::state::StateDirs;
use serde_json::Map;

use crate::image::context::Context;
use crate::image::programs::mirrors::Mirrors;
use crate::image::programs::source::Source;
use crate::image::programs::version::Version;
use crate::image::root::base::{self, BaseError};
use crate::image::root::os::NODE;
use crate::image::store::Supply;
use crate::image::supplies::{self, SuppliesError};
use crate::image::tools::{self, ToolsError};
use crate::image::{cache, digest};

/// What `nodectl supplies` is asked.
#[derive(Clone, Debug, clap::Args)]
pub struct SuppliesArgs {
    /// Where Kubernetes comes from: auto:VERSION, release:VERSION, go:VERSION or dir:PATH, as for `nodectl build`
    ///
    /// The images of release: are not fetched: nodes pull them, by kubeadm.
    #[arg(
        long,
        value_name = "SOURCE",
        env = "KUBEADM_SYSTEMD_KUBERNETES",
        default_value_t = Source::Auto(Version::pinned())
    )]
    kubernetes: Source,
    /// Where to fetch from.
    #[command(flatten)]
    mirrors: Mirrors,
}

/// Supplies could not be built.
#[derive(Debug, thiserror::Error)]
pub enum SuppliesCommandError {
    /// The host lacks something.
    #[error(transparent)]
    Tools(#[from] ToolsError),
    /// The operating system could not be installed.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// Kubernetes could not be fetched or compiled.
    #[error(transparent)]
    Supplies(#[from] SuppliesError),
    /// A program could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The record could not be printed.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Build what `args` asks for and print its record.
pub(crate) fn run(args: &SuppliesArgs, dirs: &StateDirs, output: impl Write) -> Result<(), SuppliesCommandError> {
    let cx = Context::begin(dirs)?;
    let origin = args.kubernetes.clone().decide(args.mirrors.releases());
    tools::check(&[&NODE.tools(), origin.tools()])?;
    let base = base::current(&cx, &args.mirrors, &NODE, NODE.packages)?;
    let supplies = supplies::obtain(&cx, &args.mirrors, &origin, &base)?;
    cache::remember_last(&cx, "supplies")?;
    let file = |(program, name): (NodeProgram, &str)| {
        let path = supplies.programs[name].path.clone();
        let sha256 = digest::sha256_file(&path).map_err(FileError::of("read", &path))?;
        Ok((program, ProgramFile { path, sha256 }))
    };
    let image = |supply: &Supply| match supply {
        Supply::Archive(archive) => Some(ImageFile { image: archive.reference.clone(), archive: archive.path.clone() }),
        Supply::Registry { .. } => None,
    };
    let record = SuppliesRecord {
        kubernetes: supplies.version.to_string(),
        programs: NodeProgram::ALL.into_iter().map(file).collect::<Result<_, FileError>>()?,
        images: supplies.images.iter().filter_map(image).collect(),
        extra: Map::from_iter([("source".to_owned(), origin.to_string().into())]),
    };
    Ok(record::write(output, &record)?)
}
