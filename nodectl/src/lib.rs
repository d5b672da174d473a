//! Node images and nodes, and the records that the binaries exchange.
//!
//! Records are JSON Lines: one object a line, unknown fields passed through. `clusterctl` depends on this
//! library for [`record`] alone: a node record may as well be written by hand for any machine that SSH reaches.

pub mod adapt;
pub mod cgroup;
pub mod cli;
pub mod clone;
pub mod cluster;
pub(crate) mod commands;
pub mod doctor;
pub mod etc_hosts;
pub mod exec;
pub mod host;
pub mod image;
pub mod keys;
pub mod launch;
pub mod limits;
pub mod load;
pub mod logs;
pub mod ls;
pub mod modules;
pub mod network;
pub mod node;
pub mod nspawn;
pub mod prepare;
pub mod privileges;
pub mod ready;
pub mod run;
pub mod start;
pub mod stop;
pub mod sysctl;
pub mod tree;
pub mod unit;
