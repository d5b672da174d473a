//! `setup`: the package managers' commands, the question, and the virtual environment.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tests::fixture::succeed;

use super::make::workspace;
use super::packages::{MANAGERS, packages};

fn setup() -> PathBuf {
    workspace().join("hack/setup")
}

fn command_of(manager: &str) -> &'static str {
    match manager {
        "apt" => "apt-get install --yes -qq --no-install-recommends",
        "dnf" => "dnf install --assumeyes --setopt=install_weak_deps=False",
        "pacman" => "pacman --sync --needed --noconfirm",
        "zypper" => "zypper --non-interactive install --no-recommends",
        other => panic!("{other}"),
    }
}

#[test]
fn each_package_manager_has_its_command_and_its_packages() {
    for manager in MANAGERS {
        let print = |more: &[&str]| succeed(Command::new(setup()).args(["--print", "--manager", manager]).args(more));
        let run = packages(manager, &["run", "venv"]).join(" ");
        assert_eq!(print(&[]), format!("{} {run}\n", command_of(manager)));
        let test = packages(manager, &["run", "venv", "build", "test"]);
        let printed = print(&["--test"]);
        for package in test {
            assert!(printed.split_whitespace().any(|word| word == package), "{package} is not in {printed}");
        }
    }
    let output = Command::new(setup()).args(["--manager", "brew"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn the_package_manager_is_the_one_of_the_distribution() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    for (release, manager) in [
        ("ID=debian", "apt"),
        ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"", "apt"),
        ("ID=fedora", "dnf"),
        ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"", "dnf"),
        ("ID=manjaro\nID_LIKE=arch", "pacman"),
        ("ID=\"opensuse-tumbleweed\"\nID_LIKE=\"opensuse suse\"", "zypper"),
    ] {
        fs::write(file.path(), release).expect("written");
        let printed = succeed(on_a_host_where("mount --bind \"$1\" /etc/os-release", file.path()).arg("--print"));
        assert!(printed.starts_with(command_of(manager)), "{release}: {printed}");
    }
}

/// `setup` in a mount namespace in which `change` was made before, with the path as its argument.
fn on_a_host_where(change: &str, path: &Path) -> Command {
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "sh", "-euc", &format!("{change}; shift; exec \"$@\""), "sh"]).arg(path).arg(setup());
    unshare
}

#[test]
fn a_host_with_all_of_it_is_left_alone_without_a_word() {
    let output = Command::new(setup()).stdin(Stdio::null()).output().expect("it runs");
    assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn with_a_terminal_what_is_missing_is_listed_and_asked_for() {
    let keyrings = Path::new("/usr/share/keyrings");
    let setup = on_a_host_where("mount -t tmpfs none \"$1\"", keyrings);
    let words = std::iter::once(setup.get_program()).chain(setup.get_args());
    let words = shell_words::join(words.map(|word| word.to_str().expect("UTF-8")));
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &words, "/dev/null"]);
    let mut script = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script(1) runs");
    script.stdin.take().expect("piped").write_all(b"n\n").expect("answered");
    let output = script.wait_with_output().expect("it ends");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{shown}");
    assert!(shown.contains("setup: to install: debian-archive-keyring\r\nsetup: go on? [Y/n]"), "{shown}");
    assert!(shown.contains("setup: nothing was installed"), "{shown}");
}

#[test]
fn a_virtual_environment_with_the_pinned_ansible_is_made_and_found() {
    let state = tempfile::tempdir().expect("a directory");
    let with_state = |program: &Path| {
        let mut command = Command::new(program);
        command.env("KUBEADM_SYSTEMD_STATE_DIR", state.path()).env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
        command.env_remove("KUBEADM_SYSTEMD_ANSIBLE_PLAYBOOK");
        command
    };
    // For tests, whatever Ansible the host has itself.
    succeed(with_state(&setup()).arg("--test"));
    let found = succeed(with_state(&tests::bin("clusterctl")).arg("which"));
    assert_eq!(Path::new(found.trim()), state.path().join("cache/ansible/bin/ansible-playbook"));
    let version = succeed(Command::new(found.trim()).arg("--version"));
    let pin = fs::read_to_string(workspace().join("ansible/requirements.txt")).expect("a pin");
    let pinned = pin.lines().find_map(|line| line.strip_prefix("ansible-core==")).expect("a version");
    assert!(version.starts_with(&format!("ansible-playbook [core {pinned}]")), "{version}");
}
