//! `cnispawn gc`: undo what ended containers have left behind, after a reboot, or when their watchers were killed.

use std::ffi::OsStr;
use std::path::Path;

use foundation::error_chain;
use foundation::files::{self, FileError};
use foundation::lock::{LockError, Mode};
use foundation::name::MachineName;

use crate::cni::chain::ChainError;
use crate::cni::conf::ConfError;
use crate::cni::{Attachment, Chain, Plugins};
use crate::container::claim::{self, ClaimError};
use crate::container::detach::{self, DetachError};
use crate::container::locks;
use crate::container::networks::{self, NetworksError};
use crate::container::record::{Record, RecordError};
use crate::container::shared::{self, SharedError};
use crate::dirs::Dirs;
use crate::host::netns;

/// Why something is left.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GcError {
    /// One line for each container.
    #[error("{}", .0.join("\n"))]
    Left(Vec<String>),
    #[error(transparent)]
    Networks(#[from] NetworksError),
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    File(#[from] FileError),
}

/// Why one container is not undone, or the host not told of its networks again.
#[derive(Debug, thiserror::Error)]
enum CollectError {
    #[error(transparent)]
    Claim(#[from] ClaimError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Conf(#[from] ConfError),
    #[error(transparent)]
    Shared(#[from] SharedError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    File(#[from] FileError),
}

/// Undo all ended containers, waiting for watchers that are at it, and tell the host again of the networks of those
/// that run: a firewall that was restarted has forgotten. Goes on past errors, and lists them all.
pub(crate) fn run(dirs: &Dirs) -> Result<(), GcError> {
    let mut left = Vec::new();
    for record in Record::all(dirs)? {
        let collected = record.map_err(CollectError::from).and_then(|record| collect(dirs, &record));
        left.extend(collected.err().map(|error| error_chain(&error)));
    }
    for lock in files::with_extensions(&dirs.run_containers(), &["lock"])? {
        let name = lock.file_stem().and_then(OsStr::to_str).and_then(|name| name.parse().ok());
        let cleared = name.map_or(Ok(()), |name| clear(dirs, &name));
        left.extend(cleared.err().map(|error| error_chain(&error)));
    }
    all(left)
}

/// [`run`], and then what it knows nothing of: attachments to a network whose network namespaces are gone get a DEL,
/// and then its plugins a GC with those that are valid (CNI specification, section 4, GC).
pub(crate) fn network(name: &str, conf_dir: &Path, plugins: &Plugins, dirs: &Dirs) -> Result<(), GcError> {
    let list = networks::find(conf_dir, Some(name), dirs)?;
    let cache = dirs.cache();
    let chain = Chain { list: &list, plugins, cache: &cache };
    chain.check_programs()?;
    let mut left: Vec<_> = run(dirs).err().map(|error| error_chain(&error)).into_iter().collect();
    let _lock = locks::network(dirs, &list.name, Mode::Exclusive)?;
    if list.disable_gc {
        return all(left);
    }
    let (valid, stale): (Vec<_>, Vec<_>) =
        cache.attachments(&list.name)?.into_iter().partition(|attachment| netns::exists(&attachment.netns));
    for attachment in &stale {
        if let Err(error) = del_stale(dirs, &chain, attachment) {
            let Attachment { container_id, if_name, .. } = attachment;
            let why = error_chain(&error);
            left.push(format!("cannot delete the stale attachment {if_name} of {container_id}: {why}"));
        }
    }
    left.extend(chain.gc(&valid).err().map(|error| error_chain(&error)));
    all(left)
}

/// DEL of a stale attachment, whichever program has added it, from a network namespace in place of its own.
fn del_stale(dirs: &Dirs, chain: &Chain<'_>, attachment: &Attachment) -> Result<(), DetachError> {
    let mut attachment = attachment.clone();
    if !netns::is_in_dir(&attachment.netns) {
        // Perhaps below /proc: nothing can be made there.
        attachment.netns = netns::path(&format!("cnispawn-gc-{}", std::process::id()));
    }
    let detached = detach::detach(dirs, chain, &attachment);
    netns::remove(&attachment.netns)?;
    detached
}

fn all(left: Vec<String>) -> Result<(), GcError> {
    if left.is_empty() { Ok(()) } else { Err(GcError::Left(left)) }
}

/// Remove the lock, and half a record, of a container that was killed before its record was written, or whose watcher
/// was killed after it had removed the record: nothing else is left of it.
fn clear(dirs: &Dirs, name: &MachineName) -> Result<(), CollectError> {
    if Record::load(dirs, name)?.is_some() { Ok(()) } else { undo_ended(dirs, name) }
}

fn collect(dirs: &Dirs, record: &Record) -> Result<(), CollectError> {
    if record.process.is_alive() { readmit(dirs, record) } else { undo_ended(dirs, &record.name) }
}

/// Undo what is recorded, and remove the container's files. A held lock is waited for even without a record: a killed
/// process holds it until the kernel is done with the process.
fn undo_ended(dirs: &Dirs, name: &MachineName) -> Result<(), CollectError> {
    match claim::claim(dirs, name) {
        Ok(lock) => {
            Record::forget(dirs, name)?;
            Ok(claim::release(dirs, name, lock)?)
        }
        // Started anew meanwhile.
        Err(ClaimError::Running { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Tell the host again of the networks of a container that runs.
fn readmit(dirs: &Dirs, record: &Record) -> Result<(), CollectError> {
    let lists = record.lists()?;
    let attachments = record.attachments.iter().map(|recorded| &recorded.attachment);
    let _held = locks::share(dirs, lists.iter().zip(attachments))?;
    // If it has ended and been undone meanwhile, nothing would undo what the host is told now.
    let now = Record::load(dirs, &record.name)?.filter(|now| now.process.is_alive());
    now.map_or(Ok(()), |now| Ok(shared::admit(dirs, &now)?))
}
