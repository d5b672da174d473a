//! Why nodes could not be started.

use std::path::PathBuf;

use foundation::files::FileError;
use foundation::name::Name;
use foundation::record::RecordError;

use super::PlanError;
use crate::cluster::ClusterError;
use crate::cluster::state::StateError;
use crate::commands::doctor::DoctorError;
use crate::failures::Failures;
use crate::host::PrepareError;
use crate::host::etc_hosts::EtcHostsError;
use crate::image::images::ImageError;
use crate::node::directory::DirectoryError;
use crate::node::ready::ReadyError;
use crate::node::supervise::SuperviseError;

/// Why nodes could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// More than one image record came.
    #[error("{count} image records on standard input; nodes are started from one image: choose it with --image")]
    ManyImages {
        /// How many.
        count: usize,
    },
    /// A name was given twice.
    #[error("node {node} is named twice")]
    Twice {
        /// The node.
        node: Name,
    },
    /// A line of `--nodes` is malformed.
    #[error("line {line} of {} is not the JSON object of a node", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// `--nodes` lists none.
    #[error("{} names no node; a JSON object with a name is expected on each line", path.display())]
    NoWishes {
        /// The file.
        path: PathBuf,
    },
    /// The image record names a directory that does not exist.
    #[error("image {image} has no root file system at {}; build it again with `nodectl build`", path.display())]
    NoRootfs {
        /// The image.
        image: Name,
        /// Where it should be.
        path: PathBuf,
    },
    /// Nodes do not run on this host.
    #[error(transparent)]
    Host(#[from] DoctorError),
    /// The host could not be made ready.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// The image could not be read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A record could not be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The cluster's nodes could not be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// What is asked cannot be done.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The cluster could not be read or made.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A node's directory could not be made.
    #[error("cannot make node {node}")]
    Make {
        /// The node.
        node: Name,
        /// Why.
        source: DirectoryError,
    },
    /// A node's machine could not be launched.
    #[error(transparent)]
    Supervise(#[from] SuperviseError),
    /// A node did not come up.
    #[error(transparent)]
    Ready(#[from] ReadyError),
    /// The host's /etc/hosts could not be changed.
    #[error(transparent)]
    EtcHosts(#[from] EtcHostsError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Leftovers of machines that ended by themselves, or of interrupted removals, could not be removed.
    #[error("cannot remove leftovers of ended nodes")]
    Stale(#[source] Failures),
    /// A failed start could not be undone.
    #[error("{cause}; and undoing it failed")]
    Undo {
        /// Why the start failed.
        cause: Box<StartError>,
        /// Why undoing it failed.
        source: Failures,
    },
}
