//! How a plugin fails, told so that it can be replayed.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use serde::Deserialize;

use super::command::Command;
use super::result::ResultError;

/// Why a plugin failed.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// It is not installed.
    #[error(
        "CNI plugin {name:?} not found in {}; install containernetworking-plugins or name its directory with --plugin-dir",
        shown(dirs)
    )]
    NotFound {
        /// The plugin.
        name: String,
        /// Where it was looked for.
        dirs: Vec<PathBuf>,
    },
    /// It could not be started.
    #[error("cannot execute CNI plugin {}", path.display())]
    Execute {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It did not end in time.
    #[error(
        "CNI plugin {name:?} was killed: {command} took longer than {seconds} s; give it more with --plugin-timeout{tail}"
    )]
    Timeout {
        /// The plugin.
        name: String,
        /// What it was to do.
        command: Command,
        /// The deadline.
        seconds: u64,
        /// The end of its standard error, and how to run it by hand.
        tail: Box<Tail>,
    },
    /// It said what is wrong (CNI specification, section 5, Error).
    #[error("CNI plugin {name:?} failed to {command}: {error}{tail}")]
    Reported {
        /// The plugin.
        name: String,
        /// What it was to do.
        command: Command,
        /// The error object.
        error: Box<ErrorObject>,
        /// The end of its standard error, and how to run it by hand.
        tail: Box<Tail>,
    },
    /// It said nothing that could be understood.
    #[error("CNI plugin {name:?} failed to {command} with {status} and no error object{tail}")]
    Failed {
        /// The plugin.
        name: String,
        /// What it was to do.
        command: Command,
        /// How it ended.
        status: ExitStatus,
        /// The end of its standard error, and how to run it by hand.
        tail: Box<Tail>,
    },
    /// ADD succeeded without a result.
    #[error("CNI plugin {name:?} printed no result of ADD: {why}{tail}")]
    NoResult {
        /// The plugin.
        name: String,
        /// What is wrong with what it printed.
        why: Box<ResultError>,
        /// The end of its standard error, and how to run it by hand.
        tail: Box<Tail>,
    },
    /// VERSION succeeded without versions.
    #[error("CNI plugin {name:?} did not say which versions it speaks, but {stdout:?}")]
    NoVersions {
        /// The plugin.
        name: String,
        /// What it printed.
        stdout: String,
    },
}

impl PluginError {
    /// Whether the plugin is older than VERSION (libcni's `GetVersionInfo`).
    pub(super) fn is_unknown_command(&self) -> bool {
        matches!(self, PluginError::Reported { error, .. } if error.msg == "unknown CNI_COMMAND: VERSION")
    }
}

/// What a plugin prints when it fails.
#[derive(Debug, Deserialize)]
pub struct ErrorObject {
    code: u64,
    #[serde(default)]
    msg: String,
    #[serde(default)]
    details: String,
}

impl fmt::Display for ErrorObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [self.msg.trim(), self.details.trim()].into_iter().filter(|part| !part.is_empty());
        // A page of text at most.
        write!(f, "{:.4000} (code {})", parts.collect::<Vec<_>>().join(": "), self.code)
    }
}

/// What follows an error: last lines, and a command to paste.
#[derive(Debug)]
pub struct Tail {
    pub(super) stderr: String,
    pub(super) replay: String,
}

impl fmt::Display for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let skipped = self.stderr.lines().count().saturating_sub(10);
        self.stderr.lines().skip(skipped).try_for_each(|line| write!(f, "\n  {line:.1000}"))?;
        write!(f, "\n  to replay: {}", self.replay)
    }
}

fn shown(dirs: &[PathBuf]) -> String {
    dirs.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(", ")
}
