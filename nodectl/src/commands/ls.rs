//! List nodes: a table for people, records for programs.

use std::io::Write;

use foundation::files::FileError;
use foundation::name::Name;
use foundation::record::{self, NodeRecord, RecordError};
use foundation::state::StateDirs;
use foundation::table::render;

use crate::cluster::{self, Cluster, ClusterError};
use crate::node::Node;

/// What `nodectl ls` is asked.
#[derive(Clone, Debug, clap::Args)]
pub struct LsArgs {
    /// Only this cluster's nodes
    #[arg(long, value_name = "NAME", env = "KUBEADM_SYSTEMD_CLUSTER")]
    pub cluster: Option<Name>,
    /// Print node records, as `nodectl start` does
    #[arg(long)]
    pub json: bool,
}

/// Why nodes could not be listed.
#[derive(Debug, thiserror::Error)]
pub enum LsError {
    /// A cluster could not be read.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A record could not be written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Print the nodes.
///
/// # Errors
/// When a named cluster does not exist, or a record cannot be read.
pub fn run(args: &LsArgs, dirs: &StateDirs, mut output: impl Write) -> Result<(), LsError> {
    let clusters = match &args.cluster {
        Some(name) => vec![Cluster::load(dirs, name)?],
        None => {
            let clusters = cluster::names(dirs)?.into_iter().map(|name| Cluster::load(dirs, &name));
            // Directories in which only another tool keeps something are no clusters of ours.
            clusters
                .filter(|cluster| !matches!(cluster, Err(ClusterError::Unknown { .. })))
                .collect::<Result<_, _>>()?
        }
    };
    let mut records = Vec::new();
    for cluster in &clusters {
        for node in Node::all(dirs, &cluster.name)? {
            records.push(node.record(dirs, cluster)?);
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
