//! Name a process so that the name outlives it, wait for its end, and end it.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// A process of this boot or an earlier one; a process id alone is reused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Process {
    /// Process id.
    pub pid: i32,
    /// Field 22 of /proc/PID/stat (proc_pid_stat(5)): clock ticks after boot at which it started.
    pub start_time: u64,
    /// /proc/sys/kernel/random/boot_id: start times repeat after a reboot.
    pub boot_id: String,
}

impl Process {
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
        let start_time = stat_field(pid, 22)?.parse().map_err(io::Error::other)?;
        Ok(Process { pid, start_time, boot_id })
    }

    /// Whether this very process still runs (a zombie does not).
    pub fn is_alive(&self) -> bool {
        Self::of(self.pid).is_ok_and(|now| now == *self) && stat_field(self.pid, 3).is_ok_and(|state| state != "Z")
    }

    /// Send a signal, unless the process has ended.
    pub fn signal(&self, signal: Signal) {
        if self.is_alive() {
            // Fails only when it has ended just now.
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }

    /// Wait until the process has ended; false when `timeout` passed first.
    pub fn wait_ended(&self, timeout: Duration) -> bool {
        let Ok(fd) = pidfd(self.pid) else { return !self.is_alive() };
        // Opened first, compared second: the descriptor cannot change its process any more.
        !self.is_alive() || wait_ended(fd.as_fd(), Some(timeout)).unwrap_or(false)
    }
}

/// A field of /proc/PID/stat, counted from 1 as proc_pid_stat(5) does, after the second, which is the command and may
/// itself hold spaces and parentheses.
fn stat_field(pid: i32, number: usize) -> io::Result<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let field = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(number - 3));
    field.map(str::to_owned).ok_or_else(|| io::Error::other("malformed /proc/PID/stat"))
}

/// Whether the process has new memory, and no environment in it yet: fields 23 and 51 of /proc/PID/stat. Zombies and the
/// kernel's own have no memory.
pub fn is_in_execve(pid: i32) -> bool {
    let is_zero = |number| stat_field(pid, number).map(|field| field == "0");
    is_zero(23).is_ok_and(|none| !none) && is_zero(51).is_ok_and(|none| none)
}

/// The ids of all processes.
///
/// # Errors
/// When /proc cannot be read.
pub fn all() -> io::Result<Vec<i32>> {
    let names = fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter_map(|name| name.parse().ok()).collect())
}

/// A descriptor that stays with the process and polls readable when it has ended: pidfd_open(2), which nix lacks.
///
/// # Errors
/// When there is no such process.
pub fn pidfd(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two integers and returns a new file descriptor or -1.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the kernel has just given us this file descriptor; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Wait until the process of `pidfd` has ended; false when `timeout` passed first. `None` waits for ever.
///
/// # Errors
/// When poll(2) fails.
pub fn wait_ended(pidfd: BorrowedFd<'_>, timeout: Option<Duration>) -> io::Result<bool> {
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let left = left.map_or(PollTimeout::NONE, |left| PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX));
        match poll(&mut [PollFd::new(pidfd, PollFlags::POLLIN)], left) {
            Err(nix::Error::EINTR) => {}
            Err(error) => return Err(error.into()),
            Ok(ready) => return Ok(ready > 0),
        }
    }
}

/// The status with which the process of `pidfd` has exited, once its parent has taken note of it; `None` when a signal
/// ended it, its parent does not take note in time, or the kernel does not tell: it does since Linux 6.15
/// (PIDFD_INFO_EXIT).
pub fn exit_status(pidfd: BorrowedFd<'_>, timeout: Duration) -> Option<i32> {
    /// linux/pidfd.h, `struct pidfd_info` as it was first published; libc lacks it.
    #[repr(C)]
    #[derive(Default)]
    struct PidfdInfo {
        mask: u64,
        cgroup_id: u64,
        ids: [u32; 11],
        exit_code: i32,
    }
    const PIDFD_INFO_EXIT: u64 = 1 << 3;
    nix::ioctl_readwrite!(pidfd_get_info, 0xff, 11, PidfdInfo);

    let deadline = Instant::now() + timeout;
    loop {
        let mut info = PidfdInfo { mask: PIDFD_INFO_EXIT, ..PidfdInfo::default() };
        // SAFETY: PIDFD_GET_INFO reads and writes a struct pidfd_info of the size that is part of its number.
        let told = unsafe { pidfd_get_info(pidfd.as_raw_fd(), &raw mut info) };
        match told {
            Ok(_) if info.mask & PIDFD_INFO_EXIT != 0 => {
                // As wait(2) has it.
                return libc::WIFEXITED(info.exit_code).then(|| libc::WEXITSTATUS(info.exit_code));
            }
            // A zombie has not been released yet.
            Ok(_) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
            _ => return None,
        }
    }
}

/// Give each of the processes that `find` names `grace` to end by itself, then kill it. Processes that they start in
/// the meantime are found too. Returns those that even SIGKILL did not end within `timeout`.
///
/// # Errors
/// When /proc cannot be read.
pub fn end_all(find: impl Fn() -> io::Result<Vec<i32>>, grace: Duration, timeout: Duration) -> io::Result<Vec<i32>> {
    let start = Instant::now();
    loop {
        let pids = find()?;
        let waited = start.elapsed();
        if pids.is_empty() || waited > grace + timeout {
            return Ok(pids);
        }
        for pid in pids {
            // Opened before the signal: it cannot become another process's while we wait.
            let Ok(fd) = pidfd(pid) else { continue };
            if waited >= grace {
                // Fails only when it has ended just now.
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            wait_ended(fd.as_fd(), Some(Duration::from_millis(100)))?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_alive_until_it_has_ended() -> Result<(), Box<dyn std::error::Error>> {
        let mut child = std::process::Command::new("sleep").arg("60").spawn()?;
        let pid = child.id().cast_signed();
        let process = Process::of(pid)?;
        assert!(process.is_alive());
        assert!(!Process { start_time: process.start_time + 1, ..process.clone() }.is_alive(), "another process");
        let running = || Ok(if process.is_alive() { vec![pid] } else { vec![] });
        assert_eq!(end_all(running, Duration::ZERO, Duration::from_secs(10))?, Vec::<i32>::new());
        assert!(!process.is_alive(), "a zombie does not count");
        child.wait()?;
        Ok(())
    }
}
