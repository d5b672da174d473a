//! The SSH connections that Ansible leaves open.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nodectl::files::{self, FileError};
use nodectl::state::StateDirs;

/// SSH's connections that outlive a task (ssh_config(5), ControlPersist); ended when this is dropped.
pub(super) struct Connections {
    /// Where they are, as sockets.
    pub(super) dir: PathBuf,
}

impl Connections {
    pub(super) fn new(dirs: &StateDirs) -> Result<Self, FileError> {
        // A directory of this run: two runs at the same time do not end each other's. The path of a socket has at most
        // 108 bytes (unix(7)).
        let dir = dirs.run.join("ssh").join(std::process::id().to_string());
        fs::create_dir_all(&dir).map_err(FileError::of("create", &dir))?;
        Ok(Connections { dir })
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        for socket in files::entries(&self.dir).unwrap_or_default() {
            let mut control = OsString::from("ControlPath=");
            control.push(self.dir.join(socket));
            let mut ssh = Command::new("ssh");
            ssh.args(["-F", "none", "-O", "exit", "-o"]).arg(control).arg("any");
            let _ = ssh.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}
