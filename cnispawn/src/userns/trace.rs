//! Stop a container before its first instruction, by ptrace(2).
//!
//! A container in a user namespace makes its network namespace itself, and executes its payload right after: nothing in
//! systemd-nspawn waits for a network that comes from outside. But the kernel stops a traced process right after its
//! execve(2), and the first execve(2) in the new network namespace is the payload's.

use std::io;
use std::path::PathBuf;
use std::thread;

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::host::netns;

/// Trace the process `pid` and all that it starts; call `ready` once that is so. When one of them executes a program in
/// another network namespace than `pid` was in, call `stopped` with its id while it does not run. Then let all go.
///
/// Returns `None` when all have ended before. Fails if the kernel forbids tracing, or `ready` fails.
pub(crate) fn at_payload<T: Send>(
    pid: i32,
    ready: impl FnOnce() -> io::Result<()> + Send,
    stopped: impl FnOnce(i32) -> T + Send,
) -> io::Result<Option<T>> {
    // The kernel lets go of all tracees, stopped or not, when the thread that traces them ends (ptrace(2)).
    thread::scope(|scope| {
        let tracer = scope.spawn(move || {
            let outside = network(Pid::from_raw(pid))?;
            let follow = Options::PTRACE_O_TRACEFORK | Options::PTRACE_O_TRACEVFORK | Options::PTRACE_O_TRACECLONE;
            ptrace::seize(Pid::from_raw(pid), follow | Options::PTRACE_O_TRACEEXEC)?;
            ready()?;
            let payload = wait_for_exec(outside)?;
            Ok(payload.map(|payload| stopped(payload.as_raw())))
        });
        tracer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn wait_for_exec(outside: (u64, u64)) -> io::Result<Option<Pid>> {
    loop {
        // __WALL: a tracee may be a thread.
        match waitpid(None, Some(WaitPidFlag::__WALL)) {
            Ok(WaitStatus::PtraceEvent(tracee, _, libc::PTRACE_EVENT_EXEC))
                if network(tracee).is_ok_and(|network| network != outside) =>
            {
                return Ok(Some(tracee));
            }
            Ok(WaitStatus::PtraceEvent(tracee, ..)) => resume(tracee, None)?,
            // A signal for the tracee, about to be delivered.
            Ok(WaitStatus::Stopped(tracee, signal)) => resume(tracee, Some(signal))?,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(Errno::ECHILD) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
}

fn resume(tracee: Pid, signal: Option<Signal>) -> io::Result<()> {
    match ptrace::cont(tracee, signal) {
        // Killed meanwhile.
        Err(Errno::ESRCH) => Ok(()),
        result => Ok(result?),
    }
}

fn network(pid: Pid) -> io::Result<(u64, u64)> {
    let path = PathBuf::from(format!("/proc/{pid}/ns/net"));
    netns::identity(&path).ok_or_else(|| io::Error::other(format!("cannot read {}", path.display())))
}
