//! Give a systemd-nspawn container a network by CNI plugins, and take it away again however the container ends.
//!
//! [`cni`] speaks the CNI specification's protocol and knows nothing of containers. [`spawn`] makes a network namespace,
//! has the plugins furnish it, and becomes systemd-nspawn; [`watch`] undoes it all when systemd-nspawn ends. What must
//! be undone is put down in a [`record`] before it is done, so that a crash leaves nothing that [`heal`] cannot find.

pub mod attach;
pub mod bridge;
pub mod builtin;
pub mod cli;
pub mod cni;
pub mod detach;
pub mod dirs;
pub mod dns;
pub mod gc;
pub mod heal;
pub mod hold;
pub mod host;
pub mod hostport;
pub mod iptables;
pub mod late;
pub mod link;
pub mod log;
pub mod ls;
pub mod netns;
pub mod networks;
pub mod nspawn;
pub mod options;
pub mod orphan;
pub mod plan;
pub mod record;
pub mod restart;
pub mod spawn;
pub mod standin;
pub mod status;
pub mod unix_export;
pub mod verb;
pub mod watch;
