//! End nodes' machines, and undo what they made on the host.

use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use foundation::command::{self, CommandError};
use foundation::files::FileError;
use foundation::name::Name;
use foundation::process::Process;
use foundation::state::StateDirs;
use nix::sys::signal::Signal;

use super::mounts::{self, MountError};
use super::supervise::unit;
use super::{Node, cgroup, cnispawn};
use crate::failures::Failures;
use crate::host::{Host, Supervisor};

/// How long a killed process may take to end.
const KILLED: Duration = Duration::from_secs(20);

/// Why a machine was not ended, or not undone.
#[derive(Debug, thiserror::Error)]
enum EndError {
    /// A process survives SIGKILL: it hangs in the kernel.
    #[error("process {pid} of node {node} does not end; look at /proc/{pid}/stack")]
    Unkillable { node: Name, pid: i32 },
    #[error("cannot undo the network of ended machines")]
    Network(#[source] CommandError),
    #[error(transparent)]
    Unit(CommandError),
    #[error(transparent)]
    Mounts(#[from] MountError),
    #[error(transparent)]
    File(#[from] FileError),
}

/// How a machine is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// As by `systemctl poweroff`; killed when it takes longer.
    PowerOff(Duration),
    /// At once: nothing in it has to be saved.
    Kill,
}

/// End the machines of `nodes`, all at the same time, and undo what they made on the host. The caller holds the
/// cluster's lock.
///
/// # Errors
/// What is left, and why.
pub(crate) fn all(dirs: &StateDirs, nodes: &[&Node], how: How) -> Result<(), Failures> {
    let mut failures = Failures::default();
    let mut ended = Vec::new();
    let host = Host::detect();
    thread::scope(|scope| {
        let end = |node| move || (node, end(node, how).and_then(|()| end_unit(host, node)));
        let ends: Vec<_> = nodes.iter().map(|&node| scope.spawn(end(node))).collect();
        for end in ends {
            let (node, end) = end.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            ended.extend(end.is_ok().then_some(node));
            failures.note(end);
        }
    });
    // Waits for cnispawn's running watchers, and does the work of killed ones.
    failures.note(undo_networks(dirs));
    failures.note(remove_cgroups(host, &ended));
    failures.into_result()
}

fn end(node: &Node, how: How) -> Result<(), EndError> {
    // Read under the lock: a concurrent launch has recorded its machine by then, or is refused afterwards.
    let machine = {
        let _lock = Node::lock(&node.dirs, &node.cluster, &node.name)?;
        node.machine()?
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

/// The unit outlives the machine while it undoes the network, and may exist before the machine does.
fn end_unit(host: Host, node: &Node) -> Result<(), EndError> {
    match host.supervisor {
        Supervisor::Systemd => unit::stop(node).map_err(EndError::Unit),
        Supervisor::Nobody => Ok(()),
    }
}

fn kill(node: &Node, process: &Process) -> Result<(), EndError> {
    process.signal(Signal::SIGKILL);
    if process.wait_ended(KILLED) {
        Ok(())
    } else {
        Err(EndError::Unkillable { node: node.name.clone(), pid: process.pid })
    }
}

fn undo_networks(dirs: &StateDirs) -> Result<(), EndError> {
    if !dirs.state.join("cnispawn").exists() {
        return Ok(());
    }
    let gc = cnispawn::command(dirs, "gc").and_then(|mut gc| command::output(gc.stdout(Stdio::null())));
    gc.map(drop).map_err(EndError::Network)
}

/// Remove the cgroups of ended machines, and the machines' files. Hierarchies that the host has not mounted are mounted in
/// a mount namespace of a thread.
fn remove_cgroups(host: Host, nodes: &[&Node]) -> Result<(), EndError> {
    let mut machines = Vec::new();
    for node in nodes {
        machines.extend(node.machine()?.map(|machine| (node, machine)));
    }
    let Some((first, _)) = machines.first() else { return Ok(()) };
    thread::scope(|scope| {
        let removal = scope.spawn(|| -> Result<(), EndError> {
            mounts::enter_private_namespace()?;
            let mounts = cgroup::reach(host.cgroups, &first.cgroup_mounts())?;
            for (node, machine) in &machines {
                // Two levels above: the cluster's, and the one of all our cgroups.
                cgroup::remove(&mounts, &machine.cgroups, 2)?;
                let path = node.machine_path();
                fs::remove_file(&path).map_err(FileError::of("remove", &path))?;
            }
            Ok(())
        });
        removal.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
