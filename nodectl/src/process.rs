//! Name a process so that the name outlives it: a process id alone is reused.

use std::fs;
use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// A process of this boot or an earlier one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// Process id.
    pub pid: i32,
    /// Field 22 of /proc/PID/stat (proc_pid_stat(5)): clock ticks after boot at which it started.
    pub start_time: u64,
    /// /proc/sys/kernel/random/boot_id: start times repeat after a reboot.
    pub boot_id: String,
}

impl ProcessId {
    /// The calling process. Stays true over exec(3).
    ///
    /// # Errors
    /// When /proc cannot be read.
    pub fn current() -> io::Result<Self> {
        Self::of(std::process::id().cast_signed())
    }

    /// The process that has this id now.
    ///
    /// # Errors
    /// When there is none.
    pub fn of(pid: i32) -> io::Result<Self> {
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned();
        Ok(ProcessId { pid, start_time: start_time(pid)?, boot_id })
    }

    /// Whether this very process still runs (a zombie does not).
    pub fn is_alive(&self) -> bool {
        Self::of(self.pid).is_ok_and(|now| now == *self) && !is_zombie(self.pid)
    }

    /// Send a signal, unless the process has ended.
    pub fn signal(&self, signal: Signal) {
        if self.is_alive() {
            // The only error left is that it ended just now.
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }

    /// Wait until the process has ended; false when `timeout` passed first.
    pub fn wait_gone(&self, timeout: Duration) -> bool {
        let Ok(fd) = pidfd(self.pid) else { return !self.is_alive() };
        // Opened first, compared second: the file descriptor cannot change its process any more.
        if !self.is_alive() {
            return true;
        }
        let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
        matches!(poll(&mut fds, timeout), Ok(n) if n > 0)
    }
}

/// pidfd_open(2), which nix does not wrap.
fn pidfd(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two integers and returns a new file descriptor or -1.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this file descriptor; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Fields of /proc/PID/stat after the command, which may itself hold spaces and parentheses.
fn stat_fields(pid: i32) -> io::Result<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(')').ok_or_else(|| io::Error::other("malformed /proc/PID/stat"))?;
    Ok(rest.split_whitespace().map(str::to_owned).collect())
}

fn start_time(pid: i32) -> io::Result<u64> {
    // Field 22, counted from 1; the vector begins at field 3.
    let fields = stat_fields(pid)?;
    fields.get(19).and_then(|f| f.parse().ok()).ok_or_else(|| io::Error::other("malformed /proc/PID/stat"))
}

fn is_zombie(pid: i32) -> bool {
    stat_fields(pid).is_ok_and(|fields| fields.first().is_some_and(|state| state == "Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_alive_until_it_has_ended() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep");
        let id = ProcessId::of(child.id().cast_signed()).expect("running");
        assert!(id.is_alive());
        assert!(!ProcessId { start_time: id.start_time + 1, ..id.clone() }.is_alive(), "another process");
        assert!(!id.wait_gone(Duration::ZERO));
        id.signal(Signal::SIGKILL);
        assert!(id.wait_gone(Duration::from_secs(10)));
        assert!(!id.is_alive(), "a zombie does not count");
        child.wait().expect("reaped");
    }
}
