//! Collect what all nodes of a cluster know into a directory of this host, as far as it can be had.

mod target;
mod unpack;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use foundation::files::{self, FileError};
use foundation::lock::Lock;
use foundation::name::Name;
use foundation::state::StateDirs;
use serde_json::{Map, json};

use self::target::Target;
use crate::ansible::{Ansible, AnsibleArgs, AnsibleError, Play};
use crate::cluster::{ClusterFiles, OpenError};
use crate::inventory::Inventory;

/// What `clusterctl export-logs` is asked.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ExportLogsArgs {
    /// Where to: a directory that is empty or not there
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Seconds that it may take
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub(crate) timeout: u64,
    /// The cluster
    #[arg(long, value_name = "NAME", env = "KUBEADM_SYSTEMD_CLUSTER", default_value = "default")]
    pub(crate) cluster: Name,
}

/// Why not everything was exported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportLogsError {
    /// The cluster does not exist, or its inventory cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It would be mixed with something else.
    #[error("{} is not empty; name a directory that is not there yet", .0.display())]
    NotEmpty(PathBuf),
    /// The playbook failed, and not because of a node.
    #[error(transparent)]
    Ansible(#[from] AnsibleError),
    /// Some of it could not be had.
    #[error("the export in {} is not complete:\n  {}", dir.display(), missing.join("\n  "))]
    Missing {
        /// Where the rest is.
        dir: PathBuf,
        /// What is not there, and why.
        missing: Vec<String>,
    },
    /// The record could not be written.
    #[error("cannot write the record to standard output")]
    Output(#[source] std::io::Error),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Something that could not be had: a node, or a file of a node's or the cluster's; and why.
struct Missing {
    what: String,
    why: String,
}

/// Export, and print a record: `cluster`, `dir`, `nodes` (whose logs are there), `missing` (nodes, and files).
///
/// # Errors
/// When something is missing: the rest is there.
pub(crate) fn run(
    dirs: &StateDirs,
    ansible: &AnsibleArgs,
    args: &ExportLogsArgs,
    mut output: impl Write,
    interrupted: &AtomicBool,
) -> Result<(), ExportLogsError> {
    let cluster = ClusterFiles::new(dirs, &args.cluster);
    let inventory = cluster.open()?;
    let target = Target::check(&args.dir)?;
    let ansible = Ansible::find(ansible, dirs)?;
    // Not the cluster's own lock: an `up` that does not end is what the logs may be wanted for.
    dirs.refuse_links(&args.cluster)?;
    let _lock = Lock::take_patiently(&dirs.lock(&format!("export-logs-{}", args.cluster)))?;
    let fetched = cluster.log_dir().join("export-logs");
    let exported = fetch(dirs, &ansible, args, &cluster, &fetched, interrupted)
        .and_then(|failures| collect(&inventory, &fetched, &target, &failures));
    files::remove_tree(&fetched)?;
    let (nodes, missing) = exported?;
    let whats: Vec<_> = missing.iter().map(|missing| &missing.what).collect();
    let record = json!({"cluster": args.cluster, "dir": args.dir, "nodes": nodes, "missing": whats});
    writeln!(output, "{record}").map_err(ExportLogsError::Output)?;
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.into_iter().map(|Missing { what, why }| format!("{what}: {why}")).collect();
    Err(ExportLogsError::Missing { dir: args.dir.clone(), missing })
}

/// Failures of tasks: host, task, message.
type Failures = [(String, String, String)];

/// Have the playbook put an archive of each node into `to`; where that failed.
fn fetch(
    dirs: &StateDirs,
    ansible: &Ansible,
    args: &ExportLogsArgs,
    cluster: &ClusterFiles,
    to: &Path,
    interrupted: &AtomicBool,
) -> Result<Box<Failures>, ExportLogsError> {
    // There may be something left of an export that was killed.
    files::remove_tree(to)?;
    let mut play = Play::new("export-logs");
    play.variables = Map::from_iter([("export_logs_to".to_owned(), json!(to))]);
    match ansible.run(&play, Duration::from_secs(args.timeout), dirs, cluster, interrupted) {
        Ok(_) => Ok(Box::default()),
        Err(AnsibleError::Failed { failures, .. }) if !failures.is_empty() => Ok(failures.into()),
        // Others may have been in time.
        Err(AnsibleError::Deadline { .. }) => Ok(Box::default()),
        Err(error) => Err(error.into()),
    }
}

/// Unpack what was fetched. The nodes whose logs are there, and what is missing.
fn collect<'a>(
    inventory: &'a Inventory,
    fetched: &Path,
    target: &Target,
    failures: &Failures,
) -> Result<(Vec<&'a Name>, Vec<Missing>), ExportLogsError> {
    let unfinished = target.begin()?;
    let (mut nodes, mut missing) = (Vec::new(), Vec::new());
    for node in inventory.nodes() {
        let mut parts = vec![node.as_str()];
        // What is known of the whole cluster.
        parts.extend(inventory.control_plane().contains(&node).then_some("cluster"));
        let archive = fetched.join(format!("{node}.tar.gz"));
        let unpacked = if archive.is_file() {
            unpack::archive(&archive, &parts, &unfinished).map_err(|error| foundation::error_chain(&error))
        } else {
            Err(reason(node, failures))
        };
        match unpacked {
            Ok(()) => nodes.push(node),
            Err(why) => missing.extend(parts.iter().map(|part| Missing { what: (*part).to_owned(), why: why.clone() })),
        }
        for part in parts {
            missing.extend(not_kept(&unfinished, part));
        }
    }
    target.finish()?;
    Ok((nodes, missing))
}

fn reason(node: &Name, failures: &Failures) -> String {
    let failure = failures.iter().find(|(host, _, _)| host == node.as_str());
    failure.map_or("it has not come in time".to_owned(), |(_, task, message)| format!("{task}: {}", message.trim()))
}

/// What a node has not kept, as it says in missing.txt: each line is `FILE: WHY`.
fn not_kept(dir: &Path, part: &str) -> Vec<Missing> {
    let text = fs::read(dir.join(part).join("missing.txt")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines = text.lines().map(|line| line.replace(char::is_control, " "));
    let missing = lines.filter_map(|line| {
        let (file, why) = line.split_once(": ")?;
        Some(Missing { what: format!("{part}/{file}"), why: why.to_owned() })
    });
    missing.collect()
}
