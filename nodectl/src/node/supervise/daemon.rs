//! A node's machine as a daemon of ours, where systemd is not PID 1.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use foundation::files::FileError;
use foundation::process::Process;
use nix::unistd::setsid;

use super::{Node, Progress, Starting, SuperviseError, TICK, launch_command};

/// The daemon (nodectl, then cnispawn, then systemd-nspawn) and the socket on which systemd-nspawn reports its state
/// (sd_notify(3)).
pub(super) struct Daemon {
    process: Process,
    socket: UnixDatagram,
    socket_path: PathBuf,
}

impl Daemon {
    /// Launch it in a session of its own, with its output in the console's log.
    pub(super) fn launch(node: &Node) -> Result<Self, SuperviseError> {
        let socket_path = node.dirs.run.join("notify").join(node.machine_name());
        let socket = listen(&socket_path)?;
        let failed = |source| SuperviseError::Spawn { node: node.name.clone(), source };
        let words = launch_command(node)?;
        let path = node.console_log();
        let log = OpenOptions::new().create(true).append(true).open(&path).map_err(FileError::of("open", &path))?;
        let mut launch = Command::new(&words[0]);
        launch.args(&words[1..]).env("NOTIFY_SOCKET", &socket_path).current_dir("/");
        launch.stdin(Stdio::null()).stdout(log.try_clone().map_err(failed)?).stderr(log);
        // SAFETY: setsid is async-signal-safe (signal-safety(7)) and touches no memory of ours.
        unsafe { launch.pre_exec(|| setsid().map(drop).map_err(io::Error::from)) };
        let mut child = launch.spawn().map_err(failed)?;
        let process = Process::of(child.id().cast_signed()).map_err(failed)?;
        // Reap it, if it ends before us: a zombie would look like a running machine.
        thread::spawn(move || child.wait());
        Ok(Daemon { process, socket, socket_path })
    }

    /// Assignments of the next message; empty when no message arrives within a tick.
    fn next(&self) -> Vec<(String, String)> {
        let mut buffer = [0; 4096];
        let Ok(length) = self.socket.recv(&mut buffer) else { return Vec::new() };
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        text.lines().filter_map(|line| line.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
    }
}

impl Starting for Daemon {
    fn progress(&mut self) -> Progress {
        let mut progress = Progress::default();
        for (key, value) in self.next() {
            match key.as_str() {
                "X_NSPAWN_LEADER_PID" => progress.leader = value.parse().ok().and_then(|pid| Process::of(pid).ok()),
                "READY" => progress.ready = value == "1",
                _ => {}
            }
        }
        progress
    }

    fn ended(&mut self) -> Option<String> {
        (!self.process.is_alive()).then(String::new)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.socket_path);
    }
}

fn listen(path: &Path) -> Result<UnixDatagram, FileError> {
    let dir = path.parent().unwrap_or(path);
    fs::create_dir_all(dir).map_err(FileError::of("create", dir))?;
    let _ = fs::remove_file(path);
    let socket = UnixDatagram::bind(path).map_err(FileError::of("listen on", path))?;
    socket.set_read_timeout(Some(TICK)).map_err(FileError::of("listen on", path))?;
    Ok(socket)
}
