//! The host: its links, bridges and network namespaces, and the programs that would interfere with them.

pub(crate) mod admission;
pub(crate) mod bridge;
mod dbus;
mod firewalld;
mod forward;
pub(crate) mod hostport;
mod iptables;
mod isolation;
pub(crate) mod link;
pub(crate) mod netns;
mod network_manager;
mod steps;
