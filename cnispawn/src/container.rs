//! A container: what it is planned to have, what is recorded of it, and how its network is undone.

mod builtin;
pub(crate) mod claim;
pub(crate) mod detach;
pub(crate) mod locks;
pub(crate) mod networks;
pub(crate) mod nspawn;
mod placeholder;
pub(crate) mod plan;
pub(crate) mod reboot;
pub(crate) mod record;
pub(crate) mod shared;
pub(crate) mod undo;
mod unix_export;
pub(crate) mod watcher;
