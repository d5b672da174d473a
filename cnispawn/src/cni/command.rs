//! What a plugin is asked to do: CNI_COMMAND.

use std::fmt;

/// The specification's operations (section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Make an interface.
    Add,
    /// Check that the interface is as ADD made it.
    Check,
    /// Remove it.
    Del,
    /// Free what belongs to attachments that are no longer valid.
    Gc,
    /// Say whether ADD can be served.
    Status,
    /// Say which versions of the specification the plugin speaks.
    Version,
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Command::Add => "ADD",
            Command::Check => "CHECK",
            Command::Del => "DEL",
            Command::Gc => "GC",
            Command::Status => "STATUS",
            Command::Version => "VERSION",
        })
    }
}
