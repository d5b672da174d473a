//! What a run of Ansible needs as long as it lasts, above all the SSH connections that Ansible leaves open.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use foundation::files::{self, FileError};
use foundation::state::StateDirs;

/// SSH's connections that outlive a task (ssh_config(5), ControlPersist); ended when this is dropped.
pub(super) struct Connections {
    /// Where they are, as sockets, and what else is this run's.
    pub(super) dir: PathBuf,
}

impl Connections {
    pub(super) fn new(dirs: &StateDirs) -> Result<Self, FileError> {
        // A directory of this run: two runs at the same time do not end each other's. The path of a socket has at most
        // 108 bytes (unix(7)).
        let all = dirs.run.join("ssh");
        let dir = all.join(std::process::id().to_string());
        // What was killed has left its own; an id is taken again sooner or later.
        let is_left = |id: &String| all.join(id) == dir || !Path::new("/proc").join(id).exists();
        for id in files::names_in(&all)?.iter().filter(|id| is_left(id)) {
            files::remove_tree(&all.join(id))?;
        }
        fs::create_dir_all(&dir).map_err(FileError::of("create", &dir))?;
        Ok(Connections { dir })
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        let paths = files::names_in(&self.dir).unwrap_or_default().into_iter().map(|name| self.dir.join(name));
        for socket in paths.filter(|path| path.metadata().is_ok_and(|metadata| metadata.file_type().is_socket())) {
            let mut control = OsString::from("ControlPath=");
            control.push(socket);
            let mut ssh = Command::new("ssh");
            ssh.args(["-F", "none", "-O", "exit", "-o"]).arg(control).arg("any");
            let _ = ssh.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}
