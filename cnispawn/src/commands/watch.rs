//! `cnispawn watch`: wait for a container's end and undo its network. `cnispawn run` starts it, hidden from users.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use foundation::files::FileError;
use foundation::lock::Lock;
use foundation::name::MachineName;
use foundation::process::{exit_status, wait_ended};

use crate::cli::WatchArgs;
use crate::container::claim::{self, ClaimError};
use crate::container::nspawn::Order;
use crate::container::record::{Record, RecordError};
use crate::container::undo::{self, UndoError};
use crate::container::{reboot, watcher};
use crate::dirs::Dirs;
use crate::userns::attach::{self, AttachError};

/// How long the container's supervisor may take to reap it.
const REAPED: Duration = Duration::from_secs(2);

/// Why the watcher gave up. What is left, `run` and `gc` undo.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WatchError {
    #[error("cannot watch container {name}")]
    Watch { name: MachineName, source: io::Error },
    #[error(transparent)]
    Attach(#[from] AttachError),
    #[error(transparent)]
    Undo(#[from] UndoError),
    #[error(transparent)]
    Claim(#[from] ClaimError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    File(#[from] FileError),
}

pub(crate) fn run(args: &WatchArgs, dirs: &Dirs) -> Result<(), WatchError> {
    let name = &args.name;
    let unwatched = |source| WatchError::Watch { name: name.clone(), source };
    let process = watcher::adopt(args.pidfd).map_err(unwatched)?;
    let lock = Lock::inherited(watcher::adopt(args.lock).map_err(unwatched)?, &dirs.container_lock(name));
    watcher::leave_session([args.pidfd, args.lock]).map_err(unwatched)?;
    match Record::load(dirs, name)? {
        Some(record) if record.order == Order::ContainerFirst => {
            attach::attach(dirs, &record, watcher::report_ready)?;
            watcher::log_to_file(dirs, name).map_err(unwatched)?;
        }
        _ => watcher::report_ready().map_err(unwatched)?,
    }

    wait_ended(process.as_fd(), None).map_err(unwatched)?;
    let Some(record) = Record::load(dirs, name)? else {
        return Ok(claim::release(dirs, name, lock)?);
    };
    if reboot::is_asked_for(exit_status(process.as_fd(), REAPED)) && reboot::park(dirs, &record)? {
        // The next `run` of this name needs the lock.
        drop(lock);
        return Ok(reboot::wait(dirs, &record)?);
    }
    undo::undo(dirs, &record)?;
    Ok(claim::release(dirs, name, lock)?)
}
