//! A plugin's process.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use foundation::process::{end_all, pidfd};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::Value;

use super::attachment::Attachment;
use super::output::{Keep, Output};
use super::processes;

/// How much of a plugin's standard output is kept: its beginning. Results are shorter.
pub(super) const STDOUT_LIMIT: usize = 1 << 20;
/// How much of its standard error is kept: its end, for an error.
const STDERR_LIMIT: usize = 16 << 10;
/// How long a killed process may take to be gone.
const KILLED: Duration = Duration::from_secs(20);

/// A running plugin. Its input is a file in memory, so that it need not read all of it; its output is read while it
/// runs, and cut to a limit.
pub(super) struct Execution {
    child: Child,
    stdout: Output,
    stderr: Output,
}

/// A plugin that has ended.
pub(super) struct Ended {
    /// How it ended; `None` when it had to be killed.
    pub(super) status: Option<ExitStatus>,
    /// The beginning of its standard output.
    pub(super) stdout: Vec<u8>,
    /// The end of its standard error.
    pub(super) stderr: Vec<u8>,
}

impl Execution {
    /// Start a plugin with `environment` added to our own, and `conf` on its standard input.
    pub(super) fn start(path: &Path, environment: &[(&'static str, OsString)], conf: &Value) -> io::Result<Self> {
        let mut stdin: File = memfd_create("stdin", MFdFlags::MFD_CLOEXEC)?.into();
        stdin.write_all(conf.to_string().as_bytes())?;
        let mut attempts = 0;
        loop {
            stdin.rewind()?;
            let mut command = Command::new(path);
            command.envs(environment.iter().map(|(name, value)| (OsStr::new(name), value)));
            command.stdin(stdin.try_clone()?).stdout(Stdio::piped()).stderr(Stdio::piped());
            // A process group of its own, to be killed with its children. A terminal's ^C ends us, not a plugin midway.
            command.process_group(0);
            match command.spawn() {
                Ok(mut child) => {
                    let stdout = output(child.stdout.take(), Keep::Start(STDOUT_LIMIT))?;
                    let stderr = output(child.stderr.take(), Keep::End(STDERR_LIMIT))?;
                    return Ok(Execution { child, stdout, stderr });
                }
                // ETXTBSY: it is being installed, or a thread of ours has forked while it was written.
                Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && attempts < 50 => attempts += 1,
                Err(error) => return Err(error),
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Wait for the end of the process, not of its output: a child that it leaves behind may keep that open. After
    /// `timeout`, all processes that work on the attachment are killed.
    pub(super) fn wait(mut self, timeout: Duration, attachment: &Attachment) -> io::Result<Ended> {
        let ended = self.read_until_end(timeout)?;
        if !ended {
            self.kill(attachment)?;
        }
        let status = self.child.wait()?;
        self.stdout.read_rest()?;
        self.stderr.read_rest()?;
        let status = Some(status).filter(|status| ended || status.signal().is_none());
        Ok(Ended { status, stdout: self.stdout.kept(), stderr: self.stderr.kept() })
    }

    /// False when `timeout` passed first.
    fn read_until_end(&mut self, timeout: Duration) -> io::Result<bool> {
        let (pidfd, deadline) = (pidfd(self.child.id().cast_signed())?, Instant::now() + timeout);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            // Rounded up: less than a millisecond would become zero.
            let left = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
            let pipes = [&self.stdout, &self.stderr].into_iter().filter_map(Output::pipe);
            let fds = std::iter::once(pidfd.as_fd()).chain(pipes.map(AsFd::as_fd));
            let mut fds: Vec<_> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
            match poll(&mut fds, left) {
                Err(nix::Error::EINTR) => continue,
                polled => polled?,
            };
            if fds[0].any().unwrap_or_default() {
                return Ok(true);
            }
            // Checked here, too: a plugin that prints without end never lets poll(2) time out.
            if Instant::now() >= deadline {
                return Ok(false);
            }
            self.stdout.read_some()?;
            self.stderr.read_some()?;
        }
    }

    fn kill(&self, attachment: &Attachment) -> io::Result<()> {
        // Not reaped yet, so the group's number is still its own.
        killpg(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGKILL)?;
        let Attachment { container_id, netns, if_name, .. } = attachment;
        if container_id.is_empty() {
            return Ok(());
        }
        // Children that have left the group, as daemons do, are still known by their environment.
        end_all(|| processes::of_attachment(container_id, netns, Some(if_name)), Duration::ZERO, KILLED).map(drop)
    }
}

fn output(pipe: Option<impl Into<OwnedFd>>, keep: Keep) -> io::Result<Output> {
    let pipe = pipe.map(|pipe| File::from(pipe.into()));
    if let Some(pipe) = &pipe {
        // Only our end: the plugin's still blocks.
        fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    }
    Ok(Output::new(pipe, keep))
}
