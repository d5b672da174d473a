//! Undo what ended containers have left behind: after a reboot, or when their watchers were killed.

use std::ffi::OsStr;
use std::path::Path;

use foundation::error_chain;
use foundation::files::{self, FileError};
use foundation::lock::{Lock, LockError, Mode};
use foundation::name::MachineName;

use crate::cni::chain::ChainError;
use crate::cni::{Attachment, Chain, Plugins};
use crate::container::detach::{self, DetachError};
use crate::container::heal::{self, HealError, LOCKED};
use crate::container::networks::{self, NetworksError};
use crate::container::record::Record;
use crate::dirs::Dirs;
use crate::host::netns;
use crate::host::{self, HostError};

/// Why something is left.
#[derive(Debug, thiserror::Error)]
pub enum GcError {
    /// One line for each container.
    #[error("{}", .0.join("\n"))]
    Left(Vec<String>),
    /// There is no such network.
    #[error(transparent)]
    Networks(#[from] NetworksError),
    /// A plugin is missing.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The network is in use.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The records could not be read.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Undo all ended containers, waiting for watchers that are at it, and tell the host again of the networks of those that
/// run: a firewall that was restarted has forgotten. Goes on past errors.
///
/// # Errors
/// When something is left; all that is, is listed.
pub fn run(dirs: &Dirs) -> Result<(), GcError> {
    let mut left = Vec::new();
    for record in Record::all(dirs)? {
        let collected = record.map_err(HealError::from).and_then(|record| collect(dirs, &record));
        left.extend(collected.err().map(|error| error_chain(&error)));
    }
    for lock in files::with_extensions(&dirs.run_containers(), &["lock"])? {
        let name = lock.file_stem().and_then(OsStr::to_str).and_then(|name| name.parse().ok());
        let cleared = name.map_or(Ok(()), |name| clear(dirs, &name));
        left.extend(cleared.err().map(|error| error_chain(&error)));
    }
    all(left)
}

/// The same, and then what `run` knows nothing of: attachments to a network whose network namespaces are gone get a
/// DEL, and then its plugins a GC with those that are valid (CNI specification, section 4, GC).
///
/// # Errors
/// When something is left; all that is, is listed.
pub fn network(name: &str, conf_dir: &Path, plugins: &Plugins, dirs: &Dirs) -> Result<(), GcError> {
    let list = networks::find(conf_dir, Some(name), dirs)?;
    let cache = dirs.cache();
    let chain = Chain { list: &list, plugins, cache: &cache };
    chain.check_programs()?;
    let mut left: Vec<_> = run(dirs).err().map(|error| error_chain(&error)).into_iter().collect();
    let _lock = Lock::take(&dirs.network_lock(&list.name), Mode::Exclusive, LOCKED)?;
    if list.disable_gc {
        return all(left);
    }
    let attachments = cache.attachments(&list.name)?;
    let (valid, stale): (Vec<_>, Vec<_>) = attachments.into_iter().partition(|a| netns::exists(&a.netns));
    for attachment in &stale {
        if let Err(error) = del_stale(dirs, &chain, attachment) {
            let Attachment { container_id, if_name, .. } = attachment;
            left.push(format!(
                "cannot delete the stale attachment {if_name} of {container_id}: {}",
                error_chain(&error)
            ));
        }
    }
    left.extend(chain.gc(&valid).err().map(|error| error_chain(&error)));
    all(left)
}

/// DEL of what somebody else has added, from a network namespace in place of its own.
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
/// was killed after it had removed it: nothing else is left of it.
fn clear(dirs: &Dirs, name: &MachineName) -> Result<(), HealError> {
    if Record::load(dirs, name)?.is_some() { Ok(()) } else { release_ended(dirs, name) }
}

fn collect(dirs: &Dirs, record: &Record) -> Result<(), HealError> {
    if record.process.is_alive() { readmit(dirs, record) } else { release_ended(dirs, &record.name) }
}

/// Undo what is recorded, and remove the container's files. A held lock is waited for even where there is no record: a
/// killed process holds it until the kernel is through with it.
fn release_ended(dirs: &Dirs, name: &MachineName) -> Result<(), HealError> {
    match heal::claim(dirs, name) {
        Ok(lock) => {
            Record::forget(dirs, name)?;
            Ok(heal::release(dirs, name, lock)?)
        }
        // Started anew in the meantime.
        Err(HealError::Running { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

fn readmit(dirs: &Dirs, record: &Record) -> Result<(), HealError> {
    let lists = record.lists().map_err(HostError::from)?;
    let attachments = record.attachments.iter().map(|recorded| &recorded.attachment);
    let _in_use = networks::hold(dirs, lists.iter().zip(attachments))?;
    // Ended and undone in the meantime, nobody would take back what the host is told now.
    let now = Record::load(dirs, &record.name)?.filter(|now| now.process.is_alive());
    now.map_or(Ok(()), |now| Ok(host::admit(dirs, &now)?))
}
