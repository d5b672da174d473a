//! The library of nodectl, for its binary and for tests: node images, and nodes as machines under systemd-nspawn.

pub mod cli;
pub mod clone;
mod cluster;
mod commands;
mod failures;
pub mod host;
pub mod image;
mod node;
pub mod run;
mod say;
pub mod tree;
