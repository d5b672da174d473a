//! The root file system of a node: Debian, our programs, and their configuration.

pub(crate) mod base;
pub(crate) mod os;
pub(crate) mod rootfs;
mod units;
mod updates;
