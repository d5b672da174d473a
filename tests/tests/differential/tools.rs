//! The two tools, and CNI's own plugin for tests.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The release of libcni, and of its cnitool, that we are compared with.
const RELEASE: &str = "v1.3.0";

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    Cnitool,
    Cnispawn,
}

/// Where the programs are.
pub(crate) struct Programs {
    cnitool: PathBuf,
    cnispawn: PathBuf,
    /// CNI's own plugin for tests, which reports what its debug file says.
    pub(crate) noop: PathBuf,
    /// Our script in front of it.
    pub(crate) recorder: PathBuf,
}

impl Programs {
    /// Build all; those of CNI once, into the target directory.
    pub(crate) fn build() -> Self {
        let cnispawn = tests::bin("cnispawn");
        let target_dir = cnispawn.ancestors().nth(2).expect("a binary lies in TARGET/PROFILE");
        let dir = target_dir.join(format!("cni-{RELEASE}"));
        fs::create_dir_all(&dir).expect("created");
        for package in ["cnitool", "plugins/test/noop"] {
            install(package, &dir);
        }
        let recorder = dir.join("recorder");
        // By another process: had we written it ourselves, a thread that forks at that moment would inherit the
        // descriptor, and the execution would fail with ETXTBSY.
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/differential/recorder.sh");
        let copied = Command::new("install").args(["-m", "755", source]).arg(&recorder).status().expect("install runs");
        assert!(copied.success(), "the recorder is installed");
        Programs { cnitool: dir.join("cnitool"), noop: dir.join("noop"), recorder, cnispawn }
    }

    /// A verb of a tool, in an environment that has nothing but what a shell needs.
    pub(crate) fn command(&self, tool: Tool, verb: &str, network: &str, netns: &str) -> Command {
        let mut command = Command::new(match tool {
            Tool::Cnitool => &self.cnitool,
            Tool::Cnispawn => &self.cnispawn,
        });
        command.args([verb, network]);
        // cnitool wants it always, and looks at it in three verbs.
        if tool == Tool::Cnitool || ["add", "check", "del"].contains(&verb) {
            command.arg(netns);
        }
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).stdin(Stdio::null());
        command
    }
}

fn install(package: &str, dir: &Path) {
    let name = Path::new(package).file_name().unwrap_or(OsStr::new(package));
    if dir.join(name).exists() {
        return;
    }
    let mut go = Command::new("go");
    go.arg("install").arg(format!("github.com/containernetworking/cni/{package}@{RELEASE}"));
    go.env("GOBIN", dir).env("CGO_ENABLED", "0").env_remove("GOFLAGS").current_dir("/");
    let output = go.output().expect("go runs; the test needs it to build cnitool");
    assert!(output.status.success(), "{go:?}: {}", String::from_utf8_lossy(&output.stderr));
}
