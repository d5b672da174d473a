//! Run the Makefile, and see what it installed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::fixture::succeed;

/// The checkout.
pub(super) fn workspace() -> PathBuf {
    fs::canonicalize(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).expect("it is there")
}

/// Run `make` as a user would, not as a part of the make that runs this test.
pub(super) fn make(words: &[&str]) {
    let mut make = Command::new("make");
    // What cargo has told this test about its package: the build script of ring would see it changed, and with ring all
    // that needs it would be compiled again.
    for (name, _) in
        std::env::vars().filter(|(name, _)| ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|p| name.starts_with(p)))
    {
        make.env_remove(name);
    }
    succeed(make.args(words).current_dir(workspace()).env_remove("MAKEFLAGS").env_remove("MAKELEVEL"));
}

/// All files below a directory, relative to it.
pub(super) fn files(dir: &Path) -> BTreeSet<String> {
    let listed = succeed(Command::new("find").args([".", "-not", "-type", "d"]).current_dir(dir));
    listed.lines().map(|line| line.trim_start_matches("./").to_owned()).collect()
}

/// The tree that packages are made of.
pub(super) fn stage() -> PathBuf {
    workspace().join("target/stage")
}
