//! The watcher's process: it outlives the cnispawn that starts it, waits for the container's end, however it comes, and
//! undoes the network.
//!
//! It holds a pidfd of the process that is cnispawn and then systemd-nspawn, and shares its lock, so that the
//! container's name is taken until the watcher is done.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use foundation::files::FileError;
use foundation::lock::Lock;
use foundation::name::MachineName;
use foundation::process::pidfd;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::unistd::{close, dup2_stderr, dup2_stdout, setsid, write};

use super::nspawn::Order;
use crate::dirs::Dirs;

/// What the watcher prints when it is ready.
const READY: &str = "ready\n";

/// Signals that end a session, a terminal's job or a service: not before the network is undone.
const IGNORED: [Signal; 5] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGTSTP];

/// Why there is no watcher.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WatcherError {
    #[error("cannot start the watcher")]
    Start(#[source] io::Error),
    #[error("the watcher ended before it was ready; see {}", log.display())]
    NotReady { log: PathBuf },
    #[error(transparent)]
    File(#[from] FileError),
}

/// Start the watcher of the calling process, and return when it watches.
pub(crate) fn start(dirs: &Dirs, name: &MachineName, order: Order, lock: &Lock) -> Result<(), WatcherError> {
    let stderr = match order {
        Order::NetworkFirst => Stdio::from(open_log(dirs, name)?),
        // It will have to say why it could not attach the container.
        Order::ContainerFirst => Stdio::inherit(),
    };
    let own = pidfd(std::process::id().cast_signed()).map_err(WatcherError::Start)?;

    let mut watcher = Command::new("/proc/self/exe");
    watcher.arg("watch").arg(name.as_str());
    watcher.args(["--pidfd", &own.as_raw_fd().to_string(), "--lock", &lock.file().as_raw_fd().to_string()]);
    watcher.arg("--state-dir").arg(&dirs.state_dir).arg("--run-dir").arg(&dirs.run_dir);
    watcher.arg("--cache-dir").arg(&dirs.cache_dir);
    watcher.current_dir("/").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);

    let spawned = with_inherited([own.as_fd(), lock.file().as_fd()], || watcher.spawn());
    let mut watcher = spawned.map_err(WatcherError::Start)?;
    let mut said = String::new();
    let stdout = watcher.stdout.take().map_or(Ok(0), |mut stdout| stdout.read_to_string(&mut said));
    stdout.map_err(WatcherError::Start)?;
    if said == READY { Ok(()) } else { Err(WatcherError::NotReady { log: dirs.watcher_log(name) }) }
}

fn open_log(dirs: &Dirs, name: &MachineName) -> Result<File, FileError> {
    let path = dirs.watcher_log(name);
    File::options().create(true).append(true).open(&path).map_err(FileError::of("open", &path))
}

/// Let a child inherit descriptors. This process is single-threaded and spawns no other meanwhile.
fn with_inherited<T, const N: usize>(fds: [BorrowedFd<'_>; N], spawn: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    for fd in fds {
        fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty()))?;
    }
    let spawned = spawn();
    for fd in fds {
        fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    }
    spawned
}

/// In the watcher: adopt an inherited descriptor and set close-on-exec, so that plugins do not get it.
pub(crate) fn adopt(fd: RawFd) -> io::Result<OwnedFd> {
    if fd <= 2 {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    // SAFETY: our parent left it open for us and put its number on our command line; nothing else uses it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(fd)
}

/// In the watcher: leave the terminal, the signals and the other descriptors of the process that started the container.
pub(crate) fn leave_session(kept: [RawFd; 2]) -> io::Result<()> {
    setsid()?;
    for ignored in IGNORED {
        // SAFETY: no handler of ours is replaced, and SIG_IGN runs no code.
        unsafe { signal(ignored, SigHandler::SigIgn) }?;
    }
    let inherited = fs::read_dir("/proc/self/fd")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let inherited: Vec<RawFd> = inherited.collect();
    for fd in inherited.into_iter().filter(|fd| *fd > 2 && !kept.contains(fd)) {
        // Sockets of LISTEN_FDS and the like. The directory's own descriptor is closed already.
        let _ = close(fd);
    }
    Ok(())
}

/// In the watcher: let the process that waits in [`start`] go on.
pub(crate) fn report_ready() -> io::Result<()> {
    // Not through std's buffer, whose lock the main thread holds: this may be another thread.
    write(io::stdout(), READY.as_bytes())?;
    dup2_stdout(File::options().write(true).open("/dev/null")?)?;
    Ok(())
}

/// In the watcher: write to its log from now on, no longer to the standard error that it has inherited.
pub(crate) fn log_to_file(dirs: &Dirs, name: &MachineName) -> io::Result<()> {
    Ok(dup2_stderr(open_log(dirs, name).map_err(io::Error::other)?)?)
}
