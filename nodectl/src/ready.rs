//! Wait until a node is up: its systemd `running`, its sshd answering.

use std::fs;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::exec;
use crate::files::FileError;
use crate::node::{Machine, Node};
use crate::record::State;
use crate::state::StateDirs;
use cnispawn::process::Process;

/// Between two looks at whether the machine still lives and the user still wants it.
const TICK: Duration = Duration::from_millis(50);

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

/// Where a machine's supervisor says how it is (sd_notify(3)).
pub struct Notifications {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Notifications {
    /// Listen for a node's supervisor, which must be started with `NOTIFY_SOCKET` set to [`Self::path`].
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn listen(dirs: &StateDirs, node: &Node) -> Result<Self, FileError> {
        let dir = dirs.run.join("notify");
        fs::create_dir_all(&dir).map_err(FileError::of("create", &dir))?;
        let path = dir.join(node.machine_name());
        let _ = fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).map_err(FileError::of("listen on", &path))?;
        socket.set_read_timeout(Some(TICK)).map_err(FileError::of("listen on", &path))?;
        Ok(Notifications { socket, path })
    }

    /// The socket's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Assignments of the next message; none when none came within a tick.
    fn next(&self) -> Vec<(String, String)> {
        let mut buffer = [0; 4096];
        let Ok(length) = self.socket.recv(&mut buffer) else { return Vec::new() };
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        text.lines().filter_map(|line| line.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
    }
}

impl Drop for Notifications {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// A wait for one node, with its deadline.
pub struct Wait<'a> {
    /// State and run directories.
    pub dirs: &'a StateDirs,
    /// The node.
    pub node: &'a Node,
    /// Its supervisor.
    pub supervisor: &'a Process,
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
    pub fn until_up(&self, notifications: &Notifications) -> Result<State, ReadyError> {
        let started = Instant::now();
        let mut leader = None;
        let mut ready = false;
        while !ready {
            self.still_wanted(started, "READY=1 of its systemd")?;
            for (key, value) in notifications.next() {
                match key.as_str() {
                    "X_NSPAWN_LEADER_PID" => leader = value.parse().ok().and_then(|pid| Process::of(pid).ok()),
                    "READY" => ready = value == "1",
                    _ => {}
                }
            }
            if let Some(leader) = leader.take() {
                self.node.update_machine(self.dirs, |machine| machine.leader = Some(leader))?;
            }
        }
        let state = loop {
            match self.system_state()? {
                State::Starting => self.pause(started, "`systemctl is-system-running`")?,
                state => break state,
            }
        };
        let address = SocketAddr::from((self.node.address, 22));
        while !sshd_answers(address) {
            self.pause(started, "its sshd")?;
        }
        self.node.update_machine(self.dirs, |machine| machine.state = state)?;
        Ok(state)
    }

    fn pause(&self, started: Instant, what: &'static str) -> Result<(), ReadyError> {
        thread::sleep(TICK);
        self.still_wanted(started, what)
    }

    fn still_wanted(&self, started: Instant, what: &'static str) -> Result<(), ReadyError> {
        let node = self.node.name.to_string();
        let console = || tail(&self.node.console_log(self.dirs));
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(ReadyError::Interrupted { node });
        }
        if !self.supervisor.is_alive() {
            return Err(ReadyError::Ended { node, console: console() });
        }
        if started.elapsed() > self.deadline {
            return Err(ReadyError::Deadline { node, deadline: self.deadline, what, console: console() });
        }
        Ok(())
    }

    /// What `systemctl is-system-running` says inside the node.
    fn system_state(&self) -> Result<State, ReadyError> {
        let machine = self.node.machine(self.dirs)?;
        let Some(leader) = machine.as_ref().and_then(Machine::find_leader) else { return Ok(State::Starting) };
        // It ends non-zero in every state but `running`: what it prints is what counts.
        let output = exec::command(leader.pid, ["systemctl", "is-system-running"]).output();
        let said = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
        Ok(match said.as_str() {
            "running" => State::Running,
            "degraded" => State::Degraded,
            _ => State::Starting,
        })
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
