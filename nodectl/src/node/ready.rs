//! Wait until a node is up: its systemd is `running` or `degraded`, and its sshd answers.

use std::fs;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use foundation::files::FileError;
use foundation::name::Name;
use foundation::record::State;

use super::Node;
use super::machine::Machine;
use super::supervise::{Starting, TICK};

/// Why a node did not come up.
#[derive(Debug, thiserror::Error)]
pub enum ReadyError {
    /// Its machine ended.
    #[error("node {node} ended while it was starting{console}; --retain keeps it for a look")]
    Ended {
        /// The node.
        node: Name,
        /// The end of its console's output, read before the node is removed.
        console: String,
    },
    /// The deadline passed.
    #[error("node {node} was not up within {} s: waited for {what}{console}; --retain keeps it for a look", deadline.as_secs())]
    Deadline {
        /// The node.
        node: Name,
        /// How long we waited.
        deadline: Duration,
        /// What for.
        what: &'static str,
        /// The end of its console's output, read before the node is removed.
        console: String,
    },
    /// The user interrupted us, or another node failed.
    #[error("interrupted while node {node} was starting")]
    Interrupted {
        /// The node.
        node: Name,
    },
    /// The machine's file is damaged, or cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A wait for one node.
pub(crate) struct Wait<'a> {
    /// The node.
    pub(crate) node: &'a Node,
    /// How long to wait in all.
    pub(crate) deadline: Duration,
    /// Set to end the wait early.
    pub(crate) interrupted: &'a AtomicBool,
}

impl Wait<'_> {
    /// Wait until the node is up, and return its machine.
    ///
    /// # Errors
    /// Its machine ends, the deadline passes or the wait is interrupted.
    pub(crate) fn until_up(&self, machine: &mut dyn Starting) -> Result<Machine, ReadyError> {
        let started = Instant::now();
        loop {
            let progress = machine.progress();
            if let Some(leader) = progress.leader {
                self.node.update_machine(|machine| machine.leader = Some(leader))?;
            }
            if progress.ready {
                break;
            }
            self.go_on(machine, started, "READY=1 of its systemd")?;
        }
        let state = loop {
            match self.node.machine()?.map_or(State::Starting, |machine| machine.system_state()) {
                State::Starting => self.pause(machine, started, "`systemctl is-system-running`")?,
                state => break state,
            }
        };
        while !sshd_answers(self.node.address()) {
            self.pause(machine, started, "its sshd")?;
        }
        let up = self.node.update_machine(|machine| machine.state = state)?;
        // Another command has ended and removed it meanwhile.
        up.ok_or_else(|| ReadyError::Ended { node: self.node.name.clone(), console: String::new() })
    }

    fn pause(&self, machine: &mut dyn Starting, started: Instant, what: &'static str) -> Result<(), ReadyError> {
        thread::sleep(TICK);
        self.go_on(machine, started, what)
    }

    fn go_on(&self, machine: &mut dyn Starting, started: Instant, what: &'static str) -> Result<(), ReadyError> {
        let node = self.node.name.clone();
        let console = || last_lines(&self.node.console_log());
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(ReadyError::Interrupted { node });
        }
        if let Some(reported) = machine.ended() {
            return Err(ReadyError::Ended { node, console: reported + &console() });
        }
        if started.elapsed() > self.deadline {
            return Err(ReadyError::Deadline { node, deadline: self.deadline, what, console: console() });
        }
        Ok(())
    }
}

fn last_lines(log: &Path) -> String {
    let text = String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned();
    let lines: Vec<_> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(10)..];
    if last.is_empty() { String::new() } else { format!(":\n  {}\n", last.join("\n  ")) }
}

/// Whether an SSH server greets there (RFC 4253 section 4.2).
fn sshd_answers(address: IpAddr) -> bool {
    let greeting = || -> io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&SocketAddr::from((address, 22)), Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        let mut greeting = [0; 4];
        stream.read_exact(&mut greeting)?;
        Ok(&greeting == b"SSH-")
    };
    greeting().unwrap_or(false)
}
