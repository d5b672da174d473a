//! Build the workspace's binaries once and tell where they are.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

static BUILT: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Path of the binary `name`, built from the package of the same name in the profile of the running test.
///
/// Cargo tells a package's own tests where its binaries are, but not those of another package.
///
/// # Panics
/// When cargo cannot build it.
pub fn bin(name: &str) -> PathBuf {
    // TARGET/PROFILE/deps/TEST-HASH
    let exe = std::env::current_exe().expect("a test has a path");
    let profile_dir = exe.parent().and_then(|deps| deps.parent()).expect("a test lies in TARGET/PROFILE/deps");
    let target_dir = profile_dir.parent().expect("a test lies in TARGET/PROFILE/deps");

    let mut built = BUILT.lock().expect("no test panicked while building");
    if built.insert(name.to_owned()) {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
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
