//! delve, attached to a process of a node: it runs for as long as an SSH connection of ours, which forwards its socket.

use std::fs::{self, DirBuilder};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use foundation::command::{self, CommandError};
use foundation::files::{self, FileError};
use foundation::name::Name;
use foundation::state::StateDirs;
use serde_json::{Value, json};

use crate::ssh::{self, SshError};
use crate::swap::Running;

/// What runs on the node.
const SCRIPT: &str = include_str!("attach.sh");

/// Its exit status where the node has no such process.
const NO_PROCESS: i32 = 3;

/// How often to look.
const LOOK: Duration = Duration::from_millis(100);

/// How long one answer may take: of a busy machine, or until the program's symbols are read.
const ANSWER: Duration = Duration::from_secs(10);

/// How long delve may take to detach.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why delve is not attached.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttachError {
    /// The inventory does not say how to log in.
    #[error(transparent)]
    Ssh(#[from] SshError),
    /// There is no ssh.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// It has said why.
    #[error("the connection to delve has ended with {status}; for what delve has said see above")]
    Ended {
        /// How.
        status: ExitStatus,
    },
    /// It does not answer.
    #[error("delve does not answer after {0} s; give it more with --timeout")]
    Late(u64),
    /// It does not let go.
    #[error("delve has not detached within {} s; it may still hold the process", PATIENCE.as_secs())]
    Stuck,
    /// A signal asked us to stop.
    #[error("interrupted")]
    Interrupted,
    /// The kernel refused.
    #[error("cannot wait for ssh")]
    Wait(#[source] io::Error),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

/// What delve is attached to.
pub(super) struct Target<'a> {
    /// The node.
    pub(super) node: &'a Name,
    /// The component: the name of its program.
    pub(super) component: &'a str,
    /// SHA-256 of its program.
    pub(super) sha256: &'a str,
}

/// A delve that is attached. It detaches when this is dropped, or when we are killed.
pub(super) struct Attached {
    ssh: Child,
    socket: PathBuf,
    pid: Option<u64>,
}

impl Attached {
    /// Attach, and wait until the process runs on under delve. None where the node has no such process.
    pub(super) fn new(
        cluster: &Running<'_>,
        target: &Target<'_>,
        wait: Duration,
        interrupted: &AtomicBool,
    ) -> Result<Option<Self>, AttachError> {
        let Target { node, component, sha256 } = *target;
        let socket = socket(cluster.dirs())?;
        let on_node = format!("/run/kubeadm-systemd/{component}-{}.sock", std::process::id());
        let forward = format!("LocalForward={} {on_node}", socket.display());
        let mut ssh = ssh::command(cluster.inventory(), node)?;
        for option in [&forward, "ExitOnForwardFailure=yes"] {
            ssh.args(["-o", option]);
        }
        ssh.arg(shell_words::join(["sh", "-c", SCRIPT, "attach", component, sha256, &on_node]));
        // What ends us by Ctrl-C leaves it alone: delve is to detach first. It sees our end by that of its input.
        ssh.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        let spawned = ssh.spawn();
        let ssh = spawned.map_err(command::not_started(&ssh))?;
        let mut attached = Attached { ssh, socket, pid: None };
        let begun = Instant::now();
        loop {
            if runs(&attached.socket) {
                attached.pid = attached.said_pid();
                return Ok(Some(attached));
            }
            match attached.ended()? {
                Some(status) if status.code() == Some(NO_PROCESS) => return Ok(None),
                Some(status) => return Err(AttachError::Ended { status }),
                None => {}
            }
            if interrupted.load(Ordering::Relaxed) {
                return Err(AttachError::Interrupted);
            }
            if begun.elapsed() > wait {
                return Err(AttachError::Late(wait.as_secs()));
            }
            thread::sleep(LOOK);
        }
    }

    /// The socket on this host that leads to it.
    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// The process, by its id on the node.
    pub(super) fn pid(&self) -> Option<u64> {
        self.pid
    }

    /// What the script has printed before it started delve.
    fn said_pid(&mut self) -> Option<u64> {
        let mut line = String::new();
        BufReader::new(self.ssh.stdout.take()?).read_line(&mut line).ok()?;
        line.trim().parse().ok()
    }

    /// Wait until delve ends, as a client may tell it to, or until we are interrupted; then detach.
    pub(super) fn until_ended(&mut self, interrupted: &AtomicBool) -> Result<(), AttachError> {
        while !interrupted.load(Ordering::Relaxed) {
            match self.ended()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(AttachError::Ended { status }),
                None => thread::sleep(LOOK),
            }
        }
        self.detach()
    }

    fn ended(&mut self) -> Result<Option<ExitStatus>, AttachError> {
        self.ssh.try_wait().map_err(AttachError::Wait)
    }

    fn detach(&mut self) -> Result<(), AttachError> {
        drop(self.ssh.stdin.take());
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if self.ended()?.is_some() {
                return Ok(());
            }
            thread::sleep(LOOK);
        }
        let _ = self.ssh.kill();
        let _ = self.ssh.wait();
        Err(AttachError::Stuck)
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let _ = self.detach();
        let _ = fs::remove_file(&self.socket);
    }
}

/// A socket's path that no other one has, in a directory that is root's alone.
fn socket(dirs: &StateDirs) -> Result<PathBuf, FileError> {
    let dir = dirs.run.join("debug");
    DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(FileError::of("create", &dir))?;
    for name in files::names_in(&dir)? {
        let left = dir.join(name);
        // Left by a killed `debug`: connections are refused.
        if UnixStream::connect(&left).is_err() {
            let _ = fs::remove_file(&left);
        }
    }
    Ok(dir.join(format!("{}.sock", std::process::id())))
}

/// Whether delve is attached, and the process runs. What else delve could be asked, it answers when that stops.
fn runs(socket: &Path) -> bool {
    let state = call(socket, "RPCServer.State", &json!({"NonBlocking": true}));
    state.is_some_and(|state| state["State"]["Running"] == true)
}

/// What delve answers to one call (JSON-RPC 1.0; package rpc2 of delve). ssh accepts a connection before delve does.
fn call(socket: &Path, method: &str, argument: &Value) -> Option<Value> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(ANSWER)).ok()?;
    writeln!(stream, "{}", json!({"method": method, "params": [argument], "id": 1})).ok()?;
    let answer: Value = serde_json::Deserializer::from_reader(stream).into_iter().next()?.ok()?;
    answer.get("result").filter(|result| !result.is_null()).cloned()
}
