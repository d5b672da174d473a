//! Why nodes could not be started.

use std::io;
use std::path::PathBuf;

use foundation::command::CommandError;
use foundation::files::FileError;
use foundation::name::Name;
use foundation::record::RecordError;

use crate::cluster::ClusterError;
use crate::cluster::network::NetworkError;
use crate::commands::doctor::DoctorError;
use crate::host::etc_hosts::EtcHostsError;
use crate::images;
use crate::node::end::StopError;
use crate::node::prepare::PrepareError;
use crate::node::ready::ReadyError;
use crate::node::unit::UnitError;

/// Why nodes could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No image was named.
    #[error(
        "no image: standard input is a terminal; name one with --image, or pipe: nodectl build | nodectl start ..."
    )]
    NoImage,
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
    /// A node of that name runs.
    #[error(
        "node {node} of cluster {cluster} is running already; choose another name, remove it with `nodectl rm --cluster {cluster} {node}`, or pass --allow-running"
    )]
    Running {
        /// The node.
        node: Name,
        /// Its cluster.
        cluster: Name,
    },
    /// The image record names a directory that is not there.
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
    /// Its unit could not be planned.
    #[error(transparent)]
    Unit(#[from] UnitError),
    /// The image could not be read.
    #[error(transparent)]
    Image(#[from] images::Error),
    /// A record could not be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A program is missing.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The cluster could not be read or made.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// No address is free.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A node's directory could not be made.
    #[error("cannot make node {node}")]
    Prepare {
        /// The node.
        node: Name,
        /// Why.
        source: PrepareError,
    },
    /// Its machine could not be launched.
    #[error("cannot launch node {node}")]
    Launch {
        /// The node.
        node: Name,
        /// Why.
        source: io::Error,
    },
    /// A node did not come up.
    #[error(transparent)]
    Ready(#[from] ReadyError),
    /// The host's /etc/hosts could not be changed.
    #[error(transparent)]
    EtcHosts(#[from] EtcHostsError),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// What machines that ended by themselves left behind could not be removed.
    #[error("cannot clear away what is left of ended nodes")]
    Stale(#[source] StopError),
    /// A failed start could not be undone.
    #[error("{cause}; and undoing it failed")]
    Undo {
        /// Why the start failed.
        cause: Box<StartError>,
        /// Why undoing it failed.
        source: StopError,
    },
}
