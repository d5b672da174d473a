//! `make install`: whole, without a trace of the checkout, and working from any directory.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use tests::fixture::succeed;

use super::make::{files, make, workspace};

/// An installed tree with PREFIX /usr.
struct Tree(TempDir);

impl Tree {
    fn install() -> Self {
        let tree = Tree(tempfile::tempdir().expect("a directory"));
        tree.make("install");
        tree
    }

    fn make(&self, target: &str) {
        make(&[target, &format!("DESTDIR={}", self.0.path().display()), "PREFIX=/usr"]);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join("usr").join(name)
    }

    /// One of the installed programs, run from another directory.
    fn program(&self, name: &str) -> Command {
        let mut program = Command::new(self.path("bin").join(name));
        program.current_dir("/");
        program
    }
}

fn text(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))).into_owned()
}

#[test]
fn the_playbooks_are_those_of_git_without_anything_else() {
    let tree = Tree::install();
    let mut git = Command::new("git");
    git.args(["ls-files", "--", ".", ":!.ansible-lint"]).current_dir(workspace().join("ansible"));
    let expected: BTreeSet<_> = succeed(&mut git).lines().map(str::to_owned).collect();
    assert_eq!(files(&tree.path("share/kubeadm-systemd/ansible")), expected);
}

#[test]
fn nothing_of_the_checkout_is_in_it_and_uninstall_removes_all_of_it() {
    let tree = Tree::install();
    let installed = files(tree.0.path());
    assert!(installed.len() > 70, "{installed:?}");
    let checkout = workspace().display().to_string();
    let traces: Vec<_> = installed.iter().filter(|file| text(&tree.0.path().join(file)).contains(&checkout)).collect();
    assert!(traces.is_empty(), "{checkout} is in {traces:?}");
    tree.make("uninstall");
    assert_eq!(files(tree.0.path()), BTreeSet::new());
}

#[test]
fn the_unit_is_valid() {
    let tree = Tree::install();
    let unit = text(&tree.path("lib/systemd/system/cnispawn@.service"));
    assert!(unit.contains("ExecStart=/usr/bin/cnispawn run %i "), "{unit}");
    // An instance's name; and the programs where they are installed.
    let instance = tree.path("lib/systemd/system/cnispawn@web.service");
    fs::write(&instance, unit.replace("/usr/bin/", &format!("{}/", tree.path("bin").display()))).expect("written");
    let output = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&instance).output();
    let output = output.expect("systemd-analyze runs; install systemd");
    let complaints = String::from_utf8_lossy(&output.stderr);
    let ours: Vec<_> = complaints.lines().filter(|line| line.contains("cnispawn@")).collect();
    assert!(output.status.success() && ours.is_empty(), "{complaints}");
}

#[test]
fn it_works_from_any_directory_and_through_a_link() {
    let tree = Tree::install();
    let help = succeed(tree.program("kubeadm-systemd").arg("help"));
    assert!(help.starts_with("Usage: kubeadm-systemd COMMAND"), "{help}");
    let link = tree.0.path().join("link");
    std::os::unix::fs::symlink(tree.path("bin/kubeadm-systemd"), &link).expect("linked");
    let printed = succeed(Command::new(&link).args(["setup", "--print", "--manager", "apt"]).current_dir("/"));
    assert!(printed.starts_with("apt-get install "), "{printed}");

    // The playbooks that it finds are its own, and whole; Ansible is the one that `make setup` has installed.
    let found = succeed(tree.program("clusterctl").arg("which"));
    assert_eq!(Path::new(found.trim()), tests::ansible::program("ansible-playbook"));
    let ansible_dir = tree.path("share/kubeadm-systemd/ansible");
    let mut check = Command::new(found.trim());
    check.arg("--syntax-check").arg(ansible_dir.join("up.yml")).arg(ansible_dir.join("down.yml"));
    succeed(check.env("ANSIBLE_CONFIG", ansible_dir.join("ansible.cfg")).current_dir("/"));
}
