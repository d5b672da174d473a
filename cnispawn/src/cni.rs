//! The CNI specification's protocol, as libcni speaks it: configuration, plugins, chains of plugins, and the cache.
//!
//! Configuration and results stay [`serde_json::Value`]s, so that fields that we don't know pass through. Nothing here
//! knows what a container is, beyond its id and its network namespace's path.

pub mod attachment;
pub mod cache;
pub(crate) mod chain;
mod command;
pub mod conf;
pub(crate) mod discovery;
pub mod dns;
mod execution;
pub mod failure;
mod nesting;
mod network;
mod output;
mod plugin;
pub(crate) mod processes;
mod program;
pub mod result;
pub(crate) mod status;
pub mod version;

pub use attachment::Attachment;
pub(crate) use cache::Cache;
pub(crate) use chain::Chain;
pub(crate) use command::Command;
pub use network::NetworkList;
pub(crate) use plugin::Plugins;
