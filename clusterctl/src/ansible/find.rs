//! Find our playbooks, and an Ansible that is new enough for them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use foundation::command::{self, CommandError};
use foundation::state::StateDirs;

/// The oldest ansible-core whose modules run on the nodes' Python 3.13.
const OLDEST: (u32, u32) = (2, 17);

/// How Ansible is run.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct AnsibleArgs {
    /// Directory of the playbooks [default: beside this program]
    #[arg(long, global = true, value_name = "DIR", env = "KUBEADM_SYSTEMD_ANSIBLE_DIR")]
    pub(crate) ansible_dir: Option<PathBuf>,
    /// The ansible-playbook to run [default: of the virtual environment that `kubeadm-systemd setup` made, else in PATH]
    #[arg(long, global = true, value_name = "FILE", env = "KUBEADM_SYSTEMD_ANSIBLE_PLAYBOOK")]
    pub(crate) ansible_playbook: Option<PathBuf>,
}

/// Why there is no Ansible to run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FindError {
    /// There are no playbooks.
    #[error("no playbooks at {}; name their directory with --ansible-dir", .0.display())]
    NoPlaybooks(PathBuf),
    /// There is no Ansible.
    #[error("{} not found; run `kubeadm-systemd setup`, or install ansible-core {}.{} or later", .0.display(), OLDEST.0, OLDEST.1)]
    NoAnsible(PathBuf),
    /// It is too old.
    #[error("{} is ansible-core {version}; {}.{} or later is needed: run `kubeadm-systemd setup`, or name another with --ansible-playbook", program.display(), OLDEST.0, OLDEST.1)]
    TooOld {
        /// The program.
        program: PathBuf,
        /// Its version.
        version: String,
    },
    /// It could not be asked for its version.
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// The playbooks' directory.
pub(super) fn playbooks(args: &AnsibleArgs) -> Result<PathBuf, FindError> {
    let dir = args.ansible_dir.clone().unwrap_or_else(beside_us);
    if dir.join("up.yml").is_file() { Ok(dir) } else { Err(FindError::NoPlaybooks(dir)) }
}

/// The ansible-playbook for the playbooks in `dir`: the one that was named, the pinned one, or the host's own.
pub(super) fn program(args: &AnsibleArgs, dirs: &StateDirs, dir: &Path) -> Result<PathBuf, FindError> {
    if let Some(program) = &args.ansible_playbook {
        return new_enough(program.clone());
    }
    let environment = dirs.cache().join("ansible");
    if is_pinned(&environment, dir) {
        return Ok(environment.join("bin/ansible-playbook"));
    }
    let program = PathBuf::from("ansible-playbook");
    new_enough(which::which(&program).map_err(|_| FindError::NoAnsible(program))?)
}

/// Whether the virtual environment holds what the playbooks' requirements.txt pins: the copy that was put into it last
/// is the same. No need to ask it for its version then, which takes Ansible half a second.
fn is_pinned(environment: &Path, playbooks: &Path) -> bool {
    let pin = |dir: &Path| fs::read(dir.join("requirements.txt")).ok();
    pin(environment).is_some_and(|pinned| Some(pinned) == pin(playbooks))
}

fn new_enough(program: PathBuf) -> Result<PathBuf, FindError> {
    let output = command::output(Command::new(&program).arg("--version"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = version(&text).unwrap_or("of an unknown version");
    if is_new_enough(version) { Ok(program) } else { Err(FindError::TooOld { program, version: version.to_owned() }) }
}

/// The playbooks of an installation (PREFIX/bin, PREFIX/share), or of the checkout that we were built in.
fn beside_us() -> PathBuf {
    let exe = std::env::current_exe().unwrap_or_default();
    let installed = exe.ancestors().nth(2).map(|prefix| prefix.join("share/kubeadm-systemd/ansible"));
    let checkouts = exe.ancestors().skip(1).map(|dir| dir.join("ansible"));
    let mut candidates = installed.into_iter().chain(checkouts);
    candidates
        .find(|dir| dir.join("up.yml").is_file())
        .unwrap_or_else(|| PathBuf::from("/usr/share/kubeadm-systemd/ansible"))
}

/// `ansible-playbook [core 2.19.14]` and more lines.
fn version(text: &str) -> Option<&str> {
    let line = text.lines().next()?;
    line.rsplit([' ', '['])
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
        .map(|word| word.trim_end_matches(']'))
}

fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.split('.').map_while(|number| number.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= OLDEST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_ansible_prints() {
        assert_eq!(version("ansible-playbook [core 2.19.14]\n  config file = None"), Some("2.19.14"));
        assert_eq!(version("ansible-playbook 2.9.6\n"), Some("2.9.6"));
        assert!(is_new_enough("2.19.14") && is_new_enough("3.0") && !is_new_enough("2.14.18") && !is_new_enough("x"));
    }

    #[test]
    fn a_virtual_environment_of_another_pin_or_half_made_is_not_taken() {
        let (environment, playbooks) = (tempfile::tempdir().expect("made"), tempfile::tempdir().expect("made"));
        let is_pinned = || is_pinned(environment.path(), playbooks.path());
        assert!(!is_pinned(), "neither has a pin");
        fs::write(playbooks.path().join("requirements.txt"), "ansible-core==2.19.14\n").expect("written");
        assert!(!is_pinned(), "half made");
        fs::write(environment.path().join("requirements.txt"), "ansible-core==2.18.0\n").expect("written");
        assert!(!is_pinned(), "of another pin");
        fs::copy(playbooks.path().join("requirements.txt"), environment.path().join("requirements.txt"))
            .expect("copied");
        assert!(is_pinned());
    }
}
