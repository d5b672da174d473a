//! Tell the host's other programs of a network's bridges, which they would cut off, or open to others: NetworkManager
//! and firewalls.
//!
//! All of it is by bridge, so that containers of other state directories are not touched.

use std::io;

use super::bridge::Bridge;
use super::steps::{concurrently, retry};
use super::{firewalld, forward, isolation, network_manager};

/// Why the host was not told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdmissionError {
    /// The name means something else to NetworkManager or a firewall: for iptables, `br+` is every name with that prefix.
    #[error("firewalls cannot be told of a bridge named {bridge:?}; use letters, digits, and . _ - inside")]
    Name { bridge: String },
    #[error("cannot {action} {}", bridges.join(", "))]
    Refused { action: &'static str, bridges: Vec<String>, source: io::Error },
}

/// What is done to bridges, for an error, and the function that does it.
type Step = (&'static str, fn(&[Bridge]) -> io::Result<()>);

const ADMISSION: [Step; 4] = [
    ("keep NetworkManager from the bridge", network_manager::leave_alone),
    ("keep other hosts from the bridge", isolation::close),
    ("have iptables forward for the bridge", forward::open),
    ("have firewalld trust the bridge", firewalld::trust),
];

const DISMISSAL: [Step; 4] = [
    ("have firewalld forget the bridge", firewalld::forget),
    ("remove iptables' chain for the bridge", forward::remove),
    ("remove the nftables table for the bridge", isolation::remove),
    ("have NetworkManager forget the bridge", network_manager::forget),
];

/// Check that the bridges have names that every firewall reads as the kernel does.
pub(crate) fn check_names(bridges: &[Bridge]) -> Result<(), AdmissionError> {
    let odd = bridges.iter().find(|bridge| !is_plain(&bridge.name));
    odd.map_or(Ok(()), |bridge| Err(AdmissionError::Name { bridge: bridge.name.clone() }))
}

/// Tell the host of bridges. If a program refuses, the containers would be cut off, or open to others.
pub(crate) fn admit(bridges: &[Bridge]) -> Result<(), AdmissionError> {
    take(ADMISSION, bridges)
}

/// Undo [`admit`]. If a program refuses, the others have been told all the same.
pub(crate) fn dismiss(bridges: &[Bridge]) -> Result<(), AdmissionError> {
    let told: Vec<_> = bridges.iter().filter(|bridge| is_plain(&bridge.name)).cloned().collect();
    take(DISMISSAL, &told)
}

/// Take all steps concurrently: most of their time the kernel waits until no processor uses the old rules.
fn take(steps: [Step; 4], bridges: &[Bridge]) -> Result<(), AdmissionError> {
    if bridges.is_empty() {
        return Ok(());
    }
    let refused = |action| {
        move |source| {
            let bridges = bridges.iter().map(|bridge| bridge.name.clone()).collect();
            AdmissionError::Refused { action, bridges, source }
        }
    };
    concurrently(steps, |(action, step)| retry(|| step(bridges)).map_err(refused(action)))
}

/// Whether iptables, nft and NetworkManager read the name as the kernel does.
fn is_plain(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.chars().all(|char| char.is_ascii_alphanumeric() || "._-".contains(char))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_mean_something_to_a_firewall_are_refused() {
        assert!(["cni0", "ks-dev", "br_1.5"].into_iter().all(is_plain));
        assert!(!["", "br+", "br*", "-i", ".x", "a b", "a\"b", "a;b", "ü"].into_iter().any(is_plain));
    }
}
