//! Do things in a virtual machine, over SSH.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::fixture::succeed;

/// How to log in to a machine.
pub struct Ssh {
    key: PathBuf,
    port: u16,
}

/// What was done in a machine has failed.
#[derive(Debug, thiserror::Error)]
#[error("{command}\n{why}")]
pub struct Failure {
    command: String,
    why: String,
}

impl Failure {
    /// `command` failed, and said `why`.
    pub fn of(command: &str, why: impl Into<String>) -> Self {
        Failure { command: command.to_owned(), why: why.into() }
    }
}

/// A key in the directory `cache`, its public half beside it, made unless it is there.
///
/// # Panics
/// When ssh-keygen fails.
pub(super) fn key(cache: &Path) -> PathBuf {
    let key = cache.join("key");
    if !key.exists() {
        fs::create_dir_all(cache).expect("created");
        succeed(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key));
    }
    key
}

impl Ssh {
    pub(super) fn new(key: PathBuf, port: u16) -> Self {
        Ssh { key, port }
    }

    /// The port of this host's loopback.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Run a shell script; what it prints on standard output.
    ///
    /// # Errors
    /// When it fails, or is not through after `limit`.
    ///
    /// # Panics
    /// When timeout(1) is missing.
    pub fn run(&self, script: &str, limit: Duration) -> Result<String, Failure> {
        let Output { status, stdout, stderr } = self.command(script, limit).output().expect("timeout runs");
        let stdout = String::from_utf8_lossy(&stdout).into_owned();
        if status.success() {
            return Ok(stdout);
        }
        let stderr = String::from_utf8_lossy(&stderr);
        Err(Failure::of(script, format!("{status} (124: not within {limit:?})\n{stdout}{stderr}")))
    }

    /// Copy the files of the directory `tree` into the root directory.
    ///
    /// # Errors
    /// When that fails.
    ///
    /// # Panics
    /// When a program is missing.
    pub fn copy(&self, tree: &Path) -> Result<(), Failure> {
        let mut tar = Command::new("tar");
        tar.arg("-C").arg(tree).args(["--owner=root", "--group=root", "-c", "."]).stdout(Stdio::piped());
        let mut tar = tar.spawn().expect("tar runs");
        let mut unpack = self.command("tar -C / -x", Duration::from_secs(300));
        let output = unpack.stdin(tar.stdout.take().expect("piped")).output().expect("timeout runs");
        let packed = tar.wait().expect("a child");
        if packed.success() && output.status.success() {
            return Ok(());
        }
        Err(Failure::of("tar", format!("{packed}, {output:?}")))
    }

    fn command(&self, script: &str, limit: Duration) -> Command {
        let mut ssh = Command::new("timeout");
        ssh.args(["--kill-after=10", &limit.as_secs().to_string(), "ssh", "-F", "none", "-q", "-i"]).arg(&self.key);
        // Each machine has a new key; it is our own, on our own loopback.
        for option in ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "ConnectTimeout=10"]
        {
            ssh.args(["-o", option]);
        }
        ssh.args(["-p", &self.port.to_string(), "root@127.0.0.1", script]);
        ssh.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        ssh
    }
}
