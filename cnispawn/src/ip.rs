//! Run ip(8).

use std::io;
use std::process::Command;

/// Run `ip` in the calling thread's network namespace, and return what it printed.
///
/// # Errors
/// When it is missing or fails.
pub fn ip(args: &[&str]) -> io::Result<String> {
    let output = Command::new("ip").args(args).output();
    let output =
        output.map_err(|error| io::Error::new(error.kind(), format!("cannot run ip: {error}; install iproute2")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("`ip {}` failed with {}: {}", args.join(" "), output.status, stderr.trim())))
}
