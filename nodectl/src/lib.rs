//! Node images and nodes, and the records that the binaries exchange.
//!
//! Records are JSON Lines: one object a line, unknown fields passed through. `clusterctl` depends on this
//! library for [`record`] alone: a node record may as well be written by hand for any machine that SSH reaches.

pub mod build;
pub mod cgroup;
pub mod cli;
pub mod cluster;
pub mod command;
pub mod exec;
pub mod files;
pub mod images;
pub mod interrupt;
pub mod keys;
pub mod launch;
pub mod logs;
pub mod ls;
pub mod modules;
pub mod name;
pub mod network;
pub mod node;
pub mod nspawn;
pub mod prepare;
pub mod process;
pub mod ready;
pub mod record;
pub mod run;
pub mod start;
pub mod state;
pub mod stop;
pub mod sysctl;
pub mod table;

/// An error and its causes on one line, each once: `cannot make node node1: cannot write ...: No space left on device`.
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // A transparent error repeats its cause.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
