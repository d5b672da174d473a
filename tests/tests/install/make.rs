//! Run the Makefile, and see what it installed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::binary::without_cargos_variables;
use tests::fixture::succeed;

/// The checkout.
pub(super) fn workspace() -> PathBuf {
    fs::canonicalize(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).expect("it is there")
}

/// Run `make` as a user would, not as a part of the make that runs this test.
pub(super) fn make(words: &[&str]) {
    let mut make = without_cargos_variables("make");
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
