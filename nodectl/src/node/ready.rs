//! Wait until a node is up: its systemd `running`, its sshd answering.

use std::fs;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use foundation::files::FileError;
use foundation::process::Process;
use foundation::record::State;
use foundation::state::StateDirs;

use crate::node::Node;

/// Between two looks at whether the machine still lives and the user still wants it.
pub const TICK: Duration = Duration::from_millis(50);

/// Why a node did not come up.
#[derive(Debug, thiserror::Error)]
pub enum ReadyError {
    /// Its machine ended.
    #[error("node {node} ended while it was starting{console}; --retain keeps it for a look")]
    Ended {
        /// The node.
        node: String,
        /// The end of its console's output, read before the node is undone.
        console: String,
    },
    /// It took too long.
    #[error("node {node} was not up within {} s: waited for {what}{console}; --retain keeps it for a look", deadline.as_secs())]
    Deadline {
        /// The node.
        node: String,
        /// How long we waited.
        deadline: Duration,
        /// What for.
        what: &'static str,
        /// The end of its console's output, read before the node is undone.
        console: String,
    },
    /// A signal asked us to stop.
    #[error("interrupted while node {node} was starting")]
    Interrupted {
        /// The node.
        node: String,
    },
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

fn tail(log: &Path) -> String {
    let text = String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned();
    let lines: Vec<_> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(10)..];
    if last.is_empty() { String::new() } else { format!(":\n  {}\n", last.join("\n  ")) }
}

/// A machine that has been launched and is not up yet, whoever supervises it.
pub trait Starting {
    /// What is new; looked for no longer than a tick.
    fn progress(&mut self) -> Progress;
    /// Whether it has ended, and what its supervisor says of that.
    fn ended(&mut self) -> Option<String>;
}

/// What is new of a machine.
#[derive(Debug, Default)]
pub struct Progress {
    /// Its own PID 1, once it is known.
    pub leader: Option<Process>,
    /// Its systemd has started.
    pub ready: bool,
}

/// A wait for one node, with its deadline.
pub struct Wait<'a> {
    /// State and run directories.
    pub dirs: &'a StateDirs,
    /// The node.
    pub node: &'a Node,
    /// How long to wait in all.
    pub deadline: Duration,
    /// Set when a signal asked us to stop.
    pub interrupted: &'a AtomicBool,
}

impl Wait<'_> {
    /// Wait until the node is up.
    ///
    /// # Errors
    /// When its machine ends, the deadline passes or we are interrupted.
    pub fn until_up(&self, machine: &mut dyn Starting) -> Result<State, ReadyError> {
        let started = Instant::now();
        loop {
            let progress = machine.progress();
            if let Some(leader) = progress.leader {
                self.node.update_machine(self.dirs, |machine| machine.leader = Some(leader))?;
            }
            if progress.ready {
                break;
            }
            self.still_wanted(machine, started, "READY=1 of its systemd")?;
        }
        let state = loop {
            match self.node.system_state(self.dirs)? {
                State::Starting => self.pause(machine, started, "`systemctl is-system-running`")?,
                state => break state,
            }
        };
        let address = SocketAddr::from((self.node.address, 22));
        while !sshd_answers(address) {
            self.pause(machine, started, "its sshd")?;
        }
        self.node.update_machine(self.dirs, |machine| machine.state = state)?;
        Ok(state)
    }

    fn pause(&self, machine: &mut dyn Starting, started: Instant, what: &'static str) -> Result<(), ReadyError> {
        thread::sleep(TICK);
        self.still_wanted(machine, started, what)
    }

    fn still_wanted(&self, machine: &mut dyn Starting, started: Instant, what: &'static str) -> Result<(), ReadyError> {
        let node = self.node.name.to_string();
        let console = || tail(&self.node.console_log(self.dirs));
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(ReadyError::Interrupted { node });
        }
        if let Some(said) = machine.ended() {
            return Err(ReadyError::Ended { node, console: said + &console() });
        }
        if started.elapsed() > self.deadline {
            return Err(ReadyError::Deadline { node, deadline: self.deadline, what, console: console() });
        }
        Ok(())
    }
}

/// Whether a server that greets as RFC 4253 section 4.2 says listens there.
fn sshd_answers(address: SocketAddr) -> bool {
    let greeting = || -> io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        let mut greeting = [0; 4];
        stream.read_exact(&mut greeting)?;
        Ok(&greeting == b"SSH-")
    };
    greeting().unwrap_or(false)
}
