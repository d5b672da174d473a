//! Start nodes: plan all of them, then make, launch and await each at the same time; undo all when one fails.

mod daemon;
mod error;
mod plan;
mod unit;

use std::io::{BufRead, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

pub use self::error::StartError;
use crate::cluster::Cluster;
use crate::commands::doctor;
use crate::host::etc_hosts;
use crate::host::modules;
use crate::host::sysctl;
use crate::host::{Host, Supervisor};
use crate::node::Node;
use crate::node::end::{self, How, say};
use crate::node::limits::Limits;
use crate::node::prepare;
use crate::node::ready::{Starting, Wait};
use foundation::name::Name;
use foundation::record::{self, Role, State};
use foundation::state::StateDirs;

/// What `nodectl start` is asked.
#[derive(Clone, Debug, clap::Args)]
pub struct StartArgs {
    /// Names of the nodes; the first one of a cluster becomes its control plane
    #[arg(value_name = "NODE", conflicts_with = "count", required_unless_present = "count")]
    pub names: Vec<Name>,
    /// Start this many nodes, named node1, node2, ...
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=200))]
    pub count: Option<u16>,
    /// The nodes' cluster
    #[arg(long, value_name = "NAME", env = "KUBEADM_SYSTEMD_CLUSTER", default_value = "default")]
    pub cluster: Name,
    /// The nodes' role; without it, a cluster's first node is its control plane, all others are workers
    #[arg(long, value_name = "ROLE")]
    pub role: Option<Role>,
    /// Start from this image, instead of from the image record on standard input
    #[arg(long, value_name = "NAME")]
    pub image: Option<Name>,
    /// How much of the host each node may take.
    #[command(flatten)]
    pub limits: Limits,
    /// Put the names of the cluster's nodes into this host's /etc/hosts, until they are removed
    #[arg(long)]
    pub etc_hosts: bool,
    /// Leave nodes that run already alone, and print their records
    #[arg(long)]
    pub allow_running: bool,
    /// Keep what was made when a node does not come up
    #[arg(long)]
    pub retain: bool,
    /// Seconds until a node must be up
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub timeout: u64,
}

/// Start what `args` asks for and print a record for each node, in the order of their names on the command line.
///
/// # Errors
/// When anything is wrong: nothing that this call made is left then, unless `--retain`.
pub fn run(
    args: &StartArgs,
    dirs: &StateDirs,
    input: impl BufRead,
    mut output: impl Write,
    interrupted: &Arc<AtomicBool>,
) -> Result<(), StartError> {
    let names = plan::names(args)?;
    // Held until the nodes' records name it.
    let (image, _held) = plan::image(args, dirs, input)?;
    let host = Host::detect();
    doctor::require(dirs, host)?;
    let _lock = Cluster::lock(dirs, &args.cluster)?;
    end::finish_removals(dirs, &args.cluster).map_err(StartError::Stale)?;
    let existing = Node::all(dirs, &args.cluster)?;
    let running = end::running(dirs, &existing)?;
    if let Some(node) = running.iter().find(|node| names.contains(&node.name))
        && !args.allow_running
    {
        return Err(StartError::Running { node: node.name.clone(), cluster: args.cluster.clone() });
    }
    let cluster = Cluster::ensure(dirs, &args.cluster)?;
    let planned = plan::nodes(args, &cluster, &image, &names, &existing)?;
    let kept: Vec<_> =
        planned.iter().filter(|node| node.generation != image.path).map(|node| node.name.as_str()).collect();
    if !kept.is_empty() {
        say(&format!("{}: made from another build, and kept so; to have them made anew, remove them", kept.join(", ")));
    }
    let is_in = |nodes: &[&Node], node: &Node| nodes.iter().any(|other| other.name == node.name);
    let existing: Vec<_> = existing.iter().collect();
    let (old, new): (Vec<Node>, Vec<Node>) = planned.iter().cloned().partition(|node| is_in(&existing, node));
    let stopped = old.into_iter().filter(|node| !is_in(&running, node)).collect();
    let start = Start { args, dirs, host, cluster: &cluster, new, stopped, interrupted };
    start.all().or_else(|cause| start.undo(cause))?;
    for node in planned {
        record::write(&mut output, &node.record(dirs, &cluster)?)?;
    }
    Ok(())
}

/// A start that has been planned.
struct Start<'a> {
    args: &'a StartArgs,
    dirs: &'a StateDirs,
    host: Host,
    cluster: &'a Cluster,
    /// Nodes to make and launch.
    new: Vec<Node>,
    /// Nodes that are there, to launch.
    stopped: Vec<Node>,
    interrupted: &'a AtomicBool,
}

impl Start<'_> {
    fn all(&self) -> Result<(), StartError> {
        modules::load()?;
        sysctl::apply(self.dirs, |line| say(&line))?;
        // What a machine that ended by itself has left behind.
        end::stop(self.dirs, &self.stopped, How::Kill).map_err(StartError::Stale)?;
        thread::scope(|scope| {
            let (sender, events) = mpsc::channel();
            for node in self.new.iter().chain(&self.stopped) {
                let sender = sender.clone();
                // The receiver outlives us.
                scope.spawn(move || sender.send((node, self.one(node))));
            }
            drop(sender);
            let mut first_error = None;
            for (node, result) in events {
                match result {
                    Ok((state, seconds)) => say(&format!("{seconds:6.1}s  {:12} {}", node.name, shown(state))),
                    Err(error) => {
                        // The others stop waiting: they will be undone anyway.
                        self.interrupted.store(true, Ordering::Relaxed);
                        first_error.get_or_insert(error);
                    }
                }
            }
            first_error.map_or(Ok(()), Err)
        })?;
        self.cluster.pin_host_keys(self.dirs)?;
        let nodes = Node::all(self.dirs, &self.cluster.name)?;
        let tell = if self.args.etc_hosts { etc_hosts::add } else { etc_hosts::update };
        Ok(tell(self.dirs, &self.cluster.name, &nodes)?)
    }

    fn one(&self, node: &Node) -> Result<(State, f64), StartError> {
        let started = Instant::now();
        let Start { args, dirs, host, cluster, interrupted, .. } = *self;
        let failed = |source| StartError::Prepare { node: node.name.clone(), source };
        if self.new.contains(node) {
            prepare::node(dirs, cluster, node).map_err(failed)?;
        } else {
            // Its limits may be others now.
            node.save(dirs)?;
        }
        let mut machine: Box<dyn Starting + '_> = match host.supervisor {
            Supervisor::Systemd => Box::new(unit::Unit::launch(dirs, node)?),
            Supervisor::Nobody => Box::new(daemon::Daemon::launch(dirs, node)?),
        };
        let wait = Wait { dirs, node, deadline: Duration::from_secs(args.timeout), interrupted };
        let state = wait.until_up(machine.as_mut())?;
        Ok((state, started.elapsed().as_secs_f64()))
    }

    /// Stop again what was stopped, remove what is new, and return why.
    fn undo(&self, cause: StartError) -> Result<(), StartError> {
        let cluster = &self.args.cluster;
        if self.args.retain {
            say(&format!(
                "kept for a look: nodectl shell, nodectl logs; remove with `nodectl rm --cluster {cluster} --all`"
            ));
            return Err(cause);
        }
        let undone = end::stop(self.dirs, &self.stopped, How::PowerOff(Duration::from_secs(10)))
            .and_then(|()| end::remove(self.dirs, cluster, &self.new, |line| say(&line)));
        match undone {
            Ok(()) => Err(cause),
            Err(source) => Err(StartError::Undo { cause: Box::new(cause), source }),
        }
    }
}

fn shown(state: State) -> &'static str {
    match state {
        State::Degraded => "degraded; see `systemctl --failed` in it",
        _ => "running",
    }
}
