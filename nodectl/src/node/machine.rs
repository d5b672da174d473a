//! A node's machine while it runs: its processes, its cgroups and its state, kept in the run directory, which a reboot of
//! the host clears.

use std::collections::BTreeMap;
use std::path::PathBuf;

use foundation::files::{self, FileError};
use foundation::process::Process;
use foundation::record::State;
use serde::{Deserialize, Serialize};

use super::Node;

/// What is known of a node's machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// nodectl, then cnispawn, then systemd-nspawn: exec keeps the process.
    pub(crate) supervisor: Process,
    /// The machine's own PID 1, as the host sees it.
    pub(crate) leader: Option<Process>,
    /// The node's cgroup in each hierarchy, as /proc/PID/cgroup names both: `memory`, `name=systemd`, `` for version 2.
    /// Empty when they are systemd's, which removes them.
    pub(crate) cgroups: BTreeMap<String, PathBuf>,
    /// What its systemd last reported.
    pub(crate) state: State,
}

impl Machine {
    /// Whether any process of it still runs.
    pub(crate) fn is_running(&self) -> bool {
        self.supervisor.is_alive() || self.leader.as_ref().is_some_and(Process::is_alive)
    }

    /// The machine's PID 1: the recorded one; before it is recorded, the supervisor's child that is PID 1 of a namespace.
    pub(crate) fn find_leader(&self) -> Option<Process> {
        if let Some(leader) = self.leader.as_ref() {
            return leader.is_alive().then(|| leader.clone());
        }
        let supervisor = procfs::process::Process::new(self.supervisor.pid).ok()?;
        let children = supervisor.task_main_thread().and_then(|thread| thread.children()).ok()?;
        let mut children = children.into_iter().filter_map(|child| i32::try_from(child).ok());
        let leader = children.find(|child| is_namespaces_init(*child))?;
        self.supervisor.is_alive().then(|| Process::of(leader).ok())?
    }
}

/// Whether /proc/PID/status shows two ids in `NSpid`, the inner one 1.
fn is_namespaces_init(pid: i32) -> bool {
    let status = procfs::process::Process::new(pid).and_then(|process| process.status());
    let ids = status.ok().and_then(|status| status.nspid).unwrap_or_default();
    ids.len() > 1 && ids.last() == Some(&1)
}

impl Node {
    /// The file about its machine.
    pub(crate) fn machine_path(&self) -> PathBuf {
        self.dirs.run.join("machines").join(format!("{}.json", self.machine_name()))
    }

    /// Its machine; `None` when it was never started, or not since the host's reboot.
    pub(crate) fn machine(&self) -> Result<Option<Machine>, FileError> {
        files::read_json(&self.machine_path())
    }

    /// Record a machine that is about to run. The caller holds the node's lock.
    pub(crate) fn record_machine(&self, machine: &Machine) -> Result<(), FileError> {
        files::write_json(&self.machine_path(), machine)
    }

    /// Change what is recorded of its machine, and return it; `None` when nothing is recorded.
    pub(crate) fn update_machine(&self, change: impl FnOnce(&mut Machine)) -> Result<Option<Machine>, FileError> {
        let _lock = Self::lock(&self.dirs, &self.cluster, &self.name)?;
        let Some(mut machine) = self.machine()? else { return Ok(None) };
        change(&mut machine);
        self.record_machine(&machine)?;
        Ok(Some(machine))
    }
}
