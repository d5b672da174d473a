//! A node's machine as a transient unit of systemd, while it starts.

use std::io::Read;
use std::process::{Child, ExitStatus};

use foundation::command;

use super::{Node, Progress, Starting, SuperviseError, TICK, unit};
use crate::node::machine::Machine;

/// A running systemd-run, which ends when the unit is up or has failed.
pub(super) struct Systemd<'a> {
    node: &'a Node,
    run: Child,
    has_leader: bool,
}

impl<'a> Systemd<'a> {
    /// Have systemd start it.
    pub(super) fn launch(node: &'a Node) -> Result<Self, SuperviseError> {
        let mut command = unit::start(node)?;
        let run = command.spawn();
        let run = run.map_err(command::not_started(&command))?;
        Ok(Systemd { node, run, has_leader: false })
    }

    fn machine(&self) -> Option<Machine> {
        self.node.machine().ok().flatten()
    }

    fn started(&mut self) -> Option<ExitStatus> {
        self.run.try_wait().ok().flatten()
    }
}

impl Starting for Systemd<'_> {
    fn progress(&mut self) -> Progress {
        // NOTIFY_SOCKET is systemd's: so the leader is looked for in /proc.
        let leader = if self.has_leader { None } else { self.machine().and_then(|machine| machine.find_leader()) };
        self.has_leader |= leader.is_some();
        let ready = self.started().is_some_and(|status| status.success());
        if !ready {
            std::thread::sleep(TICK);
        }
        Progress { leader, ready }
    }

    fn ended(&mut self) -> Option<String> {
        match self.started() {
            None => None,
            Some(status) if status.success() => {
                let runs = self.machine().is_some_and(|machine| machine.is_running());
                (!runs).then(String::new)
            }
            Some(_) => {
                let mut said = String::new();
                self.run.stderr.as_mut().map(|stderr| stderr.read_to_string(&mut said));
                Some(format!(": {}", said.trim()))
            }
        }
    }
}

impl Drop for Systemd<'_> {
    fn drop(&mut self) {
        // The unit does not depend on it.
        let _ = self.run.kill();
        let _ = self.run.wait();
    }
}
