//! Show what a component says on the nodes that run it.

mod stream;

use std::io::{self, Write};
use std::time::Duration;

use foundation::command::{self, CommandError};
use foundation::name::Name;
use foundation::record::{Component, Kind};
use foundation::state::StateDirs;
use serde_json::json;

use self::stream::{Ended, NodeLog};
use crate::cluster::{ClusterFiles, OpenError};
use crate::placement::{self, Elsewhere};
use crate::ssh::{self, SshError};

/// Reads the files of static pods and workloads on the node.
const POD_LOGS: &str = include_str!("../../assets/pod-logs.py");

/// Its exit status where there is no log.
const NO_LOG: i32 = 3;

/// What `clusterctl logs` is asked.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LogsArgs {
    /// The component
    #[arg(value_name = "COMPONENT")]
    pub(crate) component: Component,
    /// Only on these nodes
    #[arg(long = "node", value_name = "NODE")]
    pub(crate) nodes: Vec<Name>,
    /// Go on as more comes, past restarts and rotated files
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Only what is not older than this: 30s, 10m, 1h30m
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) since: Option<Duration>,
    /// Only this many of the last lines
    #[arg(long, value_name = "LINES")]
    pub(crate) tail: Option<usize>,
    /// What it said before it was last restarted
    #[arg(short, long, conflicts_with = "follow")]
    pub(crate) previous: bool,
    /// Begin each line with the time at which it was written
    #[arg(long)]
    pub(crate) timestamps: bool,
    /// The cluster
    #[arg(long, value_name = "NAME", env = "KUBEADM_SYSTEMD_CLUSTER", default_value = "default")]
    pub(crate) cluster: Name,
}

/// Why a log was not shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogsError {
    /// The cluster does not exist, or its inventory cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It does not run there.
    #[error(transparent)]
    Elsewhere(#[from] Elsewhere),
    /// It is a command that comes and goes.
    #[error("{} has no log of its own; {}", component.name(), hint)]
    NoService {
        /// The component.
        component: Component,
        /// What to do instead.
        hint: &'static str,
    },
    /// Nothing was written, or it was removed.
    #[error("{} has no log{} on {}; `clusterctl logs kubelet` may say why", component.name(),
        if *previous { " of an earlier container" } else { "" }, nodes.join(", "))]
    NoLog {
        /// The component.
        component: Component,
        /// Whether that of an earlier container was asked for.
        previous: bool,
        /// Where.
        nodes: Vec<String>,
    },
    /// The inventory does not say how to log in.
    #[error(transparent)]
    Ssh(#[from] SshError),
    /// SSH could not be run.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// It has said why.
    #[error("{}", .0.join("\n"))]
    Failed(Vec<String>),
    /// A log could not be read or written.
    #[error("cannot pass the log on")]
    Output(#[source] io::Error),
}

/// Show the log of each node, all at the same time. Where they are several, each line begins with the node's name.
pub(crate) fn run(dirs: &StateDirs, args: &LogsArgs, output: impl Write) -> Result<(), LogsError> {
    let inventory = ClusterFiles::new(dirs, &args.cluster).open()?;
    let nodes = placement::nodes(args.component, &args.nodes, &inventory)?;
    let words = words(args)?;
    let mut logs = Vec::new();
    for node in &nodes {
        let mut ssh = ssh::command(&inventory, node)?;
        // Without the script: pasted, the command logs in there.
        let shown = command::shown(&ssh);
        ssh.arg(shell_words::join(&words));
        logs.push(NodeLog::start(node, ssh, shown, nodes.len() > 1)?);
    }
    match stream::pass_on(&mut logs, output) {
        // Our reader has ended, as head(1) does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
        Ok(Ended::ReaderIsGone) => return Ok(()),
        Ok(Ended::All) => {}
        Err(error) => return Err(LogsError::Output(error)),
    }
    judge(args, logs)
}

/// What is run on the node.
fn words(args: &LogsArgs) -> Result<Vec<String>, LogsError> {
    let component = args.component;
    let no_service = |hint| Err(LogsError::NoService { component, hint });
    match component {
        Component::Kubeadm => no_service("Ansible runs it: see log/up.log in the cluster's directory"),
        Component::Runc => no_service("what it says is in that of containerd: `clusterctl logs containerd`"),
        _ if component.kind() == Kind::Program => Ok(journalctl(args)),
        _ => {
            let asked = json!({
                "dir": "/var/log/pods",
                "component": component,
                "follow": args.follow,
                "previous": args.previous,
                "timestamps": args.timestamps,
                // Several pods of a Deployment may be on one node.
                "names": component == Component::Coredns,
                "tail": args.tail,
                "since": args.since.map(|since| since.as_secs()),
            });
            Ok(["python3", "-c", POD_LOGS, &asked.to_string()].map(str::to_owned).to_vec())
        }
    }
}

fn journalctl(args: &LogsArgs) -> Vec<String> {
    let mut words = vec!["journalctl".to_owned(), "--quiet".to_owned(), "--no-pager".to_owned()];
    words.push(format!("--unit={}", args.component.name()));
    words.push(format!("--output={}", if args.timestamps { "short-iso-precise" } else { "cat" }));
    words.push(args.tail.map_or("--lines=all".to_owned(), |lines| format!("--lines={lines}")));
    words.extend(args.since.map(|since| format!("--since=-{}s", since.as_secs())));
    words.extend(args.follow.then(|| "--follow".to_owned()));
    words.extend(args.previous.then(|| "--invocation=-1".to_owned()));
    words
}

/// How it went on the nodes.
fn judge(args: &LogsArgs, mut logs: Vec<NodeLog>) -> Result<(), LogsError> {
    let (mut without, mut failed) = (Vec::new(), Vec::new());
    for log in &mut logs {
        let status = log.child.wait().map_err(LogsError::Output)?;
        match status.code() {
            Some(0) => {}
            Some(NO_LOG) => without.push(log.node.to_string()),
            _ => failed.push(format!("node {}: `{}` failed with {status}", log.node, log.command)),
        }
    }
    if !failed.is_empty() {
        return Err(LogsError::Failed(failed));
    }
    // Pods of a Deployment run on some nodes only.
    if without.len() == logs.len() || !args.nodes.is_empty() && !without.is_empty() {
        return Err(LogsError::NoLog { component: args.component, previous: args.previous, nodes: without });
    }
    Ok(())
}
