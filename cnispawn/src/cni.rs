//! The CNI specification's protocol, spoken as libcni speaks it: configuration, plugins, chains of them, and the cache.
//!
//! Configuration and results stay [`serde_json::Value`]s, so that fields that we don't know pass through.

pub mod attachment;
pub mod cache;
pub mod chain;
pub mod command;
pub mod conf;
pub mod discovery;
pub mod dns;
mod execution;
pub mod failure;
mod nesting;
mod output;
pub mod plugin;
pub mod processes;
pub mod result;
pub mod version;

pub use attachment::Attachment;
pub use cache::Cache;
pub use chain::Chain;
pub use command::Command;
pub use conf::NetworkList;
pub use plugin::Plugins;
