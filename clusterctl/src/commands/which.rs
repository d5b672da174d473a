//! Tell where the programs of the Ansible that we run are.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use foundation::state::StateDirs;

use crate::ansible::{Ansible, AnsibleArgs, AnsibleError};

/// Why a program's path was not told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WhichError {
    /// There is no Ansible.
    #[error(transparent)]
    Ansible(#[from] AnsibleError),
    /// It has no such program.
    #[error("there is no {}", .0.display())]
    None(PathBuf),
    /// It could not be printed.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

/// Print the path of `program`.
pub(crate) fn run(
    args: &AnsibleArgs,
    dirs: &StateDirs,
    program: &Path,
    mut output: impl Write,
) -> Result<(), WhichError> {
    let path = Ansible::find(args, dirs)?.program(program);
    if !path.is_file() {
        return Err(WhichError::None(path));
    }
    writeln!(output, "{}", path.display()).map_err(WhichError::Output)
}
