//! Run a program; when it fails, show it as a command that can be pasted into a shell.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
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
        /// Its standard error.
        stderr: String,
    },
    /// It ended non-zero, and its output is in a file.
    #[error("`{command}` failed with {status}; the end of its log {}{}", log.path.display(), lines(&log.end))]
    Logged {
        /// The command, quoted for a shell.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// Where its output is.
        log: Box<Log>,
    },
}

/// The output of a program, in a file.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    end: String,
}

/// How many lines of a program's output an error repeats.
const LAST_LINES: usize = 12;

fn lines(output: &str) -> String {
    let text = output.trim_end();
    let count = text.lines().count();
    let last: Vec<_> = text.lines().skip(count.saturating_sub(LAST_LINES)).collect();
    if last.is_empty() { String::new() } else { format!(":\n  {}", last.join("\n  ")) }
}

/// The command as one would type it: its directory, its environment where that is not ours, the program, its arguments.
pub fn shown(command: &Command) -> String {
    let directory = command.get_current_dir();
    let directory = directory.map(|dir| format!("cd {} && ", shell_words::quote(&dir.to_string_lossy())));
    let variables = command.get_envs().filter_map(|(name, value)| {
        let value = value?.to_string_lossy();
        Some(format!("{}={} ", name.to_string_lossy(), shell_words::quote(&value)))
    });
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words = shell_words::join(words.map(OsStr::to_string_lossy));
    format!("{}{}{words}", directory.unwrap_or_default(), variables.collect::<String>())
}

/// The error for a command that could not be started.
pub fn not_started(command: &Command) -> impl FnOnce(io::Error) -> CommandError {
    let command = shown(command);
    |source| CommandError::Spawn { command, source }
}

/// The error for a command that ended with `status`, and whose output is in `log`.
pub fn failed(command: &Command, status: ExitStatus, log: &Path) -> CommandError {
    let log = Box::new(Log { path: log.to_owned(), end: tail(log) });
    CommandError::Logged { command: shown(command), status, log }
}

/// The last 8 KiB of a log, as far as it can be read.
pub fn tail(log: &Path) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(8 << 10)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_default()
}

/// Run to the end and return what it printed. If we are killed, the program is too, so that it does not continue while
/// the next command undoes its work.
///
/// # Errors
/// The program cannot be started, or ends non-zero.
pub fn output(command: &mut Command) -> Result<Output, CommandError> {
    let output = end_with_us(command, Signal::SIGKILL).stdin(Stdio::null()).output();
    let output = output.map_err(not_started(command))?;
    checked(command, output)
}

/// [`output`], with `input` as its standard input.
///
/// # Errors
/// As [`output`]; the command is shown with its input.
pub(crate) fn output_of(command: &mut Command, input: &str) -> Result<Output, CommandError> {
    let replay = format!("printf %s {} | {}", shell_words::quote(input), shown(command));
    end_with_us(command, Signal::SIGKILL).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(not_started(command))?;
    let written = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().map_err(not_started(command))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(CommandError::Failed { command: replay, status: output.status, stderr });
    }
    written.map_err(|source| CommandError::Spawn { command: replay, source })?;
    Ok(output)
}

/// Have the program receive `signal` when the thread that starts it ends, however that ends: PR_SET_PDEATHSIG.
pub fn end_with_us(command: &mut Command, signal: Signal) -> &mut Command {
    // SAFETY: prctl is a system call that touches no memory of ours: async-signal-safe (signal-safety(7)).
    unsafe { command.pre_exec(move || Ok(set_pdeathsig(signal)?)) }
}

/// What a command printed that has run to its end.
///
/// # Errors
/// It ended non-zero.
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
/// PATH has none: `package` says what to install.
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
    #[test]
    fn a_command_is_shown_with_its_directory_environment_and_input() {
        let mut cat = Command::new("cat");
        let error = output_of(cat.args(["-", "/no such"]).current_dir("/").env("A", "b c"), "a b").expect_err("fails");
        let text = error.to_string();
        assert!(
            text.starts_with("`printf %s 'a b' | cd / && A='b c' cat - '/no such'` failed with exit status: 1"),
            "{text}"
        );
    }
}
