//! DEL, until nothing is left: what the reference plugins need so that it takes all that ADD has made.

use std::thread;
use std::time::Duration;

use foundation::lock::{Lock, LockError, Mode};

use crate::cni::chain::ChainError;
use crate::cni::{Attachment, Chain};
use crate::container::heal::LOCKED;
use crate::container::standin;
use crate::dirs::Dirs;
use crate::host::netns::{self, NetnsError};

/// How often DEL is tried.
const ATTEMPTS: u32 = 5;
/// The pause after the first time; each later one is twice as long.
const PAUSE: Duration = Duration::from_millis(50);

/// Why an attachment is still there.
#[derive(Debug, thiserror::Error)]
pub enum DetachError {
    /// DEL failed, several times.
    #[error(transparent)]
    Del(#[from] ChainError),
    /// There is no namespace to DEL from, and none could be made.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// The lock was not given back.
    #[error(transparent)]
    Lock(#[from] LockError),
}

/// DEL of an attachment whose container has ended. The caller holds the network's lock, and removes the network
/// namespace, which is there afterwards in any case.
///
/// # Errors
/// When plugins fail again and again.
pub fn detach(dirs: &Dirs, chain: &Chain<'_>, attachment: &Attachment) -> Result<(), DetachError> {
    if !netns::exists(&attachment.netns) {
        // Gone by a reboot, or never made.
        netns::create(&attachment.netns)?;
    }
    let _lock = chains_lock(dirs, chain)?;
    for attempt in 1.. {
        let last = attempt == ATTEMPTS;
        // Not the last time: with a stand-in, the bridge plugin fails for ever when its rules are gone already.
        if !last && standin::is_needed(chain.list) {
            put_standin(attachment, chain);
        }
        match chain.del(attachment) {
            Ok(()) => break,
            Err(error) if last => return Err(error.into()),
            Err(error) => tracing::debug!("DEL again after: {}", foundation::error_chain(&error)),
        }
        thread::sleep(PAUSE * 2_u32.pow(attempt - 1));
    }
    Ok(())
}

/// The lock that a DEL of this network needs, if any.
///
/// Debian 12's bridge plugin fails when it removes iptables chains at the same time as another, of whatever network
/// ("CHAIN_DEL failed (Device or resource busy)"): one at a time.
///
/// # Errors
/// When it is not given back in time.
pub fn chains_lock(dirs: &Dirs, chain: &Chain<'_>) -> Result<Option<Lock>, LockError> {
    let needed = standin::is_needed(chain.list);
    needed.then(|| Lock::take(&dirs.chains_lock(), Mode::Exclusive, LOCKED)).transpose()
}

fn put_standin(attachment: &Attachment, chain: &Chain<'_>) {
    let Some(result) = chain.cached_result(attachment) else { return };
    if let Err(error) = standin::put(&attachment.netns, &attachment.if_name, &result) {
        tracing::warn!("{}; iptables rules may be left", foundation::error_chain(&error));
    }
}
