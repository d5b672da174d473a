//! `nodectl ls`: a table of nodes for people, records for programs.

use std::io::Write;

use foundation::files::FileError;
use foundation::name::Name;
use foundation::record::{self, NodeRecord, RecordError};
use foundation::state::StateDirs;
use foundation::table::render;

use crate::cluster::state::{ClusterState, StateError};
use crate::cluster::{self, ClusterError};

/// Options of `nodectl ls`.
#[derive(Clone, Debug, clap::Args)]
pub struct LsArgs {
    /// Only this cluster's nodes
    #[arg(long, value_name = "NAME", env = "KUBEADM_SYSTEMD_CLUSTER")]
    cluster: Option<Name>,
    /// Print node records, as `nodectl start` does
    #[arg(long)]
    json: bool,
}

/// Why nodes could not be listed.
#[derive(Debug, thiserror::Error)]
pub enum LsError {
    /// A cluster could not be read.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A cluster's nodes could not be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// A record could not be written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The directory of clusters could not be read.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Print the nodes.
///
/// # Errors
/// The named cluster does not exist, or a file is malformed.
pub(crate) fn run(args: &LsArgs, dirs: &StateDirs, mut output: impl Write) -> Result<(), LsError> {
    let names = match &args.cluster {
        Some(name) => vec![name.clone()],
        None => cluster::names(dirs)?,
    };
    let mut records = Vec::new();
    for name in names {
        let state = ClusterState::read(dirs, &name)?;
        match state.cluster()? {
            Some(cluster) => {
                for member in &state.members {
                    records.push(cluster.record(&member.node, member.machine()?));
                }
            }
            None if args.cluster.is_some() => return Err(ClusterError::Unknown { name }.into()),
            // A directory in which only other tools have files is not a cluster.
            None => {}
        }
    }
    if args.json {
        return Ok(records.iter().try_for_each(|record| record::write(&mut output, record))?);
    }
    write!(output, "{}", table(&records)).map_err(RecordError::Write)?;
    Ok(())
}

fn table(records: &[NodeRecord]) -> String {
    let header = ["CLUSTER", "NODE", "ROLE", "STATE", "ADDRESS", "IMAGE", "PID"].map(str::to_owned);
    let rows = records.iter().map(|node| {
        [
            node.cluster.to_string(),
            node.name.to_string(),
            word(&node.role),
            node.state.as_ref().map_or_else(String::new, word),
            node.addresses.first().map_or_else(String::new, ToString::to_string),
            node.image.as_ref().map_or_else(String::new, ToString::to_string),
            node.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
        ]
    });
    render(std::iter::once(header).chain(rows))
}

/// A role or state as records spell it.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
