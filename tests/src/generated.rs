//! What is made of the command lines' definitions: man pages and completions, which so cannot drift from the programs.

use std::fs;
use std::io;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_complete::Shell;

use crate::wrapper;

/// The shells that get completions, and where below PREFIX/share each looks for one of `program`.
const SHELLS: [(Shell, &str); 3] = [
    (Shell::Bash, "bash-completion/completions/PROGRAM"),
    (Shell::Zsh, "zsh/site-functions/_PROGRAM"),
    (Shell::Fish, "fish/vendor_completions.d/PROGRAM.fish"),
];

/// The definitions of the three binaries' command lines, and of the wrapper's.
pub fn command_lines() -> [Command; 4] {
    [cnispawn::cli::Cli::command(), nodectl::cli::Cli::command(), clusterctl::cli::Cli::command(), wrapper::command()]
}

/// Write all man pages (`man/man1`, one for each verb, too) and completions below `share`.
///
/// # Errors
/// When the file system refuses.
pub fn write(share: &Path) -> io::Result<()> {
    for command in command_lines() {
        let program = command.get_name().to_owned();
        let man = share.join("man/man1");
        fs::create_dir_all(&man)?;
        clap_mangen::generate_to(command.clone(), &man)?;
        for (shell, path) in SHELLS {
            let path = share.join(path.replace("PROGRAM", &program));
            fs::create_dir_all(path.parent().unwrap_or(share))?;
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut command.clone(), &program, &mut text);
            fs::write(path, text)?;
        }
    }
    Ok(())
}
