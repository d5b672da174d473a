//! Make a cluster of an inventory's nodes.

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use foundation::files::{self, FileError};
use foundation::state::StateDirs;
use serde_json::json;

use crate::ansible::{Ansible, AnsibleArgs, AnsibleError, Play};
use crate::cluster::ClusterFiles;
use crate::inventory::{Inventory, InventoryError};
use crate::seconds::rounded;
use crate::settings::{Config, SettingsArgs, SettingsError};

/// What `clusterctl up` is asked.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct UpArgs {
    /// Read the inventory from a file, instead of from standard input
    #[arg(short, long, value_name = "FILE")]
    pub(crate) inventory: Option<PathBuf>,
    /// Seconds until the cluster must be up
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    pub(crate) timeout: u64,
    /// What is set of the cluster.
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
}

/// Why there is no cluster.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpError {
    /// The inventory cannot be used.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    /// What is set cannot be.
    #[error(transparent)]
    Settings(#[from] SettingsError),
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

/// Run the playbook until every node is Ready and CoreDNS available, then print a record: `cluster`, `kubeconfig`,
/// `server`, `kubernetes`, `nodes`, `changed` (tasks), `seconds` (in all), `steps` (seconds of each).
///
/// # Errors
/// When anything fails; the playbook can be run again.
pub(crate) fn run(
    dirs: &StateDirs,
    ansible: &AnsibleArgs,
    args: &UpArgs,
    input: impl Read,
    mut output: impl Write,
    interrupted: &AtomicBool,
) -> Result<(), UpError> {
    let ansible = Ansible::find(ansible, dirs)?;
    let config = Config::of(&args.settings)?;
    let (inventory, text) = match &args.inventory {
        Some(path) => Inventory::read(File::open(path).map_err(FileError::of("open", path))?)?,
        None => Inventory::read(input)?,
    };
    // The clock runs from here: a pipe's earlier stages may take as long as they like.
    let started = Instant::now();
    let cluster = ClusterFiles::new(dirs, inventory.cluster());
    let _lock = cluster.lock(dirs)?;
    dirs.make_private()?;
    files::write_durably(&cluster.inventory(), text, 0o600)?;
    let mut play = Play::new("up");
    play.variables = config.variables(&inventory.nodes())?;
    let summary = ansible.run(&play, Duration::from_secs(args.timeout), dirs, &cluster, interrupted)?;
    let record = json!({
        "cluster": inventory.cluster(),
        "kubeconfig": cluster.kubeconfig(),
        "server": inventory.server(),
        "kubernetes": summary.facts.get("kubernetes"),
        "nodes": inventory.nodes(),
        "changed": summary.changed,
        "seconds": rounded(started.elapsed()),
        "steps": summary.steps,
    });
    writeln!(output, "{record}").map_err(UpError::Output)
}
