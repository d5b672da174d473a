//! The two tools, and CNI's own plugin for tests.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tests::{cni, fixture};

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
        let [cnitool, noop] = ["cnitool", "plugins/test/noop"].map(|package| cni::program(package, target_dir));
        let recorder = cnitool.with_file_name("recorder");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/differential/recorder.sh");
        fixture::install(Path::new(source), &recorder);
        Programs { cnitool, cnispawn, noop, recorder }
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
