//! Replace one component of a running cluster, and take it back when it is not well.

use std::fs::File;
use std::io::{BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use nodectl::component::{Component, ComponentRecord, Kind};
use nodectl::files::FileError;
use nodectl::name::Name;
use nodectl::record::{self, RecordError};
use nodectl::state::StateDirs;
use serde_json::{Map, Value, json};

use crate::ansible::{Ansible, AnsibleArgs, AnsibleError, Play};
use crate::builder::{BuilderError, records};
use crate::cluster::{ClusterFiles, Unknown};
use crate::inventory::{Inventory, InventoryError};
use crate::placement::{self, Elsewhere};
use crate::up::rounded;

/// What `clusterctl swap` is asked.
#[derive(Clone, Debug, clap::Args)]
pub struct SwapArgs {
    /// The component; without one, component records on standard input say what to put in place
    #[arg(value_name = "COMPONENT", requires = "what")]
    pub component: Option<Component>,
    /// Where the new one comes from; see nodectl-component(1)
    #[arg(long, value_name = "SOURCE", group = "what", requires = "component")]
    pub from: Option<String>,
    /// Put back what the cluster was made with
    #[arg(long, group = "what", requires = "component")]
    pub revert: bool,
    /// Only on these nodes
    #[arg(long = "node", value_name = "NODE")]
    pub nodes: Vec<Name>,
    /// Seconds that the new one may take to be well
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub timeout: u64,
    /// The cluster
    #[arg(long, value_name = "NAME", env = "KUBEADM_SYSTEMD_CLUSTER", default_value = "default")]
    pub cluster: Name,
}

/// Why a component was not replaced.
#[derive(Debug, thiserror::Error)]
pub enum SwapError {
    /// The cluster does not exist.
    #[error(transparent)]
    Unknown(#[from] Unknown),
    /// It is one object for all nodes.
    #[error("--node does not go with {}: one object of the cluster runs it on all nodes", .0.name())]
    Everywhere(Component),
    /// It does not run there.
    #[error(transparent)]
    Elsewhere(#[from] Elsewhere),
    /// The inventory cannot be used.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    /// nodectl has not built it.
    #[error("there is no new {} to put in place", component.name())]
    NotBuilt {
        /// The component.
        component: Component,
        /// Why.
        source: BuilderError,
    },
    /// The records cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The playbook failed.
    #[error(transparent)]
    Ansible(#[from] AnsibleError),
    /// The record could not be written.
    #[error("cannot write the record to standard output")]
    Output(#[source] std::io::Error),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Swap, and print a record for each component: `cluster`, `component`, `version`, `sha256` (none of the two when it was
/// put back), `changed` (tasks that changed something), `build` (seconds), `seconds` (until it was well, from the moment
/// that it was built), `steps` (seconds of each).
///
/// # Errors
/// When it cannot be built, or is not well: then what ran before runs again.
pub fn run(
    dirs: &StateDirs,
    ansible: &AnsibleArgs,
    args: &SwapArgs,
    input: impl BufRead,
    mut output: impl Write,
    interrupted: &Arc<AtomicBool>,
) -> Result<(), SwapError> {
    let cluster = ClusterFiles::new(dirs, &args.cluster);
    let path = cluster.known_inventory()?;
    let (inventory, _) = Inventory::read(File::open(&path).map_err(FileError::of("open", &path))?)?;
    let ansible = Ansible::find(ansible, dirs)?;
    if let Some(component) = args.component {
        // Before it is built.
        nodes(component, &args.nodes, &inventory)?;
    }
    let begun = Instant::now();
    let wanted = wanted(dirs, args, input)?;
    let wanted =
        wanted.into_iter().map(|(component, play)| Ok((nodes(component, &args.nodes, &inventory)?, component, play)));
    let wanted = wanted.collect::<Result<Vec<_>, SwapError>>()?;
    let build = begun.elapsed();
    let _lock = cluster.lock(dirs)?;
    for (nodes, component, mut swap) in wanted {
        let started = Instant::now();
        swap["timeout"] = json!(args.timeout);
        // On each node it may be awaited, taken back, and taken back again for another node's sake.
        let deadline = Duration::from_secs(args.timeout * 3 + 300);
        let play = Play {
            variables: Map::from_iter([("swap".to_owned(), swap.clone())]),
            nodes: &nodes,
            ..Play::new("swap", deadline)
        };
        let summary = ansible.run(&play, dirs, &cluster, interrupted)?;
        let record = json!({
            "cluster": args.cluster,
            "component": component,
            "version": swap["version"],
            "sha256": swap["sha256"],
            "changed": summary.changed,
            "build": rounded(build.as_secs_f64()),
            "seconds": rounded(started.elapsed().as_secs_f64()),
            "steps": summary.steps,
        });
        writeln!(output, "{record}").map_err(SwapError::Output)?;
    }
    Ok(())
}

/// What to put in place, in the playbook's words.
fn wanted(dirs: &StateDirs, args: &SwapArgs, input: impl BufRead) -> Result<Vec<(Component, Value)>, SwapError> {
    let records: Vec<ComponentRecord> = match (args.component, &args.from) {
        (Some(component), Some(source)) => records(dirs, &["component", component.name(), "--from", source])
            .map_err(|source| SwapError::NotBuilt { component, source })?,
        (Some(component), None) => {
            return Ok(vec![(
                component,
                json!({"component": component, "kind": component.kind(), "state": "original"}),
            )]);
        }
        (None, _) => record::read_all(input)?,
    };
    let new = |record: ComponentRecord| {
        // Of the fields that we know nothing of, none becomes a variable of Ansible's, which would be a template.
        let record = ComponentRecord { extra: Map::new(), ..record };
        let mut swap = json!(record);
        swap["kind"] = json!(record.component.kind());
        swap["state"] = json!("new");
        (record.component, swap)
    };
    Ok(records.into_iter().map(new).collect())
}

/// The nodes that it is to be replaced on: all that it runs on, or those that are `named`.
fn nodes(component: Component, named: &[Name], inventory: &Inventory) -> Result<Vec<String>, SwapError> {
    if component.kind() == Kind::Workload && !named.is_empty() {
        return Err(SwapError::Everywhere(component));
    }
    Ok(placement::nodes(component, named, inventory)?.iter().map(ToString::to_string).collect())
}
