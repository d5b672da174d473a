//! A container that reboots keeps its network: systemd-nspawn ends, and is to be started again.

use std::thread;
use std::time::{Duration, Instant};

use foundation::name::MachineName;

use crate::container::heal::{self, HealError};
use crate::container::nspawn::Order;
use crate::container::record::Record;
use crate::dirs::Dirs;

/// systemd-nspawn's exit status for "start me again" (systemd-nspawn(1), `--keep-unit`; `EXIT_FORCE_RESTART`).
const RESTART: i32 = 133;

/// How long the network of a container waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether an exit status asks for a restart.
pub fn is_one(status: Option<i32>) -> bool {
    status == Some(RESTART)
}

/// Put down that the network is to wait for its container; false when it cannot, since it is the container's own.
///
/// # Errors
/// When the record cannot be written.
pub fn park(dirs: &Dirs, record: &Record) -> Result<bool, HealError> {
    if record.order == Order::ContainerFirst {
        return Ok(false);
    }
    Record { parked: true, ..record.clone() }.write(dirs)?;
    Ok(true)
}

/// Wait until somebody takes a parked network over or undoes it; undo it when nobody does.
///
/// # Errors
/// When something is left.
pub fn wait(dirs: &Dirs, record: &Record) -> Result<(), HealError> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let now = Record::load(dirs, &record.name)?;
        if now.is_none_or(|now| now.process != record.process) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(100));
    }
    undo_ended(dirs, &record.name)
}

/// `cnispawn release`: what the watcher does at a container's end, for a supervisor that knows how it ended.
///
/// # Errors
/// When the container runs, or something is left.
pub fn release(dirs: &Dirs, name: &MachineName, exit_status: &str) -> Result<(), HealError> {
    if let Some(record) = Record::load(dirs, name)?.filter(|_| is_one(exit_status.parse().ok()))
        && !record.process.is_alive()
        && (record.parked || park(dirs, &record)?)
    {
        return Ok(());
    }
    undo_ended(dirs, name)
}

fn undo_ended(dirs: &Dirs, name: &MachineName) -> Result<(), HealError> {
    let lock = heal::claim(dirs, name)?;
    Ok(heal::release(dirs, name, lock)?)
}
