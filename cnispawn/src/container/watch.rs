//! The watcher: a process of its own that waits for a container's end, however it comes, and undoes its network.
//!
//! It holds a pidfd of the process that is cnispawn and then systemd-nspawn, and shares its lock, so that nobody takes
//! the container's name before the watcher is through.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use foundation::files::FileError;
use foundation::lock::Lock;
use foundation::name::MachineName;
use foundation::process::{self, pidfd, wait_ended};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::unistd::{close, dup2_stderr, dup2_stdout, setsid, write};

use crate::cli::WatchArgs;
use crate::container::heal::{self, HealError};
use crate::container::nspawn::Order;
use crate::container::record::Record;
use crate::container::restart;
use crate::dirs::Dirs;
use crate::userns::late::{self, LateError};

/// What the watcher prints when it is ready.
const READY: &str = "ready\n";

/// Signals that end a session, a terminal's job or a service: not before the network is undone.
const IGNORED: [Signal; 5] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGTSTP];

/// How long a supervisor may take to take note of the container's end.
const NOTED: Duration = Duration::from_secs(2);

/// Why there is no watcher, or why it gave up.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// It could not be started.
    #[error("cannot start the watcher")]
    Start(#[source] io::Error),
    /// It ended at once.
    #[error("the watcher ended before it was ready; see {}", log.display())]
    NotReady {
        /// Its log.
        log: PathBuf,
    },
    /// It cannot watch.
    #[error("cannot watch container {name}")]
    Watch {
        /// The container.
        name: MachineName,
        /// Why.
        source: io::Error,
    },
    /// The container was not attached.
    #[error(transparent)]
    Late(#[from] LateError),
    /// Something is left.
    #[error(transparent)]
    Heal(#[from] HealError),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Start the watcher of the calling process, and return when it watches.
///
/// # Errors
/// When it does not come up.
pub fn start(dirs: &Dirs, name: &MachineName, order: Order, lock: &Lock) -> Result<(), WatchError> {
    let stderr = match order {
        Order::NetworkFirst => Stdio::from(open_log(dirs, name)?),
        // It will have to say why it could not attach the container.
        Order::ContainerFirst => Stdio::inherit(),
    };
    let own = pidfd(std::process::id().cast_signed()).map_err(WatchError::Start)?;

    let mut watcher = Command::new("/proc/self/exe");
    watcher.arg("watch").arg(name.as_str());
    watcher.args(["--pidfd", &own.as_raw_fd().to_string(), "--lock", &lock.file().as_raw_fd().to_string()]);
    watcher.arg("--state-dir").arg(&dirs.state_dir).arg("--run-dir").arg(&dirs.run_dir);
    watcher.arg("--cache-dir").arg(&dirs.cache_dir);
    watcher.current_dir("/").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);

    let mut watcher =
        with_inherited([own.as_fd(), lock.file().as_fd()], || watcher.spawn()).map_err(WatchError::Start)?;
    let mut said = String::new();
    let stdout = watcher.stdout.take().map_or(Ok(0), |mut stdout| stdout.read_to_string(&mut said));
    stdout.map_err(WatchError::Start)?;
    if said == READY { Ok(()) } else { Err(WatchError::NotReady { log: dirs.watcher_log(name) }) }
}

fn open_log(dirs: &Dirs, name: &MachineName) -> Result<File, FileError> {
    let path = dirs.watcher_log(name);
    File::options().create(true).append(true).open(&path).map_err(FileError::of("open", &path))
}

/// Let a child inherit descriptors; this process is single-threaded and spawns no other meanwhile.
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

/// Watch: what the hidden verb does.
///
/// # Errors
/// When something is left, which `run` and `gc` will try again.
pub fn run(args: &WatchArgs, dirs: &Dirs) -> Result<(), WatchError> {
    let name = &args.name;
    let unwatched = |source| WatchError::Watch { name: name.clone(), source };
    let process = adopt(args.pidfd).map_err(unwatched)?;
    let lock = Lock::inherited(adopt(args.lock).map_err(unwatched)?, &dirs.container_lock(name));
    detach([args.pidfd, args.lock]).map_err(unwatched)?;
    match Record::load(dirs, name).map_err(HealError::from)? {
        Some(record) if record.order == Order::ContainerFirst => {
            late::attach(dirs, &record, report_ready)?;
            dup2_stderr(open_log(dirs, name)?).map_err(|error| unwatched(error.into()))?;
        }
        _ => report_ready().map_err(unwatched)?,
    }

    wait_ended(process.as_fd(), None).map_err(unwatched)?;
    let Some(record) = Record::load(dirs, name).map_err(HealError::from)? else {
        return Ok(heal::release(dirs, name, lock)?);
    };
    if restart::is_one(process::exit_status(process.as_fd(), NOTED)) && restart::park(dirs, &record)? {
        // Whoever starts it again needs the lock.
        drop(lock);
        return Ok(restart::wait(dirs, &record)?);
    }
    heal::undo(dirs, &record)?;
    Ok(heal::release(dirs, name, lock)?)
}

/// Take over an inherited descriptor; the plugins shall not.
fn adopt(fd: RawFd) -> io::Result<OwnedFd> {
    if fd <= 2 {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    // SAFETY: our parent left it open for us and put its number on our command line; nothing else uses it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(fd)
}

/// Leave the terminal, the signals and the descriptors of whoever started the container.
fn detach(kept: [RawFd; 2]) -> io::Result<()> {
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

fn report_ready() -> io::Result<()> {
    // Not by way of std's buffer, whose lock main holds: we may be another thread.
    write(io::stdout(), READY.as_bytes())?;
    dup2_stdout(File::options().write(true).open("/dev/null")?)?;
    Ok(())
}
