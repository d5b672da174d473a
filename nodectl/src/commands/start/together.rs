//! Make, launch and await the planned nodes, all at the same time; undo all when one fails.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use foundation::name::Name;
use foundation::record::State;

use super::plan::{Action, Plan};
use super::{StartArgs, StartError};
use crate::cluster::state::ClusterState;
use crate::cluster::{Cluster, ClusterError, remove};
use crate::failures::Failures;
use crate::host::{self, Host, etc_hosts};
use crate::node::end::{self, How};
use crate::node::machine::Machine;
use crate::node::ready::Wait;
use crate::node::{Node, directory, supervise};
use crate::say::say;

/// A start that has been planned.
pub(super) struct Start<'a> {
    pub(super) args: &'a StartArgs,
    pub(super) host: Host,
    pub(super) cluster: &'a Cluster,
    pub(super) plan: &'a Plan,
    pub(super) interrupted: &'a AtomicBool,
}

impl Start<'_> {
    /// Start all nodes, and return the machines of those that did not run before.
    ///
    /// # Errors
    /// The first error. Nodes are left as they are then.
    pub(super) fn all(&self, state: &ClusterState) -> Result<BTreeMap<Name, Machine>, StartError> {
        // Each launch does this too. Here it reports to the user what it changes, and fails before any node is made.
        host::prepare(&state.dirs, |line| say(&line))?;
        let stopped: Vec<_> = self.plan.with(Action::Start).collect();
        // What machines that ended by themselves have left behind.
        end::all(&state.dirs, &stopped, How::Kill).map_err(StartError::Stale)?;
        let authorized_key = self.cluster.user_key().map_err(ClusterError::from)?;
        let machines = self.launch(&authorized_key)?;
        let planned = self.plan.nodes.iter().map(|planned| &planned.node);
        let others = state.members.iter().map(|member| &member.node);
        let others = others.filter(|node| planned.clone().all(|planned| planned.name != node.name));
        let mut nodes: Vec<_> = others.chain(planned.clone()).collect();
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        self.cluster.pin_host_keys(nodes.iter().copied())?;
        let tell = if self.args.etc_hosts { etc_hosts::add } else { etc_hosts::update };
        let entries: Vec<_> = nodes.iter().map(|node| node.hosts_entry()).collect();
        tell(&state.dirs, &self.cluster.name, &entries)?;
        Ok(machines)
    }

    fn launch(&self, authorized_key: &str) -> Result<BTreeMap<Name, Machine>, StartError> {
        thread::scope(|scope| {
            let (sender, events) = mpsc::channel();
            for planned in self.plan.nodes.iter().filter(|planned| planned.action != Action::Leave) {
                let sender = sender.clone();
                let one = move || self.one(&planned.node, planned.action, authorized_key);
                // The receiver outlives the threads.
                scope.spawn(move || sender.send((&planned.node, one())).is_ok());
            }
            drop(sender);
            let (mut machines, mut first_error) = (BTreeMap::new(), None);
            for (node, result) in events {
                match result {
                    Ok((machine, seconds)) => {
                        say(&format!("{seconds:6.1}s  {:12} {}", node.name, shown(machine.state)));
                        machines.insert(node.name.clone(), machine);
                    }
                    Err(error) => {
                        // The others stop waiting: they are undone anyway.
                        self.interrupted.store(true, Ordering::Relaxed);
                        first_error.get_or_insert(error);
                    }
                }
            }
            first_error.map_or(Ok(machines), Err)
        })
    }

    fn one(&self, node: &Node, action: Action, authorized_key: &str) -> Result<(Machine, f64), StartError> {
        let started = Instant::now();
        if action == Action::Make {
            let failed = |source| StartError::Make { node: node.name.clone(), source };
            directory::make(node, authorized_key).map_err(failed)?;
        } else {
            // Its limits may have changed.
            node.save()?;
        }
        let mut starting = supervise::launch(self.host.supervisor, node)?;
        let deadline = Duration::from_secs(self.args.timeout);
        let machine = Wait { node, deadline, interrupted: self.interrupted }.until_up(starting.as_mut())?;
        Ok((machine, started.elapsed().as_secs_f64()))
    }

    /// Stop again what was stopped, remove what is new, and return the error to report.
    pub(super) fn undo(&self, state: &mut ClusterState, cause: StartError) -> StartError {
        let cluster = &self.args.cluster;
        if self.args.retain {
            say(&format!(
                "kept for a look: nodectl shell, nodectl logs; remove with `nodectl rm --cluster {cluster} --all`"
            ));
            return cause;
        }
        match self.stop_and_remove(state) {
            Ok(()) => cause,
            Err(source) => StartError::Undo { cause: Box::new(cause), source },
        }
    }

    fn stop_and_remove(&self, state: &mut ClusterState) -> Result<(), Failures> {
        let stopped: Vec<_> = self.plan.with(Action::Start).collect();
        end::all(&state.dirs, &stopped, How::PowerOff(Duration::from_secs(10)))?;
        let new: Vec<_> = self.plan.with(Action::Make).cloned().collect();
        remove::nodes(state, &new, |line| say(&line))
    }
}

fn shown(state: State) -> &'static str {
    match state {
        State::Degraded => "degraded; see `systemctl --failed` in it",
        _ => "running",
    }
}
