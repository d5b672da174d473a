//! Nodes of a test: booted from the real image, in directories that no other cluster uses.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use foundation::record::{ImageRecord, NodeRecord};
use tempfile::TempDir;

use crate::{bin, binary};

/// A cluster's worth of directories; what runs in them is removed when this is dropped.
pub struct Nodes {
    /// Holds the state directory, beside the image: both must lie on one file system, for hard links.
    state: TempDir,
    run: TempDir,
    image: ImageRecord,
}

/// The image under test: built first if it is not there, but for a host without a compiler, which got it with the
/// binaries.
///
/// # Panics
/// When it cannot be built.
pub fn image() -> ImageRecord {
    let words: &[&str] = if binary::are_installed() { &["images", "--json"] } else { &["build"] };
    let output = Command::new(bin("nodectl")).args(words).stderr(Stdio::inherit()).output().expect("nodectl runs");
    assert!(output.status.success(), "nodectl {words:?} failed with {}", output.status);
    serde_json::from_slice(&output.stdout).expect("an image record")
}

impl Nodes {
    /// Make the directories.
    ///
    /// # Panics
    /// When that fails.
    pub fn new() -> Self {
        bin("cnispawn");
        let image = image();
        // STATE/images/NAME/GENERATION
        let state_dir = image.path.ancestors().nth(3).expect("an image lies in a state directory").to_owned();
        let state = tempfile::Builder::new().prefix("test-").tempdir_in(state_dir).expect("a directory");
        Nodes { state, run: tempfile::tempdir().expect("a directory"), image }
    }

    /// A nodectl command on these directories.
    pub fn nodectl(&self, words: &[&str]) -> Command {
        let mut nodectl = Command::new(bin("nodectl"));
        nodectl
            .args(words)
            .env("KUBEADM_SYSTEMD_STATE_DIR", self.state_dir())
            .env("KUBEADM_SYSTEMD_RUN_DIR", self.run.path());
        nodectl.stdin(Stdio::null());
        nodectl
    }

    /// Run a nodectl command with the image record on its standard input.
    ///
    /// # Panics
    /// When it cannot be run.
    pub fn run_with_image(&self, words: &[&str]) -> Output {
        let mut nodectl = self.nodectl(words);
        let mut child =
            nodectl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("nodectl runs");
        let record = serde_json::to_string(&self.image).expect("a record");
        // It may refuse its arguments before it reads.
        let _ = writeln!(child.stdin.take().expect("piped"), "{record}");
        child.wait_with_output().expect("nodectl ends")
    }

    /// Start nodes and return their records.
    ///
    /// # Panics
    /// When they do not come up.
    pub fn start(&self, words: &[&str]) -> Vec<NodeRecord> {
        let output = self.run_with_image(&[&["start"], words].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        foundation::record::read_all(output.stdout.as_slice()).expect("node records")
    }

    /// Run a nodectl command to its end and return what it printed.
    ///
    /// # Panics
    /// When it fails.
    pub fn ok(&self, words: &[&str]) -> String {
        let output = self.nodectl(words).output().expect("nodectl runs");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Run a nodectl command that must fail with exit status `code`, and return its message.
    ///
    /// # Panics
    /// When it does otherwise, or prints more than one line of error.
    pub fn refused(&self, words: &[&str], code: i32) -> String {
        let output = self.run_with_image(words);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{words:?}: {message}");
        assert!(output.stdout.is_empty(), "{words:?} failed and printed records");
        message
    }

    /// The state directory.
    pub fn state_dir(&self) -> &Path {
        self.state.path()
    }

    /// The run directory.
    pub fn run_dir(&self) -> &Path {
        self.run.path()
    }

    /// A node's directory.
    pub fn node_dir(&self, node: &str) -> PathBuf {
        self.state_dir().join("clusters/default/nodes").join(node)
    }
}

impl Default for Nodes {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        let _ = self.nodectl(&["rm", "--all"]).output();
    }
}
