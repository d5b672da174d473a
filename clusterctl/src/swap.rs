//! Replace a component of a running cluster, and roll back what is not healthy.

use std::io;

use foundation::files::FileError;
use foundation::record::{Component, RecordError};

use crate::builder::BuilderError;
use crate::cluster::OpenError;
use crate::placement::Elsewhere;
use crate::ssh::agent::AgentStartError;
use crate::ssh::parallel::ParallelError;

pub(crate) mod changes;
pub(crate) mod new;
pub(crate) mod roll_out;
mod running;

use changes::WatchError;
pub(crate) use new::New;
pub(crate) use running::Running;

/// Why a component was not replaced.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SwapError {
    /// The cluster does not exist, or its inventory cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It is one object for all nodes.
    #[error("--node does not go with {}: one object of the cluster runs it on all nodes", .0.name())]
    Everywhere(Component),
    /// It does not run there.
    #[error(transparent)]
    Elsewhere(#[from] Elsewhere),
    /// nodectl has not built it.
    #[error("there is no new {} to put in place", component.name())]
    NotBuilt {
        /// The component.
        component: Component,
        /// Why.
        source: BuilderError,
    },
    /// The source cannot be watched.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// The records cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// SSH could not be run.
    #[error(transparent)]
    Start(#[from] AgentStartError),
    /// A node failed.
    #[error(transparent)]
    Nodes(#[from] ParallelError),
    /// The record could not be written.
    #[error("cannot write the record to standard output")]
    Output(#[source] io::Error),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}
