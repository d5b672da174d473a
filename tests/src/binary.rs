//! Where the binaries under test are: built once from the workspace, or installed.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

/// Environment variable that names a directory of installed binaries: on a host that has no compiler, such as the
/// virtual machines of [`crate::vm`].
pub const INSTALLED: &str = "KUBEADM_SYSTEMD_TEST_BINARIES";

static BUILT: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Whether [`INSTALLED`] says so.
pub fn are_installed() -> bool {
    std::env::var_os(INSTALLED).is_some()
}

/// Path of the binary `name`: the installed one, where [`INSTALLED`] says so, else built from the package of the same
/// name in the profile of the running test.
///
/// Cargo tells a package's own tests where its binaries are, but not those of another package.
///
/// # Panics
/// When cargo cannot build it.
pub fn bin(name: &str) -> PathBuf {
    if let Some(dir) = std::env::var_os(INSTALLED) {
        return PathBuf::from(dir).join(name);
    }
    // TARGET/PROFILE/deps/TEST-HASH
    let exe = std::env::current_exe().expect("a test has a path");
    let profile_dir = exe.parent().and_then(|deps| deps.parent()).expect("a test lies in TARGET/PROFILE/deps");
    let target_dir = profile_dir.parent().expect("a test lies in TARGET/PROFILE/deps");

    let mut built = BUILT.lock().expect("no test panicked while building");
    if built.insert(name.to_owned()) {
        let mut cargo = without_cargos_variables("cargo");
        cargo.args(["build", "--quiet", "--package", name, "--bin", name]).arg("--target-dir").arg(target_dir);
        if profile_dir.ends_with("release") {
            cargo.arg("--release");
        }
        cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let status = cargo.status().expect("cargo runs");
        assert!(status.success(), "`cargo build --package {name}` failed with {status}");
    }
    profile_dir.join(name)
}

/// A command that runs cargo, itself or below, as if from a shell: what cargo tells a test of its package makes build
/// scripts run, and what depends on them be compiled, anew.
pub fn without_cargos_variables(program: &str) -> Command {
    let mut command = Command::new(program);
    let of_package = |name: &String| ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| name.starts_with(prefix));
    for name in std::env::vars().map(|(name, _)| name).filter(of_package) {
        command.env_remove(name);
    }
    command
}
