//! Kill a program at its N-th system call that changes something: by ptrace(2), so that every one of them can be tried.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;

/// How a traced program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was killed before this system call, the N-th that changes something.
    Killed {
        /// The call's name.
        call: &'static str,
    },
    /// It became another program after that many such calls; that one goes on, and is not traced any more.
    Became {
        /// The number of calls.
        calls: usize,
    },
    /// It ended by itself after that many such calls.
    Exited {
        /// The number of calls.
        calls: usize,
    },
}

/// Run `command`, and kill it before its `nth` system call (from 1) that changes files, mounts, namespaces, the network
/// or processes. All threads of the process are counted together; processes that it starts are not traced, and are not
/// killed. The command must be started from the thread that calls this.
///
/// # Panics
/// When the kernel refuses to trace.
pub fn kill_at(command: &mut Command, nth: usize) -> Ended {
    // SAFETY: one system call: async-signal-safe (signal-safety(7)).
    unsafe { command.pre_exec(|| Ok(ptrace::traceme()?)) };
    let pid = Pid::from_raw(command.spawn().expect("it runs").id().cast_signed());
    Traced { pid, program: exe(pid), threads: BTreeSet::from([pid]), calls: 0 }.run(nth)
}

struct Traced {
    pid: Pid,
    program: Option<std::path::PathBuf>,
    threads: BTreeSet<Pid>,
    calls: usize,
}

impl Traced {
    fn run(mut self, nth: usize) -> Ended {
        waitpid(self.pid, None).expect("it stops at its execve(2)");
        // EXITKILL: should the test fail, nothing traced is left.
        let options = Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_EXITKILL
            | Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_TRACECLONE;
        ptrace::setoptions(self.pid, options).expect("traced");
        self.program = exe(self.pid);
        self.go_on(self.pid, None);
        loop {
            match self.next() {
                WaitStatus::PtraceSyscall(thread) => {
                    if let Some(call) = changes(thread) {
                        self.calls += 1;
                        if self.calls == nth {
                            return self.killed(call);
                        }
                    }
                    self.go_on(thread, None);
                }
                WaitStatus::PtraceEvent(thread, _, libc::PTRACE_EVENT_EXEC) if exe(self.pid) != self.program => {
                    ptrace::detach(thread, None).expect("traced");
                    return Ended::Became { calls: self.calls };
                }
                WaitStatus::PtraceEvent(thread, ..) => self.go_on(thread, None),
                // A new thread begins with a SIGSTOP, which is not for it.
                WaitStatus::Stopped(thread, Signal::SIGSTOP) if self.threads.insert(thread) => {
                    self.go_on(thread, None);
                }
                WaitStatus::Stopped(thread, signal) => self.go_on(thread, Some(signal)),
                WaitStatus::Exited(thread, _) | WaitStatus::Signaled(thread, ..) if thread == self.pid => {
                    return Ended::Exited { calls: self.calls };
                }
                _ => {}
            }
        }
    }

    /// The next thing that happens to one of the threads.
    fn next(&self) -> WaitStatus {
        loop {
            // __WNOTHREAD: not what other tests' threads trace. Only for traced ones: others are the test's to reap.
            let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
            let peeked = waitid(Id::All, flags | WaitPidFlag::WEXITED | WaitPidFlag::WSTOPPED | WaitPidFlag::WNOWAIT);
            match peeked.map(|status| status.pid()) {
                Ok(Some(pid)) => match waitpid(pid, Some(flags)) {
                    Ok(status) => return status,
                    Err(Errno::EINTR) => {}
                    Err(error) => panic!("waitpid: {error}"),
                },
                Ok(None) | Err(Errno::EINTR) => {}
                Err(error) => panic!("waitid: {error}"),
            }
        }
    }

    fn go_on(&self, thread: Pid, signal: Option<Signal>) {
        // Fails only when the thread has ended just now.
        let _ = ptrace::syscall(thread, signal);
    }

    fn killed(&self, call: &'static str) -> Ended {
        kill(self.pid, Signal::SIGKILL).expect("it is stopped");
        // Its threads first: the kernel does not report the end of a process while a traced thread is a zombie.
        while !matches!(self.next(), WaitStatus::Signaled(thread, ..) | WaitStatus::Exited(thread, _) if thread == self.pid)
        {
        }
        Ended::Killed { call }
    }
}

fn exe(pid: Pid) -> Option<std::path::PathBuf> {
    fs::read_link(format!("/proc/{pid}/exe")).ok()
}

/// The name of the call that a thread is about to make, if that may change something that outlives the process. None at
/// a call's end, which stops the thread too.
fn changes(thread: Pid) -> Option<&'static str> {
    let info = ptrace::syscall_info(thread).ok().filter(|info| info.op == libc::PTRACE_SYSCALL_INFO_ENTRY)?;
    // SAFETY: `op` says that this member of the union is the one that the kernel has written.
    let entry = unsafe { info.u.entry };
    let number = libc::c_long::try_from(entry.nr).ok()?;
    let name = CALLS.iter().chain(OLD_CALLS).find(|(call, _)| *call == number).map(|(_, name)| *name)?;
    let [first, second, third, ..] = entry.args;
    let is_for_reading = |flags: u64| flags.cast_signed() & i64::from(libc::O_ACCMODE | libc::O_CREAT) == 0;
    match name {
        "open" if is_for_reading(second) => None,
        "openat" if is_for_reading(third) => None,
        // What is printed changes nothing.
        "write" if first == 1 || first == 2 => None,
        _ => Some(name),
    }
}

/// System calls that change files, mounts, namespaces, the network or processes, by number and name.
const CALLS: &[(libc::c_long, &str)] = &[
    (libc::SYS_openat, "openat"),
    (libc::SYS_write, "write"),
    (libc::SYS_pwrite64, "pwrite64"),
    (libc::SYS_writev, "writev"),
    (libc::SYS_ftruncate, "ftruncate"),
    (libc::SYS_fsync, "fsync"),
    (libc::SYS_fdatasync, "fdatasync"),
    (libc::SYS_syncfs, "syncfs"),
    (libc::SYS_mkdirat, "mkdirat"),
    (libc::SYS_unlinkat, "unlinkat"),
    (libc::SYS_renameat, "renameat"),
    (libc::SYS_renameat2, "renameat2"),
    (libc::SYS_linkat, "linkat"),
    (libc::SYS_symlinkat, "symlinkat"),
    (libc::SYS_fchmod, "fchmod"),
    (libc::SYS_fchmodat, "fchmodat"),
    (libc::SYS_fchown, "fchown"),
    (libc::SYS_fchownat, "fchownat"),
    (libc::SYS_flock, "flock"),
    (libc::SYS_ioctl, "ioctl"),
    (libc::SYS_copy_file_range, "copy_file_range"),
    (libc::SYS_sendfile, "sendfile"),
    (libc::SYS_mount, "mount"),
    (libc::SYS_umount2, "umount2"),
    (libc::SYS_move_mount, "move_mount"),
    (libc::SYS_open_tree, "open_tree"),
    (libc::SYS_fsmount, "fsmount"),
    (libc::SYS_mount_setattr, "mount_setattr"),
    (libc::SYS_pivot_root, "pivot_root"),
    (libc::SYS_unshare, "unshare"),
    (libc::SYS_setns, "setns"),
    (libc::SYS_clone, "clone"),
    (libc::SYS_clone3, "clone3"),
    (libc::SYS_execve, "execve"),
    (libc::SYS_wait4, "wait4"),
    (libc::SYS_waitid, "waitid"),
    (libc::SYS_kill, "kill"),
    (libc::SYS_tgkill, "tgkill"),
    (libc::SYS_pidfd_open, "pidfd_open"),
    (libc::SYS_pidfd_send_signal, "pidfd_send_signal"),
    (libc::SYS_prctl, "prctl"),
    (libc::SYS_ptrace, "ptrace"),
    (libc::SYS_setsid, "setsid"),
    (libc::SYS_socket, "socket"),
    (libc::SYS_bind, "bind"),
    (libc::SYS_connect, "connect"),
    (libc::SYS_listen, "listen"),
    (libc::SYS_sendto, "sendto"),
    (libc::SYS_sendmsg, "sendmsg"),
    (libc::SYS_close, "close"),
    (libc::SYS_exit_group, "exit_group"),
];

/// Those that newer architectures do not have.
#[cfg(target_arch = "x86_64")]
const OLD_CALLS: &[(libc::c_long, &str)] = &[
    (libc::SYS_open, "open"),
    (libc::SYS_mkdir, "mkdir"),
    (libc::SYS_rmdir, "rmdir"),
    (libc::SYS_unlink, "unlink"),
    (libc::SYS_rename, "rename"),
    (libc::SYS_link, "link"),
    (libc::SYS_symlink, "symlink"),
    (libc::SYS_chmod, "chmod"),
    (libc::SYS_chown, "chown"),
    (libc::SYS_vfork, "vfork"),
    (libc::SYS_fork, "fork"),
];
#[cfg(not(target_arch = "x86_64"))]
const OLD_CALLS: &[(libc::c_long, &str)] = &[];
