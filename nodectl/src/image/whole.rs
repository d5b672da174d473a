//! `nodectl supplies`: all that a version of Kubernetes has on nodes, without a node image around it.

use std::io::Write;

use foundation::files::FileError;
use foundation::record::{self, ImageFile, NodeProgram, ProgramFile, RecordError, SuppliesRecord};
use foundation::state::StateDirs;
use serde_json::Map;

use super::Context;
use super::base::{self, BaseError};
use super::cache;
use super::digest;
use super::mirrors::Mirrors;
use super::source::{self, Source};
use super::store::Supply;
use super::supply::{self, SupplyError};
use super::tools::{self, ToolsError};

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
        default_value_t = Source::Auto(source::pinned())
    )]
    pub kubernetes: Source,
    /// Where to fetch from.
    #[command(flatten)]
    pub mirrors: Mirrors,
}

/// Why there are no supplies.
#[derive(Debug, thiserror::Error)]
pub enum SuppliesError {
    /// The host lacks something.
    #[error(transparent)]
    Tools(#[from] ToolsError),
    /// The operating system could not be installed.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// Kubernetes could not be had.
    #[error(transparent)]
    Supply(#[from] SupplyError),
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
/// When something cannot be built or fetched.
pub fn run(args: &SuppliesArgs, dirs: &StateDirs, output: impl Write) -> Result<(), SuppliesError> {
    let cx = Context::begin(dirs)?;
    let source = args.kubernetes.clone().decide(&args.mirrors.release_url);
    tools::check(&source)?;
    let base = base::build(&cx, &args.mirrors)?;
    let supplies = supply::obtain(&cx, &args.mirrors, &source, &base)?;
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
        extra: Map::from_iter([("source".to_owned(), source.to_string().into())]),
    };
    Ok(record::write(output, &record)?)
}
