//! End nodes' machines, and remove nodes: what is taken down is taken down whole, past errors, which are all listed.

use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use foundation::command::{self, CommandError};
use foundation::files::{self, FileError};
use foundation::name::Name;
use foundation::process::Process;
use foundation::state::StateDirs;
use nix::sys::signal::Signal;

use crate::cluster::{self, Cluster, ClusterError};
use crate::commands::launch::{self, LaunchError};
use crate::host::etc_hosts::{self, EtcHostsError};
use crate::host::sysctl;
use crate::host::{Host, Supervisor};
use crate::node::cgroup;
use crate::node::unit::{self, UnitError};
use crate::node::{Machine, Node};

/// How long a killed process may take to be gone.
const KILLED: Duration = Duration::from_secs(20);

/// Why something could not be taken down.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// A process survives SIGKILL: it hangs in the kernel.
    #[error("process {pid} of node {node} does not end; look at /proc/{pid}/stack")]
    Unkillable {
        /// The node.
        node: Name,
        /// The process.
        pid: i32,
    },
    /// Its network was not undone.
    #[error("cannot undo the network of ended machines")]
    Network(#[from] CommandError),
    /// The host's /etc/hosts could not be changed.
    #[error(transparent)]
    EtcHosts(#[from] EtcHostsError),
    /// Its unit did not end.
    #[error(transparent)]
    Unit(#[from] UnitError),
    /// Its mount namespace could not be made.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// The cluster could not be read.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The file system or the kernel refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// Several of the above.
    #[error("{}", .0.join("\n"))]
    Several(Vec<String>),
}

/// How a machine is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// As `systemctl poweroff` would; killed when it takes longer.
    PowerOff(Duration),
    /// At once: nothing of it is needed any more.
    Kill,
}

/// Collect errors and go on.
#[derive(Default)]
struct Errors(Vec<String>);

impl Errors {
    fn note<E: std::error::Error>(&mut self, result: Result<(), E>) {
        if let Err(error) = result {
            self.0.push(foundation::error_chain(&error));
        }
    }

    fn into_result(mut self) -> Result<(), StopError> {
        match self.0.len() {
            0 => Ok(()),
            1 => Err(StopError::Several(vec![self.0.remove(0)])),
            _ => Err(StopError::Several(self.0)),
        }
    }
}

/// End the machines of `nodes`, all at the same time, and undo what they made on the host. The caller holds the
/// cluster's lock.
///
/// # Errors
/// When something is left; all that is, is listed.
pub fn stop(dirs: &StateDirs, nodes: &[Node], how: How) -> Result<(), StopError> {
    let mut errors = Errors::default();
    let mut ended = Vec::new();
    thread::scope(|scope| {
        let end = |node| move || (node, end(dirs, node, how).and_then(|()| end_unit(node)));
        let ends: Vec<_> = nodes.iter().map(|node| scope.spawn(end(node))).collect();
        for end in ends {
            let (node, end) = end.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            ended.extend(end.is_ok().then_some(node));
            errors.note(end);
        }
    });
    // Waits for watchers that are at it, and does the work of those that were killed.
    errors.note(undo_networks(dirs));
    errors.note(remove_cgroups(dirs, &ended));
    errors.into_result()
}

fn end(dirs: &StateDirs, node: &Node, how: How) -> Result<(), StopError> {
    // Held while looking, so that a launch is either put down already or refused afterwards.
    let machine = {
        let _lock = Node::lock(dirs, &node.cluster, &node.name)?;
        node.machine(dirs)?
    };
    let Some(machine) = machine else { return Ok(()) };
    let leader = machine.find_leader();
    if let How::PowerOff(timeout) = how {
        // systemd-nspawn(1), --kill-signal: it hands SIGTERM on to a booted systemd as SIGRTMIN+3, an orderly shutdown.
        machine.supervisor.signal(Signal::SIGTERM);
        machine.supervisor.wait_ended(timeout);
    }
    // PID 1 of a namespace takes all its processes with it (pid_namespaces(7)); systemd-nspawn then ends by itself.
    for process in leader.iter().chain([&machine.supervisor]) {
        kill(node, process)?;
    }
    Ok(())
}

/// The unit outlives the machine while it undoes the network; and it may be there before the machine is.
fn end_unit(node: &Node) -> Result<(), StopError> {
    match Host::detect().supervisor {
        Supervisor::Systemd => Ok(unit::stop(node)?),
        Supervisor::Nobody => Ok(()),
    }
}

fn kill(node: &Node, process: &Process) -> Result<(), StopError> {
    process.signal(Signal::SIGKILL);
    if process.wait_ended(KILLED) {
        Ok(())
    } else {
        Err(StopError::Unkillable { node: node.name.clone(), pid: process.pid })
    }
}

fn undo_networks(dirs: &StateDirs) -> Result<(), StopError> {
    if !dirs.state.join("cnispawn").exists() {
        return Ok(());
    }
    let mut gc = launch::cnispawn_command(dirs, "gc")?;
    command::output(gc.stdout(Stdio::null()))?;
    Ok(())
}

/// Remove the cgroups of ended machines, and what was known of them. Hierarchies that the host has not mounted are
/// reached from a mount namespace of a thread of our own.
fn remove_cgroups(dirs: &StateDirs, nodes: &[&Node]) -> Result<(), StopError> {
    let mut machines = Vec::new();
    for node in nodes {
        machines.extend(node.machine(dirs)?.map(|machine| (node, machine)));
    }
    if machines.is_empty() {
        return Ok(());
    }
    thread::scope(|scope| {
        let removal = scope.spawn(|| -> Result<(), StopError> {
            launch::private_mounts()?;
            let mounts = cgroup::reach(Host::detect().cgroups, &dirs.run.join("cgroup"))?;
            for (node, machine) in &machines {
                // Up to two levels above: the cluster's and ours.
                cgroup::remove(&mounts, &machine.cgroups, 2)?;
                let path = node.machine_path(dirs);
                fs::remove_file(&path).map_err(FileError::of("remove", &path))?;
            }
            Ok(())
        });
        removal.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Remove `nodes` of a cluster, and with the last one what they shared. The caller holds the cluster's lock.
///
/// # Errors
/// When something is left; all that is, is listed.
pub fn remove(dirs: &StateDirs, name: &Name, nodes: &[Node], mut report: impl FnMut(String)) -> Result<(), StopError> {
    let mut errors = Errors::default();
    for node in nodes {
        let _lock = Node::lock(dirs, &node.cluster, &node.name)?;
        node.mark_removed(dirs)?;
    }
    errors.note(stop(dirs, nodes, How::Kill));
    // A machine of which something is known may still run: it keeps its directory. Why has just been noted.
    let ended = nodes.iter().filter(|node| matches!(node.machine(dirs), Ok(None)));
    let (sender, removed) = mpsc::channel();
    thread::scope(|scope| {
        for node in ended {
            let sender = sender.clone();
            scope.spawn(move || sender.send((node, files::remove_tree(&node.dir(dirs)))));
        }
        drop(sender);
        for (node, result) in removed {
            if result.is_ok() {
                report(format!("removed {}", node.name));
            }
            errors.note(result);
        }
    });
    errors.note(after_last(dirs, name, &mut report));
    errors.into_result()
}

/// Once a cluster has no node: remove what nodes shared, and half-made nodes; once no cluster has one: put the host's
/// sysctls back.
fn after_last(dirs: &StateDirs, name: &Name, report: &mut impl FnMut(String)) -> Result<(), StopError> {
    let left = Node::all(dirs, name)?;
    etc_hosts::update(dirs, name, &left)?;
    if left.is_empty() {
        match Cluster::load(dirs, name) {
            Ok(cluster) => cluster.remove()?,
            Err(ClusterError::Unknown { .. }) => cluster::remove_parts(&dirs.cluster(name))?,
            Err(error) => return Err(error.into()),
        }
    }
    for cluster in cluster::names(dirs)? {
        if !Node::all(dirs, &cluster)?.is_empty() {
            return Ok(());
        }
    }
    sysctl::restore(dirs, report)?;
    Ok(())
}

/// Finish what a removal that was killed has left. The caller holds the cluster's lock.
///
/// # Errors
/// As [`remove`].
pub fn finish_removals(dirs: &StateDirs, name: &Name) -> Result<(), StopError> {
    let mut nodes = Node::all(dirs, name)?;
    nodes.retain(|node| node.is_removed(dirs));
    if nodes.is_empty() { Ok(()) } else { remove(dirs, name, &nodes, |line| say(&line)) }
}

/// Tell which machines of `nodes` run.
///
/// # Errors
/// When a record cannot be read.
pub fn running<'n>(dirs: &StateDirs, nodes: &'n [Node]) -> Result<Vec<&'n Node>, FileError> {
    let mut running = Vec::new();
    for node in nodes {
        running.extend(node.machine(dirs)?.filter(Machine::is_running).map(|_| node));
    }
    Ok(running)
}

/// Print `line` for people.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
