//! The RPM package, read by rpm itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use tests::fixture::succeed;

use super::make::{files, make, stage, workspace};
use super::packages::packages;

/// The package, made once.
static PACKAGE: LazyLock<PathBuf> = LazyLock::new(|| {
    make(&["rpm"]);
    let name = format!("kubeadm-systemd-{}-1.{}.rpm", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
    workspace().join("target/generate-rpm").join(name)
});

fn rpm(words: &[&str], package: &Path) -> BTreeSet<String> {
    let listed = succeed(Command::new("rpm").args(words).arg("--package").arg(package));
    listed.lines().map(str::to_owned).collect()
}

#[test]
fn it_is_sound_and_has_all_that_make_install_installs() {
    let package = PACKAGE.as_path();
    succeed(Command::new("rpm").args(["--checksig", "--nosignature"]).arg(package));
    let mut expected: BTreeSet<_> = files(&stage()).into_iter().map(|file| format!("/{file}")).collect();
    expected.insert("/usr/share/licenses/kubeadm-systemd/LICENSE".to_owned());
    assert_eq!(rpm(&["--query", "--list"], package), expected);

    let requires = rpm(&["--query", "--requires"], package);
    for package in packages("dnf", &["run"]) {
        assert!(requires.contains(&package), "{package} is missing from {requires:?}");
    }
    assert!(requires.iter().any(|line| line.starts_with("libc.so.6(")), "{requires:?}");
}

#[test]
fn its_programs_run_and_its_modes_are_right() {
    let unpacked = tempfile::tempdir().expect("a directory");
    let mut unpack = Command::new("sh");
    unpack.args(["-euc", "rpm2cpio \"$1\" | cpio --quiet --extract --make-directories", "sh"]).arg(&*PACKAGE);
    succeed(unpack.current_dir(unpacked.path()));
    for program in ["cnispawn", "nodectl", "clusterctl"] {
        succeed(Command::new(unpacked.path().join("usr/bin").join(program)).arg("--version"));
    }
    succeed(Command::new(unpacked.path().join("usr/bin/kubeadm-systemd")).args(["setup", "--help"]));
}
