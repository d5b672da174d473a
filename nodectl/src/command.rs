//! Run a program; when it fails, say so in a way that can be pasted into a shell.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Output, Stdio};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;

/// A program that could not be run, or that failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It is not installed.
    #[error("{program} not found in PATH; install the package {package}")]
    Missing {
        /// The program.
        program: String,
        /// Debian's package that has it.
        package: &'static str,
    },
    /// It could not be started.
    #[error("cannot run `{command}`")]
    Spawn {
        /// The command, quoted for a shell.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// It ended non-zero.
    #[error("`{command}` failed with {status}{}", lines(stderr))]
    Failed {
        /// The command, quoted for a shell.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of its standard error.
        stderr: String,
    },
}

fn lines(stderr: &str) -> String {
    let text = stderr.trim_end();
    let count = text.lines().count();
    let last: Vec<_> = text.lines().skip(count.saturating_sub(10)).collect();
    if last.is_empty() { String::new() } else { format!(":\n  {}", last.join("\n  ")) }
}

/// The command as one would type it.
pub fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    shell_words::join(words.map(OsStr::to_string_lossy))
}

/// Run to the end and return what it printed. When we are killed, so is it: it does not go on with what the next command
/// is undoing already.
///
/// # Errors
/// When it cannot be started or ends non-zero.
pub fn output(command: &mut Command) -> Result<Output, CommandError> {
    let output = end_with_us(command).stdin(Stdio::null()).output();
    let output = output.map_err(|source| CommandError::Spawn { command: shown(command), source })?;
    checked(command, output)
}

/// Have the program killed when the thread that starts it ends: no program outlives us, however we end.
pub fn end_with_us(command: &mut Command) -> &mut Command {
    // SAFETY: prctl is a system call that touches no memory of ours: async-signal-safe (signal-safety(7)).
    unsafe { command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGKILL)?)) }
}

/// What a command printed that has run to its end.
///
/// # Errors
/// When it ended non-zero.
pub fn checked(command: &Command, output: Output) -> Result<Output, CommandError> {
    if output.status.success() {
        return Ok(output);
    }
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(CommandError::Failed { command: shown(command), status: output.status, stderr })
}

/// Where a program is.
///
/// # Errors
/// When PATH has none: `package` says what to install.
pub fn find(program: &str, package: &'static str) -> Result<PathBuf, CommandError> {
    which::which(program).map_err(|_| CommandError::Missing { program: program.to_owned(), package })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_is_shown_so_that_it_can_be_pasted() {
        let error = output(Command::new("sh").args(["-c", "echo 'no such thing' >&2; exit 3"])).expect_err("fails");
        let text = error.to_string();
        assert!(text.contains("`sh -c 'echo '\\''no such thing'\\'' >&2; exit 3'`"), "{text}");
        assert!(text.ends_with("exit status: 3:\n  no such thing"), "{text}");
    }
}
