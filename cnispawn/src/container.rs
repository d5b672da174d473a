//! A container: what it is planned to have, what is recorded of it, and how its network is undone.

pub mod builtin;
pub mod detach;
pub mod heal;
pub mod networks;
pub mod nspawn;
pub mod plan;
pub mod record;
pub mod restart;
pub mod standin;
pub mod unix_export;
pub mod watch;
