//! DEL until nothing is left: what the reference plugins need to remove all that ADD has made.

use std::thread;
use std::time::Duration;

use foundation::error_chain;
use foundation::lock::{Lock, LockError};

use super::{locks, placeholder};
use crate::cni::chain::ChainError;
use crate::cni::{Attachment, Chain};
use crate::dirs::Dirs;
use crate::host::netns::{self, NetnsError};

/// How often DEL is tried.
const ATTEMPTS: u32 = 5;
/// The pause after the first failure; each later one is twice as long.
const PAUSE: Duration = Duration::from_millis(50);

/// Why an attachment is still there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DetachError {
    #[error(transparent)]
    Del(#[from] ChainError),
    #[error(transparent)]
    Netns(#[from] NetnsError),
    #[error(transparent)]
    Lock(#[from] LockError),
}

/// DEL of an attachment whose container has ended. The caller holds the network's lock, and removes the network
/// namespace, which there is afterwards in any case.
pub(crate) fn detach(dirs: &Dirs, chain: &Chain<'_>, attachment: &Attachment) -> Result<(), DetachError> {
    if !netns::exists(&attachment.netns) {
        // Gone by a reboot, or never made.
        netns::create(&attachment.netns)?;
    }
    let _lock = chains_lock(dirs, chain)?;
    for attempt in 1.. {
        let last = attempt == ATTEMPTS;
        // Not the last time: with a placeholder, the bridge plugin never succeeds once its rules are gone.
        if !last && placeholder::is_needed(chain.list) {
            put_placeholder(attachment, chain);
        }
        match chain.del(attachment) {
            Ok(()) => break,
            Err(error) if last => return Err(error.into()),
            Err(error) => tracing::debug!("DEL again after: {}", error_chain(&error)),
        }
        thread::sleep(PAUSE * 2_u32.pow(attempt - 1));
    }
    Ok(())
}

/// The lock that a DEL of this network needs, if any.
///
/// Debian 12's bridge plugin fails when another one, of whatever network, removes iptables chains at the same time
/// ("CHAIN_DEL failed (Device or resource busy)").
pub(crate) fn chains_lock(dirs: &Dirs, chain: &Chain<'_>) -> Result<Option<Lock>, LockError> {
    placeholder::is_needed(chain.list).then(|| locks::exclusive(&dirs.chains_lock())).transpose()
}

fn put_placeholder(attachment: &Attachment, chain: &Chain<'_>) {
    let Some(result) = chain.cached_result(attachment) else { return };
    if let Err(error) = placeholder::put(&attachment.netns, &attachment.if_name, &result) {
        tracing::warn!("{}; iptables rules may be left", error_chain(&error));
    }
}
