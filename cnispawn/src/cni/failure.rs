//! How a plugin fails, shown so that the failure can be replayed.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use serde::Deserialize;

use super::command::Command;
use super::result::ResultError;

/// Why a plugin failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PluginError {
    #[error(
        "CNI plugin {name:?} not found in {}; install containernetworking-plugins or name its directory with --plugin-dir",
        shown(dirs)
    )]
    NotFound { name: String, dirs: Vec<PathBuf> },
    #[error("cannot execute CNI plugin {}", path.display())]
    Execute { path: PathBuf, source: io::Error },
    #[error(
        "CNI plugin {name:?} was killed: {command} took longer than {seconds} s; give it more with --plugin-timeout{tail}"
    )]
    Timeout { name: String, command: Command, seconds: u64, tail: Box<Tail> },
    /// It printed an error object (CNI specification, section 5, Error).
    #[error("CNI plugin {name:?} failed to {command}: {error}{tail}")]
    Reported { name: String, command: Command, error: Box<ErrorObject>, tail: Box<Tail> },
    #[error("CNI plugin {name:?} failed to {command} with {status} and no error object{tail}")]
    Failed { name: String, command: Command, status: ExitStatus, tail: Box<Tail> },
    #[error("CNI plugin {name:?} printed no result of ADD: {why}{tail}")]
    NoResult { name: String, why: Box<ResultError>, tail: Box<Tail> },
    #[error("CNI plugin {name:?} did not print the versions that it speaks, but {stdout:?}")]
    NoVersions { name: String, stdout: String },
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

/// What follows an error: the last lines of standard error, and a command to paste.
#[derive(Debug)]
pub(crate) struct Tail {
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
