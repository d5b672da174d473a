//! What the three binaries share: names, records, state directories, durable files, locks, child processes, interrupts,
//! tables and error chains. It knows none of the three.

pub mod command;
mod error;
pub mod files;
pub mod interrupt;
pub mod ip;
pub mod lock;
pub mod name;
pub mod process;
pub mod record;
pub mod state;
pub mod subnet;
pub mod table;
pub mod tool;

pub use error::error_chain;
