//! Keep the network of a container that reboots: systemd-nspawn ends, and is to be started again.

use std::thread;
use std::time::{Duration, Instant};

use foundation::files::FileError;

use super::claim::{self, ClaimError};
use super::nspawn::Order;
use super::plan::Plan;
use super::record::Record;
use crate::cni::Chain;
use crate::cni::chain::ChainError;
use crate::dirs::Dirs;
use crate::host::{link, netns};

/// systemd-nspawn's exit status for "start me again" (systemd-nspawn(1), `--keep-unit`; `EXIT_FORCE_RESTART`).
const RESTART: i32 = 133;

/// How long the network of a container waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether an exit status asks for a restart.
pub(crate) fn is_asked_for(status: Option<i32>) -> bool {
    status == Some(RESTART)
}

/// Record that the network waits for its container; false when it cannot, because the namespace is the container's own
/// and ends with it.
pub(crate) fn park(dirs: &Dirs, record: &Record) -> Result<bool, FileError> {
    if record.order == Order::ContainerFirst {
        return Ok(false);
    }
    Record { parked: true, ..record.clone() }.write(dirs)?;
    Ok(true)
}

/// Wait until a `run` takes the parked network over, or another command undoes it; after a minute, undo it here.
pub(crate) fn wait(dirs: &Dirs, record: &Record) -> Result<(), ClaimError> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let now = Record::load(dirs, &record.name)?;
        if now.is_none_or(|now| now.process != record.process) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(100));
    }
    claim::undo_ended(dirs, &record.name)
}

/// Whether the planned container can take over the recorded network: it has the same attachments, and their plugins
/// find nothing amiss.
pub(crate) fn fits(plan: &Plan, record: &Record, dirs: &Dirs) -> bool {
    let planned = plan.attachments().map(|(list, attachment)| (list.inlined(), attachment));
    let recorded = record.attachments.iter().map(|recorded| (recorded.conf.clone(), &recorded.attachment));
    let cache = dirs.cache_at(&record.cache_dir);
    let is_intact = |(list, attachment)| {
        let chain = Chain { list, plugins: &plan.plugins, cache: &cache };
        match chain.check_with_macs(attachment, link::mac) {
            Err(ChainError::NoCheck { .. }) => true,
            result => result.is_ok(),
        }
    };
    netns::exists(&plan.netns) && planned.eq(recorded) && plan.attachments().all(is_intact)
}
