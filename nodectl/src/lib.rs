//! Node images and nodes, and the records that the binaries exchange.
//!
//! Records are JSON Lines: one object a line, unknown fields passed through. `clusterctl` depends on this
//! library for [`record`] alone: a node record may as well be written by hand for any machine that SSH reaches.

pub mod cli;
pub mod clone;
mod cluster;
mod commands;
mod failures;
pub mod host;
pub mod image;
pub mod images;
mod node;
pub mod run;
mod say;
pub mod tree;
