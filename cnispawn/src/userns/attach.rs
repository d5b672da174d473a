//! Attach a container that made its network namespace itself, before its payload runs.

use std::io;
use std::time::Duration;

use foundation::error_chain;
use foundation::files::{self, FileError};
use foundation::lock::LockError;
use foundation::process::{Process, end_all};

use super::trace;
use crate::cni::chain::ChainError;
use crate::cni::conf::ConfError;
use crate::cni::dns;
use crate::container::locks;
use crate::container::record::Record;
use crate::dirs::Dirs;
use crate::host::netns::{self, NetnsError};

/// How long the processes of a container that could not be attached may take to be gone.
const KILLED: Duration = Duration::from_secs(20);

/// Why a container has no network.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttachError {
    #[error("cannot hold the container until it has its network; a container in a user namespace needs ptrace(2)")]
    Trace(#[source] io::Error),
    #[error("cannot end the container")]
    End(#[source] io::Error),
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Netns(#[from] NetnsError),
    #[error(transparent)]
    Conf(#[from] ConfError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    File(#[from] FileError),
}

/// Attach the container of `record`, whose systemd-nspawn is about to be executed; call `ready` when it may be. A
/// container that cannot be attached is ended, and the user is told why; that is no error.
pub(crate) fn attach(
    dirs: &Dirs,
    record: &Record,
    ready: impl FnOnce() -> io::Result<()> + Send,
) -> Result<(), AttachError> {
    let attached = trace::at_payload(record.process.pid, ready, |payload| {
        let added = add(dirs, record, payload);
        if let Err(error) = &added {
            // cnispawn is systemd-nspawn by now: only the watcher can say so.
            eprintln!("cnispawn: {}", error_chain(error));
            end(record, payload)?;
        }
        Ok(())
    });
    attached.map_err(AttachError::Trace)?.unwrap_or(Ok(()))
}

fn add(dirs: &Dirs, record: &Record, payload: i32) -> Result<(), AttachError> {
    netns::keep(payload, &record.netns)?;
    let lists = record.lists()?;
    let attachments = record.attachments.iter().map(|recorded| &recorded.attachment);
    let _held = locks::share(dirs, lists.iter().zip(attachments))?;
    let results = record.add(dirs)?;
    let path = dirs.resolv_conf(&record.name);
    // If there is such a file, systemd-nspawn has mounted it already; if not, the container does not want it.
    if let Some(text) = dns::resolv_conf(&results).filter(|_| path.exists()) {
        files::write_for_all(&path, text.as_bytes())?;
    }
    Ok(())
}

fn end(record: &Record, payload: i32) -> Result<(), AttachError> {
    let inside = || {
        if netns::exists(&record.netns) {
            return netns::processes(&record.netns);
        }
        // Its namespace could not be kept. A zombie, which only its tracer can reap, is not alive.
        Ok(Process::of(payload).ok().filter(Process::is_alive).map(|process| process.pid).into_iter().collect())
    };
    end_all(inside, Duration::ZERO, KILLED).map(drop).map_err(AttachError::End)
}
