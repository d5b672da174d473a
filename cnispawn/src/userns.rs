//! Containers in user namespaces. systemd-nspawn cannot join a network namespace from a user namespace that does not
//! own it, so such a container makes its own, and the watcher attaches that.

pub(crate) mod attach;
mod trace;
