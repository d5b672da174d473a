//! Run the cnispawn that belongs to this nodectl.

use std::path::PathBuf;
use std::process::Command;

use foundation::command::{self, CommandError};
use foundation::state::StateDirs;

/// Where cnispawn is: beside nodectl, else in PATH.
pub(crate) fn find() -> Result<PathBuf, CommandError> {
    let beside = std::env::current_exe().ok().map(|exe| exe.with_file_name("cnispawn"));
    match beside.filter(|path| path.is_file()) {
        Some(path) => Ok(path),
        None => command::find("cnispawn", "kubeadm-systemd"),
    }
}

/// A cnispawn command that keeps its state in our directories.
pub(crate) fn command(dirs: &StateDirs, verb: &str) -> Result<Command, CommandError> {
    let mut cnispawn = Command::new(find()?);
    cnispawn.arg(verb);
    cnispawn.arg("--state-dir").arg(dirs.state.join("cnispawn"));
    cnispawn.arg("--cache-dir").arg(dirs.state.join("cni"));
    cnispawn.arg("--run-dir").arg(dirs.run.join("cnispawn"));
    Ok(cnispawn)
}
