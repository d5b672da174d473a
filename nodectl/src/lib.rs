//! The records that the binaries exchange, and the state they keep.
//!
//! Records are JSON Lines: one object a line, unknown fields passed through. `clusterctl` depends on this
//! library for [`record`] alone: a node record may as well be written by hand for any machine that SSH reaches.

pub mod name;
pub mod record;
pub mod state;
