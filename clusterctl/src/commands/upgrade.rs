//! Upgrade a running cluster to another version of Kubernetes, by kubeadm, node by node.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use foundation::files::FileError;
use foundation::name::Name;
use foundation::record::{self, RecordError, SuppliesRecord};
use foundation::state::StateDirs;
use serde_json::{Map, json};

use crate::ansible::{Ansible, AnsibleArgs, AnsibleError, Play};
use crate::builder::{BuilderError, records};
use crate::cluster::{ClusterFiles, OpenError};
use crate::seconds::rounded;

/// What `clusterctl upgrade` is asked.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct UpgradeArgs {
    /// What to upgrade to: auto:VERSION, release:VERSION, go:VERSION or dir:PATH; see nodectl-supplies(1). Without it, a
    /// supplies record on standard input says it
    #[arg(long, value_name = "SOURCE")]
    pub(crate) to: Option<String>,
    /// Leave a node's pods on it while it is upgraded
    #[arg(long)]
    pub(crate) no_drain: bool,
    /// Seconds that all of it may take, once it is built
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    pub(crate) timeout: u64,
    /// The cluster
    #[arg(long, value_name = "NAME", env = "KUBEADM_SYSTEMD_CLUSTER", default_value = "default")]
    pub(crate) cluster: Name,
}

/// Why a cluster is not upgraded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpgradeError {
    /// The cluster does not exist, or its inventory cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is nothing to upgrade to.
    #[error("there is nothing to upgrade to")]
    NotBuilt(#[from] BuilderError),
    /// The record cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Several came.
    #[error("{0} supplies records came; a cluster is upgraded to one version at a time")]
    Several(usize),
    /// The playbook failed.
    #[error("the cluster is not upgraded as a whole; the same command goes on where this one has ended")]
    Ansible(#[from] AnsibleError),
    /// The record could not be written.
    #[error("cannot write the record to standard output")]
    Output(#[source] std::io::Error),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Upgrade, and print a record: `cluster`, `kubernetes` (version), `before` and `after` (each node's version), `changed`
/// (tasks that changed something), `build` (seconds), `seconds` (of all the rest), `steps` (seconds of each).
///
/// # Errors
/// When it cannot be built, or kubeadm refuses, or a node is not Ready afterwards: nodes that come later are as they
/// were then.
pub(crate) fn run(
    dirs: &StateDirs,
    ansible: &AnsibleArgs,
    args: &UpgradeArgs,
    input: impl BufRead,
    mut output: impl Write,
    interrupted: &AtomicBool,
) -> Result<(), UpgradeError> {
    let cluster = ClusterFiles::new(dirs, &args.cluster);
    cluster.open()?;
    let ansible = Ansible::find(ansible, dirs)?;
    let begun = Instant::now();
    let mut supplies: Vec<SuppliesRecord> = match &args.to {
        Some(source) => records(dirs, &["supplies", "--kubernetes", source])?,
        None => record::read_all(input)?,
    };
    let (Some(record), 0) = (supplies.pop(), supplies.len()) else {
        return Err(UpgradeError::Several(supplies.len() + 1));
    };
    let build = begun.elapsed();
    let _lock = cluster.lock(dirs)?;
    let started = Instant::now();
    // Of the fields that we know nothing of, none becomes a variable of Ansible's, which would be a template.
    let supplies = SuppliesRecord { extra: Map::new(), ..record };
    let mut upgrade = json!(supplies);
    upgrade["drain"] = json!(!args.no_drain);
    let play = Play { variables: Map::from_iter([("upgrade".to_owned(), upgrade)]), ..Play::new("upgrade") };
    let summary = ansible.run(&play, Duration::from_secs(args.timeout), dirs, &cluster, interrupted)?;
    let record = json!({
        "cluster": args.cluster,
        "kubernetes": supplies.kubernetes,
        "before": versions(summary.facts.get("before")),
        "after": versions(summary.facts.get("after")),
        "changed": summary.changed,
        "build": rounded(build),
        "seconds": rounded(started.elapsed()),
        "steps": summary.steps,
    });
    writeln!(output, "{record}").map_err(UpgradeError::Output)
}

/// `node1=v1.37.2 node2=v1.36.3`, by node.
fn versions(fact: Option<&String>) -> BTreeMap<&str, &str> {
    fact.map(|text| text.split_whitespace().filter_map(|pair| pair.split_once('=')).collect()).unwrap_or_default()
}
