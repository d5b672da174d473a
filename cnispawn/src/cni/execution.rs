//! A plugin's process.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::Duration;

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::Value;

use crate::process::{pidfd, wait_ended};

/// How much of a plugin's output is read.
const OUTPUT_LIMIT: u64 = 8 << 20;

/// A running plugin. Its input and output are files in memory: no pipe can fill up, and no grandchild that keeps one
/// open can hold us.
pub(super) struct Execution {
    child: Child,
    stdout: File,
    stderr: File,
}

impl Execution {
    /// Start it with an environment beside our own, and `conf` on its standard input.
    pub(super) fn start(path: &Path, environment: &[(&'static str, OsString)], conf: &Value) -> io::Result<Self> {
        let (mut stdin, stdout, stderr) = (memory("stdin")?, memory("stdout")?, memory("stderr")?);
        stdin.write_all(conf.to_string().as_bytes())?;
        let mut attempts = 0;
        loop {
            stdin.rewind()?;
            let mut command = Command::new(path);
            command.envs(environment.iter().map(|(name, value)| (OsStr::new(name), value)));
            command.stdin(stdin.try_clone()?).stdout(stdout.try_clone()?).stderr(stderr.try_clone()?);
            // A group of its own, to be killed with its children; and a terminal's ^C ends us, not a plugin midway.
            command.process_group(0);
            match command.spawn() {
                Ok(child) => return Ok(Execution { child, stdout, stderr }),
                // ETXTBSY: it is just being installed, or a thread of ours has forked while it was written.
                Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && attempts < 50 => attempts += 1,
                Err(error) => return Err(error),
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// How it ended; `None` when it had to be killed.
    pub(super) fn wait(&mut self, timeout: Duration) -> io::Result<Option<ExitStatus>> {
        let pid = self.child.id().cast_signed();
        let ended = wait_ended(pidfd(pid)?.as_fd(), Some(timeout))?;
        if !ended {
            // Not reaped yet, so the group's number is still its own.
            killpg(Pid::from_raw(pid), Signal::SIGKILL)?;
        }
        let status = self.child.wait()?;
        Ok(Some(status).filter(|status| ended || status.signal().is_none()))
    }

    /// The beginnings of its standard output and standard error.
    pub(super) fn output(mut self) -> io::Result<(Vec<u8>, Vec<u8>)> {
        Ok((read_start(&mut self.stdout)?, read_start(&mut self.stderr)?))
    }
}

fn memory(name: &str) -> io::Result<File> {
    Ok(memfd_create(name, MFdFlags::MFD_CLOEXEC)?.into())
}

fn read_start(file: &mut File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(OUTPUT_LIMIT).read_to_end(&mut bytes)?;
    Ok(bytes)
}
