//! `cnispawn release`: what the watcher does at a container's end, for a supervisor that knows how it ended.

use foundation::name::MachineName;

use crate::container::claim::{self, ClaimError};
use crate::container::reboot;
use crate::container::record::Record;
use crate::dirs::Dirs;

/// Park the network if `exit_status` asks for a restart, else undo it. Fails while the container runs.
pub(crate) fn run(dirs: &Dirs, name: &MachineName, exit_status: &str) -> Result<(), ClaimError> {
    if let Some(record) = Record::load(dirs, name)?.filter(|_| reboot::is_asked_for(exit_status.parse().ok()))
        && !record.process.is_alive()
        && (record.parked || reboot::park(dirs, &record)?)
    {
        return Ok(());
    }
    claim::undo_ended(dirs, name)
}
