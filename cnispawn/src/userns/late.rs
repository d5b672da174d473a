//! Attach a container that made its network namespace itself, between its making and its payload.

use std::io;
use std::time::Duration;

use foundation::files::{self, FileError};
use foundation::lock::LockError;
use foundation::process::{Process, end_all};

use crate::cni::chain::ChainError;
use crate::cni::conf::ConfError;
use crate::cni::dns;
use crate::container::networks;
use crate::container::record::Record;
use crate::dirs::Dirs;
use crate::host::netns::{self, NetnsError};
use crate::userns::hold;

/// How long the container's processes may take to be gone when it could not be attached.
const KILLED: Duration = Duration::from_secs(20);

/// Why a container has no network.
#[derive(Debug, thiserror::Error)]
pub enum LateError {
    /// It cannot be held.
    #[error("cannot hold the container until it has its network; a container in a user namespace needs ptrace(2)")]
    Hold(#[source] io::Error),
    /// Its processes are not known.
    #[error("cannot end the container")]
    End(#[source] io::Error),
    /// A plugin failed.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// Its network namespace could not be kept.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// What was recorded is no configuration.
    #[error(transparent)]
    Conf(#[from] ConfError),
    /// A lock was not given back.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Attach the container of `record`, whose systemd-nspawn is about to be executed; call `ready` when it may be. A
/// container that cannot be attached is ended, and the user is told why.
///
/// # Errors
/// When it cannot be held, or not be ended.
pub fn attach(dirs: &Dirs, record: &Record, ready: impl FnOnce() -> io::Result<()> + Send) -> Result<(), LateError> {
    let attached = hold::at_payload(record.process.pid, ready, |payload| {
        let added = add(dirs, record, payload);
        if let Err(error) = &added {
            // cnispawn is systemd-nspawn by now: nobody but us can say so.
            eprintln!("cnispawn: {}", foundation::error_chain(error));
            end(record, payload)?;
        }
        Ok(())
    });
    attached.map_err(LateError::Hold)?.unwrap_or(Ok(()))
}

fn add(dirs: &Dirs, record: &Record, payload: i32) -> Result<(), LateError> {
    netns::keep(payload, &record.netns)?;
    let lists = record.lists()?;
    let attachments = record.attachments.iter().map(|recorded| &recorded.attachment);
    let _in_use = networks::hold(dirs, lists.iter().zip(attachments))?;
    let results = record.add(dirs)?;
    let path = dirs.resolv_conf(&record.name);
    // Mounted already: one that is not there is not wanted.
    if let Some(text) = dns::resolv_conf(&results).filter(|_| path.exists()) {
        files::write_for_all(&path, text.as_bytes())?;
    }
    Ok(())
}

fn end(record: &Record, payload: i32) -> Result<(), LateError> {
    let inside = || {
        if netns::exists(&record.netns) {
            return netns::processes(&record.netns);
        }
        // Its namespace could not be kept. A zombie, which only we can reap, is not alive.
        Ok(Process::of(payload).ok().filter(Process::is_alive).map(|process| process.pid).into_iter().collect())
    };
    end_all(inside, Duration::ZERO, KILLED).map(drop).map_err(LateError::End)
}
