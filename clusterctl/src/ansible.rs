//! Run a playbook, tell what happens, and end every SSH connection that it has left open.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::sys::stat::{Mode, umask};
use nix::unistd::Pid;
use nodectl::command::{self, CommandError};
use nodectl::files::{self, FileError};
use nodectl::state::StateDirs;
use serde_json::json;

use crate::cluster::ClusterFiles;
use crate::events::{Reader, Summary};

/// The oldest ansible-core whose modules run on the nodes' Python 3.13.
const OLDEST: (u32, u32) = (2, 17);

/// How Ansible is run.
#[derive(Clone, Debug, clap::Args)]
pub struct AnsibleArgs {
    /// Directory of the playbooks [default: beside this program]
    #[arg(long, global = true, value_name = "DIR", env = "KUBEADM_SYSTEMD_ANSIBLE_DIR")]
    pub ansible_dir: Option<PathBuf>,
    /// The ansible-playbook to run [default: of the playbooks' virtual environment, else in PATH]
    #[arg(long, global = true, value_name = "FILE", env = "KUBEADM_SYSTEMD_ANSIBLE_PLAYBOOK")]
    pub ansible_playbook: Option<PathBuf>,
}

/// Why a playbook did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum AnsibleError {
    /// There are no playbooks.
    #[error("no playbooks at {}; name their directory with --ansible-dir", .0.display())]
    NoPlaybooks(PathBuf),
    /// There is no Ansible.
    #[error("ansible-playbook not found; run `make setup`, or install ansible-core as {} pins it", .0.join("requirements.txt").display())]
    NoAnsible(PathBuf),
    /// It is too old.
    #[error("{} is ansible-core {version}; {}.{} or later is needed: run `make setup`, or name another with --ansible-playbook", program.display(), OLDEST.0, OLDEST.1)]
    TooOld {
        /// The program.
        program: PathBuf,
        /// Its version.
        version: String,
    },
    /// It could not be asked for its version, or not run.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A task failed.
    #[error("{}\nAnsible's output: {}\nreplay: {command}", listed(.failures, log), log.display())]
    Failed {
        /// Host, task and message of each failure.
        failures: Vec<(String, String, String)>,
        /// Where its output is.
        log: PathBuf,
        /// The command.
        command: String,
    },
    /// It took too long.
    #[error("not done within {seconds} s; Ansible's output: {}\nreplay: {command}", log.display())]
    Deadline {
        /// How long we waited.
        seconds: u64,
        /// Where its output is.
        log: PathBuf,
        /// The command.
        command: String,
    },
    /// A signal asked us to stop.
    #[error("interrupted; Ansible's output: {}", log.display())]
    Interrupted {
        /// Where its output is.
        log: PathBuf,
    },
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

fn listed(failures: &[(String, String, String)], log: &Path) -> String {
    if failures.is_empty() {
        // Not a task: the inventory, a template, Ansible itself.
        let text = fs::read_to_string(log).unwrap_or_default();
        let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        return format!("Ansible failed:\n  {}", lines[lines.len().saturating_sub(12)..].join("\n  "));
    }
    let shown = failures.iter().map(|(host, task, message)| {
        let lines: Vec<_> = message.lines().collect();
        let last = lines[lines.len().saturating_sub(25)..].join("\n  ");
        format!("{host}: {task}: failed\n  {last}")
    });
    shown.collect::<Vec<_>>().join("\n")
}

/// An Ansible with our playbooks.
pub struct Ansible {
    dir: PathBuf,
    program: PathBuf,
}

impl Ansible {
    /// Find both.
    ///
    /// # Errors
    /// When one is missing, or Ansible is too old.
    pub fn find(args: &AnsibleArgs) -> Result<Self, AnsibleError> {
        let dir = args.ansible_dir.clone().unwrap_or_else(playbooks_beside_us);
        if !dir.join("up.yml").is_file() {
            return Err(AnsibleError::NoPlaybooks(dir));
        }
        let own = dir.join(".venv/bin/ansible-playbook");
        if args.ansible_playbook.is_none() && own.is_file() {
            // Pinned by requirements.txt: no need to ask it.
            return Ok(Ansible { dir, program: own });
        }
        let program = match &args.ansible_playbook {
            Some(program) => program.clone(),
            None => which::which("ansible-playbook").map_err(|_| AnsibleError::NoAnsible(dir.clone()))?,
        };
        let output = command::output(Command::new(&program).arg("--version"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = version(&text).unwrap_or("of an unknown version");
        if !is_new_enough(version) {
            return Err(AnsibleError::TooOld { program, version: version.to_owned() });
        }
        Ok(Ansible { dir, program })
    }

    /// Run a playbook on the cluster's inventory.
    ///
    /// # Errors
    /// When a task fails, the deadline passes or we are interrupted.
    pub fn run(
        &self,
        playbook: &str,
        dirs: &StateDirs,
        cluster: &ClusterFiles,
        deadline: Duration,
        interrupted: &Arc<AtomicBool>,
    ) -> Result<Summary, AnsibleError> {
        let log_path = cluster.log_dir().join(format!("{playbook}.log"));
        let events_path = cluster.log_dir().join(format!("{playbook}.events"));
        let log = fresh(&log_path)?;
        fresh(&events_path)?;
        let mut events = Reader::open(&events_path)?;
        let connections = Connections::new(dirs)?;

        let mut ansible = Command::new(&self.program);
        ansible.arg("--inventory").arg(cluster.inventory());
        // As JSON: of KEY=VALUE, Ansible would take a blank for the value's end.
        ansible.arg("--extra-vars").arg(json!({ "kubeadm_systemd_dir": cluster.dir() }).to_string());
        ansible.arg(self.dir.join(format!("{playbook}.yml")));
        let shown = format!("ANSIBLE_CONFIG={} {}", self.dir.join("ansible.cfg").display(), command::shown(&ansible));
        ansible.env("ANSIBLE_CONFIG", self.dir.join("ansible.cfg"));
        ansible.env("ANSIBLE_SSH_CONTROL_PATH_DIR", &connections.dir);
        ansible.env("KUBEADM_SYSTEMD_EVENTS", &events_path);
        ansible.stdin(Stdio::null()).stderr(log.try_clone().map_err(FileError::of("write", &log_path))?).stdout(log);
        // A group of its own: what it has started ends with it.
        ansible.process_group(0);
        // SAFETY: umask is async-signal-safe (signal-safety(7)). What Ansible fetches are secrets.
        unsafe {
            ansible.pre_exec(|| {
                umask(Mode::from_bits_truncate(0o077));
                Ok(())
            });
        }
        let spawned = ansible.spawn();
        let mut child = spawned.map_err(|source| CommandError::Spawn { command: shown.clone(), source })?;

        let started = Instant::now();
        let mut summary = Summary::default();
        let mut print = |events: Vec<_>| {
            for line in events.into_iter().filter_map(|event| summary.add(event)) {
                let _ = writeln!(std::io::stderr(), "{line}");
            }
        };
        let ended = loop {
            print(events.read());
            match child.try_wait().map_err(FileError::of("wait for", &self.program))? {
                Some(status) => break Ok(status),
                None if interrupted.load(Ordering::Relaxed) => {
                    break Err(AnsibleError::Interrupted { log: log_path.clone() });
                }
                None if started.elapsed() > deadline => {
                    break Err(AnsibleError::Deadline {
                        seconds: deadline.as_secs(),
                        log: log_path.clone(),
                        command: shown.clone(),
                    });
                }
                None => thread::sleep(Duration::from_millis(20)),
            }
        };
        print(events.read());
        match ended {
            Ok(status) if status.success() => Ok(summary),
            Ok(_) => Err(AnsibleError::Failed { failures: summary.failures, log: log_path, command: shown }),
            Err(error) => {
                let _ = killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL);
                let _ = child.wait();
                Err(error)
            }
        }
    }
}

/// An empty file, and its directory.
fn fresh(path: &Path) -> Result<File, FileError> {
    files::write(path, "", 0o600)?;
    fs::OpenOptions::new().append(true).open(path).map_err(FileError::of("open", path))
}

/// SSH's connections that outlive a task (ssh_config(5), ControlPersist); ended when this is dropped.
struct Connections {
    dir: PathBuf,
}

impl Connections {
    fn new(dirs: &StateDirs) -> Result<Self, FileError> {
        // A directory of this run: two runs at the same time do not end each other's. The path of a socket has at most
        // 108 bytes (unix(7)).
        let dir = dirs.run.join("ssh").join(std::process::id().to_string());
        fs::create_dir_all(&dir).map_err(FileError::of("create", &dir))?;
        Ok(Connections { dir })
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        for socket in files::entries(&self.dir).unwrap_or_default() {
            let mut control = std::ffi::OsString::from("ControlPath=");
            control.push(self.dir.join(socket));
            let mut ssh = Command::new("ssh");
            ssh.args(["-F", "none", "-O", "exit", "-o"]).arg(control).arg("any");
            let _ = ssh.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// The playbooks of an installation (PREFIX/bin, PREFIX/share), or of the checkout that we were built in.
fn playbooks_beside_us() -> PathBuf {
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
}
