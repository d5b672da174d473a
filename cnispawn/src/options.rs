//! Options of `cnispawn run` that are more than a word: each is parsed to what the plugins are given.

pub mod bandwidth;
pub mod network;
pub mod publish;

pub use bandwidth::Bandwidth;
pub use network::NetworkOption;
pub use publish::Publish;
