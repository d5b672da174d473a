//! Run a program whose output goes to a log file: it is long, and of interest only when the program fails.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use foundation::command::{CommandError, failed, not_started, tail};
use foundation::files::FileError;
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

/// A program that could not be run, or that failed.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// It could not be started, or ended non-zero.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The user interrupted.
    #[error("interrupted")]
    Interrupted,
    /// Its log could not be written.
    #[error(transparent)]
    Log(#[from] FileError),
}

/// Have the child end when we end, however that happens, and its mounts with it.
pub(crate) fn contain(command: &mut Command, end: Signal) -> &mut Command {
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
pub(crate) fn spawn(command: &mut Command, log: &Path) -> Result<Child, ChildError> {
    let parent = log.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).map_err(FileError::of("create", parent))?;
    let file = File::create(log).map_err(FileError::of("create", log))?;
    let both = file.try_clone().map_err(FileError::of("open", log))?;
    Ok(command.stdin(Stdio::null()).stdout(both).stderr(file).spawn().map_err(not_started(command))?)
}

/// Run `command` to its end, with its output in `log`, whose last line `stage` shows.
pub(crate) fn run(command: &mut Command, log: &Path, stage: &Stage) -> Result<(), ChildError> {
    let mut child = spawn(command, log)?;
    let status = loop {
        let ended = child.try_wait();
        match ended.map_err(not_started(command))? {
            // On a terminal the signal reached it too.
            Some(status) if !status.success() && stage.is_interrupted() => return Err(ChildError::Interrupted),
            Some(status) => break status,
            None if stage.is_interrupted() => return Err(interrupt(child)),
            None if stage.is_shown() => stage.detail(tail(log).lines().last().unwrap_or_default()),
            None => {}
        }
        thread::sleep(LOOK);
    };
    if status.success() { Ok(()) } else { Err(failed(command, status, log).into()) }
}

/// Ask a child to end, and kill it if it does not in time.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::progress::Progress;

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
