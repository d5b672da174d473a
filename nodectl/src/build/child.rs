//! Run a program whose output goes to a log file: it is long, and wanted only when the program fails.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::files::FileError;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::progress::Stage;

/// How often to look whether a program has ended.
const LOOK: Duration = Duration::from_millis(20);

/// How long a program that was interrupted may clean up after itself.
const GRACE: Duration = Duration::from_secs(1);

/// Lines of the log that an error repeats.
const LAST_LINES: usize = 12;

/// A program that could not be run, or that failed.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// It could not be started.
    #[error("cannot run `{command}`")]
    Spawn {
        /// The command, quoted for a shell.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// It ended non-zero.
    #[error("`{command}` failed with {status}; the end of its log {}:\n{last}", log.display())]
    Failed {
        /// The command, quoted for a shell.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// All that it said.
        log: PathBuf,
        /// The end of that.
        last: String,
    },
    /// The user had enough.
    #[error("interrupted")]
    Interrupted,
    /// Its log could not be written.
    #[error(transparent)]
    Log(#[from] FileError),
}

/// The command as one would type it, with its directory and environment.
pub fn shown(command: &Command) -> String {
    let directory =
        command.get_current_dir().map(|dir| format!("cd {} && ", shell_words::quote(&dir.to_string_lossy())));
    let variables = command.get_envs().filter_map(|(name, value)| {
        let value = value?.to_string_lossy();
        Some(format!("{}={} ", name.to_string_lossy(), shell_words::quote(&value)))
    });
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words = shell_words::join(words.map(OsStr::to_string_lossy));
    format!("{}{}{words}", directory.unwrap_or_default(), variables.collect::<String>())
}

/// Let the child end when we end, however that is, and let its mounts vanish with it.
pub fn contain(command: &mut Command, end: Signal) -> &mut Command {
    let contain = move || {
        set_pdeathsig(end)?;
        unshare(CloneFlags::CLONE_NEWNS)?;
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
        Ok(())
    };
    // SAFETY: three system calls, no allocation, no lock: async-signal-safe (signal-safety(7)).
    unsafe { command.pre_exec(contain) }
}

/// Start `command` with its output in `log`.
///
/// # Errors
/// When it cannot be started, or the log cannot be made.
pub fn spawn(command: &mut Command, log: &Path) -> Result<Child, ChildError> {
    let parent = log.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).map_err(FileError::of("create", parent))?;
    let file = File::create(log).map_err(FileError::of("create", log))?;
    let both = file.try_clone().map_err(FileError::of("open", log))?;
    let child = command.stdin(Stdio::null()).stdout(both).stderr(file).spawn();
    child.map_err(|source| ChildError::Spawn { command: shown(command), source })
}

/// Run `command` to its end, with its output in `log`, whose last line `stage` shows.
///
/// # Errors
/// When it cannot be started or ends non-zero.
pub fn run(command: &mut Command, log: &Path, stage: &Stage) -> Result<(), ChildError> {
    let mut child = spawn(command, log)?;
    let status = loop {
        let ended = child.try_wait();
        match ended.map_err(|source| ChildError::Spawn { command: shown(command), source })? {
            // On a terminal the signal has reached it too.
            Some(status) if !status.success() && stage.is_interrupted() => return Err(ChildError::Interrupted),
            Some(status) => break status,
            None if stage.is_interrupted() => return Err(interrupt(child)),
            None if stage.is_shown() => stage.detail(tail(log).lines().last().unwrap_or_default()),
            None => {}
        }
        thread::sleep(LOOK);
    };
    if status.success() { Ok(()) } else { Err(failed(command, status, log)) }
}

/// End a child that is not wanted any more. It may clean up after itself first.
fn interrupt(mut child: Child) -> ChildError {
    // All of these fail only when it has ended already.
    let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
    let asked = Instant::now();
    while asked.elapsed() < GRACE && matches!(child.try_wait(), Ok(None)) {
        thread::sleep(LOOK);
    }
    let _ = child.kill();
    let _ = child.wait();
    ChildError::Interrupted
}

/// The error for a command that ended with `status`.
pub fn failed(command: &Command, status: ExitStatus, log: &Path) -> ChildError {
    ChildError::Failed { command: shown(command), status, log: log.to_owned(), last: last_lines(log) }
}

fn last_lines(log: &Path) -> String {
    let text = tail(log);
    let lines: Vec<_> = text.trim_end().lines().collect();
    let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
    last.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// The end of a log, as far as it can be read.
fn tail(log: &Path) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::progress::Progress;

    #[test]
    fn a_signal_ends_the_command_at_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let progress = Progress::to_stderr();
        progress.interrupt();
        let mut command = Command::new("sleep");
        let result = progress.stage("sleep", |stage| run(command.arg("60"), &dir.path().join("log"), stage));
        assert!(matches!(result, Err(ChildError::Interrupted)), "{result:?}");
    }

    #[test]
    fn a_failed_command_is_shown_with_its_directory_environment_and_last_lines() {
        let dir = tempfile::tempdir().expect("a directory");
        let log = dir.path().join("logs/seq.log");
        let mut command = Command::new("sh");
        command.args(["-c", "seq 1 100; exit 3"]).current_dir("/").env("A", "b c");
        let progress = Progress::to_stderr();
        let text = progress.stage("count", |stage| run(&mut command, &log, stage)).expect_err("fails").to_string();
        assert!(text.starts_with("`cd / && A='b c' sh -c 'seq 1 100; exit 3'` failed with exit status: 3"), "{text}");
        assert!(text.contains(&log.display().to_string()), "{text}");
        assert!(text.ends_with("  99\n  100") && !text.contains("  42"), "{text}");
        assert_eq!(fs::read_to_string(&log).expect("a log").lines().count(), 100);
    }
}
