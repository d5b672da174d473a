//! Run `nodectl launch` as a daemon.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use cnispawn::process::Process;
use nix::unistd::setsid;

use super::StartError;
use crate::files::FileError;
use crate::node::Node;
use crate::state::StateDirs;

/// Launch a node's machine: in a session of its own, its output in the console's log.
pub(super) fn spawn(dirs: &StateDirs, node: &Node, notify_socket: &Path) -> Result<Process, StartError> {
    let failed = |source| StartError::Launch { node: node.name.clone(), source };
    let log = console(&node.console_log(dirs))?;
    let mut launch = Command::new(std::env::current_exe().map_err(failed)?);
    launch.arg("launch").args(["--cluster", node.cluster.as_str(), node.name.as_str()]);
    launch.arg("--state-dir").arg(&dirs.state).arg("--run-dir").arg(&dirs.run);
    launch.env("NOTIFY_SOCKET", notify_socket).current_dir("/");
    launch.stdin(Stdio::null()).stdout(log.try_clone().map_err(failed)?).stderr(log);
    // SAFETY: setsid is async-signal-safe (signal-safety(7)) and touches no memory of ours.
    unsafe { launch.pre_exec(|| setsid().map(drop).map_err(io::Error::from)) };
    let mut child = launch.spawn().map_err(failed)?;
    let id = Process::of(child.id().cast_signed()).map_err(failed)?;
    // Reap it, if it ends while we still run: a zombie would look like a machine that lives.
    thread::spawn(move || child.wait());
    Ok(id)
}

fn console(path: &Path) -> Result<File, FileError> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).map_err(FileError::of("create", parent))?;
    OpenOptions::new().create(true).append(true).open(path).map_err(FileError::of("open", path))
}
