//! CNI's own programs, which ours is compared with.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The release of libcni, and of its cnitool.
const RELEASE: &str = "v1.3.0";

/// A program of github.com/containernetworking/cni, by the path of its package (`cnitool`), built once into a cargo
/// target directory.
///
/// # Panics
/// When Go is missing, or cannot build it.
pub fn program(package: &str, target_dir: &Path) -> PathBuf {
    let dir = target_dir.join(format!("cni-{RELEASE}"));
    let program = dir.join(Path::new(package).file_name().unwrap_or(OsStr::new(package)));
    if program.exists() {
        return program;
    }
    fs::create_dir_all(&dir).expect("created");
    let mut go = Command::new("go");
    go.arg("install").arg(format!("github.com/containernetworking/cni/{package}@{RELEASE}"));
    go.env("GOBIN", &dir).env("CGO_ENABLED", "0").env_remove("GOFLAGS").current_dir("/");
    let output = go.output().expect("go runs; it is needed to build CNI's own programs");
    assert!(output.status.success(), "{go:?}: {}", String::from_utf8_lossy(&output.stderr));
    program
}
