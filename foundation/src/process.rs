//! Name a process such that the name outlives it, wait for its end, and end it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use procfs::ProcResult;
use procfs::process::{Process as Proc, Stat};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
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
    /// /proc is not mounted, or hides processes.
    pub fn current() -> io::Result<Self> {
        Self::of(std::process::id().cast_signed())
    }

    /// The process that has this id now.
    ///
    /// # Errors
    /// No process has this id.
    pub fn of(pid: i32) -> io::Result<Self> {
        let boot_id = procfs::sys::kernel::random::boot_id().map_err(io_error)?.trim().to_owned();
        Ok(Process { pid, start_time: stat(pid).map_err(io_error)?.starttime, boot_id })
    }

    /// Whether this very process still runs (a zombie does not).
    pub fn is_alive(&self) -> bool {
        Self::of(self.pid).is_ok_and(|now| now == *self) && stat(self.pid).is_ok_and(|stat| stat.state != 'Z')
    }

    /// Send a signal, unless the process has ended.
    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        let (Ok(fd), Some(signal)) = (pidfd(self.pid), Signal::from_named_raw(signal as i32)) else { return };
        // Opened first, compared second: the descriptor cannot change its process any more.
        if self.is_alive() {
            // Fails only when it has ended just now.
            let _ = pidfd_send_signal(&fd, signal);
        }
    }

    /// Wait until the process has ended; false when `timeout` passed first.
    pub fn wait_ended(&self, timeout: Duration) -> bool {
        let Ok(fd) = pidfd(self.pid) else { return !self.is_alive() };
        // As in `signal`: opened first, compared second.
        !self.is_alive() || wait_ended(fd.as_fd(), Some(timeout)).unwrap_or(false)
    }
}

fn stat(pid: i32) -> ProcResult<Stat> {
    Proc::new(pid)?.stat()
}

fn io_error(error: procfs::ProcError) -> io::Error {
    match error {
        procfs::ProcError::Io(error, _) => error,
        procfs::ProcError::NotFound(_) => io::ErrorKind::NotFound.into(),
        procfs::ProcError::PermissionDenied(_) => io::ErrorKind::PermissionDenied.into(),
        error => io::Error::other(error),
    }
}

/// Whether the process is in the middle of execve(2): it has new memory, and no program in it yet. Its environment cannot
/// be read then. Zombies and the kernel's own threads have no memory.
pub fn is_in_execve(pid: i32) -> bool {
    // The kernel sets the end of the code last (load_elf_binary in fs/binfmt_elf.c), after it has filled the environment.
    stat(pid).is_ok_and(|stat| stat.vsize > 0 && stat.endcode == 0)
}

/// The ids of all processes.
///
/// # Errors
/// /proc is not mounted.
pub fn all() -> io::Result<Vec<i32>> {
    Ok(procfs::process::all_processes().map_err(io_error)?.filter_map(|process| Some(process.ok()?.pid)).collect())
}

/// A descriptor that stays with the process and polls readable when it has ended: pidfd_open(2).
///
/// # Errors
/// There is no such process.
pub fn pidfd(pid: i32) -> io::Result<OwnedFd> {
    let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// Wait until the process of `pidfd` has ended; false when `timeout` passed first. `None` waits for ever.
pub fn wait_ended(pidfd: BorrowedFd<'_>, timeout: Option<Duration>) -> io::Result<bool> {
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let left = left.map(Timespec::try_from).transpose().map_err(io::Error::other)?;
        match poll(&mut [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)], left.as_ref()) {
            Err(rustix::io::Errno::INTR) => {}
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
/// the meantime are found too. Returns those that SIGKILL did not end within `timeout` either.
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
                let _ = pidfd_send_signal(&fd, Signal::KILL);
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
