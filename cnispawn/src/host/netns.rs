//! Create a network namespace, keep it alive at a path as ip-netns(8) does, enter it, and remove it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;

use foundation::files;
use foundation::process;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::statfs::{NSFS_MAGIC, statfs};

use crate::host::link;

/// Where ip-netns(8) keeps network namespaces, so that `ip netns` shows ours, too.
const DIR: &str = "/run/netns";

/// A network namespace could not be made, entered or removed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} network namespace {}", path.display())]
pub(crate) struct NetnsError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl NetnsError {
    fn of<E: Into<io::Error>>(action: &'static str, path: &Path) -> impl FnOnce(E) -> Self {
        let path = path.to_owned();
        move |source| NetnsError { action, path, source: source.into() }
    }
}

/// The path of the network namespace of a container.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(DIR).join(name)
}

/// Whether `path` is in the directory of ip-netns(8).
pub(crate) fn is_in_dir(path: &Path) -> bool {
    // /var/run may be a link to /run, or the other way round.
    let parent = path.parent().and_then(|parent| parent.canonicalize().ok());
    parent.is_some_and(|parent| Path::new(DIR).canonicalize().is_ok_and(|dir| dir == parent))
}

/// Whether a network namespace is mounted at `path`. A reboot may leave an empty file there.
pub(crate) fn exists(path: &Path) -> bool {
    statfs(path).is_ok_and(|stat| stat.filesystem_type() == NSFS_MAGIC)
}

/// Create a network namespace at `path`, with its loopback up.
pub(crate) fn create(path: &Path) -> Result<(), NetnsError> {
    let made = share_dir().and_then(|()| File::create(path).map(drop)).and_then(|()| {
        // A thread of its own enters the new namespace; ours stays where it is.
        let target = path.to_owned();
        in_thread(move || {
            unshare(CloneFlags::CLONE_NEWNET)?;
            link::set_up("lo")?;
            mount(Some("/proc/thread-self/ns/net"), &target, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
            Ok(())
        })
    });
    made.map_err(|error| {
        let _ = remove(path);
        NetnsError::of("create", path)(error)
    })
}

/// Keep the network namespace of a process alive at `path`.
pub(crate) fn keep(pid: i32, path: &Path) -> Result<(), NetnsError> {
    let kept = share_dir().and_then(|()| File::create(path).map(drop)).and_then(|()| {
        let own = format!("/proc/{pid}/ns/net");
        Ok(mount(Some(own.as_str()), path, None::<&str>, MsFlags::MS_BIND, None::<&str>)?)
    });
    kept.map_err(|error| {
        let _ = remove(path);
        NetnsError::of("keep", path)(error)
    })
}

/// Make the directory a shared mount point, as ip-netns(8) does, so that mounts and unmounts below it reach mount
/// namespaces that are made meanwhile.
fn share_dir() -> io::Result<()> {
    fs::create_dir_all(DIR)?;
    let share = || mount(None::<&str>, DIR, None::<&str>, MsFlags::MS_SHARED | MsFlags::MS_REC, None::<&str>);
    match share() {
        // Not a mount point yet.
        Err(nix::Error::EINVAL) => {
            mount(Some(DIR), DIR, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)?;
            Ok(share()?)
        }
        result => Ok(result?),
    }
}

/// Unmount and remove a network namespace. Can be repeated.
pub(crate) fn remove(path: &Path) -> Result<(), NetnsError> {
    while exists(path) {
        umount2(path, MntFlags::MNT_DETACH).map_err(NetnsError::of("unmount", path))?;
    }
    files::remove_if_exists(path).map_err(|error| NetnsError::of("remove", path)(io::Error::other(error)))
}

/// Run `work` in the network namespace at `path`.
pub(crate) fn within<T: Send>(path: &Path, work: impl FnOnce() -> io::Result<T> + Send) -> Result<T, NetnsError> {
    let entered = File::open(path).and_then(|netns| {
        in_thread(move || {
            setns(netns, CloneFlags::CLONE_NEWNET)?;
            work()
        })
    });
    entered.map_err(NetnsError::of("enter", path))
}

/// Whether the network namespace at `path` has an interface of this name. The calling thread enters it and returns: a
/// thread of its own would take four times as long, for each ADD. If it cannot return, the thread must end.
pub(crate) fn has_interface(path: &Path, if_name: &str) -> Result<bool, NetnsError> {
    let looked = File::open("/proc/thread-self/ns/net").and_then(|own| {
        setns(File::open(path)?, CloneFlags::CLONE_NEWNET)?;
        let found = if_nametoindex(if_name).is_ok();
        setns(own, CloneFlags::CLONE_NEWNET)?;
        Ok(found)
    });
    looked.map_err(NetnsError::of("enter", path))
}

/// The processes in the network namespace at `path`.
pub(crate) fn processes(path: &Path) -> io::Result<Vec<i32>> {
    let Some(netns) = identity(path).filter(|_| exists(path)) else { return Ok(Vec::new()) };
    let mut pids = process::all()?;
    // A zombie has no namespaces; its link cannot be followed.
    pids.retain(|pid| identity(Path::new(&format!("/proc/{pid}/ns/net"))) == Some(netns));
    Ok(pids)
}

/// What identifies a namespace: the device and inode number of its file (namespaces(7)).
pub(crate) fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

fn in_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| scope.spawn(work).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
}
