//! Run a playbook, tell what happens, and end every SSH connection that it has left open.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::stat::{Mode, umask};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use nodectl::command::{self, CommandError};
use nodectl::files::{self, FileError};
use nodectl::name::Name;
use nodectl::state::StateDirs;
use serde_json::{Map, Value, json};

use crate::cluster::ClusterFiles;
use crate::events::{Reader, Summary};

mod find;

pub use find::{AnsibleArgs, FindError};

/// How often to look whether Ansible has ended.
const LOOK: Duration = Duration::from_millis(20);

/// How long Ansible may take to end its workers.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a playbook did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum AnsibleError {
    /// There is no Ansible, or no playbook.
    #[error(transparent)]
    Find(#[from] FindError),
    /// It could not be run.
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

/// A playbook, and what it is run with.
#[derive(Clone, Debug)]
pub struct Play<'a> {
    /// Its name, without `.yml`.
    pub playbook: &'a str,
    /// How long it may take.
    pub deadline: Duration,
    /// Variables beside those of the inventory, and before them.
    pub variables: Map<String, Value>,
    /// The nodes that it is limited to; all, if empty.
    pub nodes: &'a [Name],
}

impl<'a> Play<'a> {
    /// A playbook for all nodes.
    pub fn new(playbook: &'a str, deadline: Duration) -> Self {
        Play { playbook, deadline, variables: Map::new(), nodes: &[] }
    }
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
    pub fn find(args: &AnsibleArgs, dirs: &StateDirs) -> Result<Self, AnsibleError> {
        let dir = find::playbooks(args)?;
        let program = find::program(args, dirs, &dir)?;
        Ok(Ansible { dir, program })
    }

    /// One of Ansible's programs.
    pub fn program(&self, name: &Path) -> PathBuf {
        self.program.with_file_name(name)
    }

    /// Run a playbook on the cluster's inventory.
    ///
    /// # Errors
    /// When a task fails, the deadline passes or we are interrupted.
    pub fn run(
        &self,
        play: &Play<'_>,
        dirs: &StateDirs,
        cluster: &ClusterFiles,
        interrupted: &Arc<AtomicBool>,
    ) -> Result<Summary, AnsibleError> {
        let Play { playbook, deadline, .. } = *play;
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
        if !play.variables.is_empty() {
            // In a file: an argument is shown to all users of this host, and ends at 128 KiB (execve(2)).
            let path = cluster.log_dir().join(format!("{playbook}.vars.json"));
            files::write(&path, Value::Object(play.variables.clone()).to_string(), 0o600)?;
            let mut file = OsString::from("@");
            file.push(path);
            ansible.arg("--extra-vars").arg(file);
        }
        if !play.nodes.is_empty() {
            let names: Vec<_> = play.nodes.iter().map(Name::as_str).collect();
            ansible.arg("--limit").arg(names.join(","));
        }
        ansible.arg(self.dir.join(format!("{playbook}.yml")));
        let shown = format!("ANSIBLE_CONFIG={} {}", self.dir.join("ansible.cfg").display(), command::shown(&ansible));
        ansible.env("ANSIBLE_CONFIG", self.dir.join("ansible.cfg"));
        ansible.env("ANSIBLE_SSH_CONTROL_PATH_DIR", &connections.dir);
        ansible.env("KUBEADM_SYSTEMD_EVENTS", &events_path);
        // The playbooks' directory is a package's: nothing compiled may be left there.
        ansible.env("PYTHONDONTWRITEBYTECODE", "1");
        ansible.stdin(Stdio::null()).stderr(log.try_clone().map_err(FileError::of("write", &log_path))?).stdout(log);
        // A group of its own: Ctrl-C is for us, who end Ansible (`end`).
        ansible.process_group(0);
        // What Ansible fetches are secrets. Killed with SIGKILL, we end nothing: then the kernel asks Ansible to end,
        // as we would. It does so when this thread ends, which waits for Ansible.
        // SAFETY: umask and prctl are system calls that touch no memory of ours: async-signal-safe (signal-safety(7)).
        unsafe {
            ansible.pre_exec(|| {
                umask(Mode::from_bits_truncate(0o077));
                Ok(set_pdeathsig(Signal::SIGTERM)?)
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
                None => thread::sleep(LOOK),
            }
        };
        print(events.read());
        match ended {
            Ok(status) if status.success() => Ok(summary),
            Ok(_) => Err(AnsibleError::Failed { failures: summary.failures, log: log_path, command: shown }),
            Err(error) => {
                end(child, PATIENCE);
                Err(error)
            }
        }
    }
}

/// End Ansible, which has a group of its own, and what it has started.
fn end(mut ansible: Child, patience: Duration) {
    let pid = Pid::from_raw(ansible.id().cast_signed());
    // A worker has a session of its own (setsid(2), ansible-core 2.19), which a signal for the group does not reach.
    // Asked by SIGTERM, Ansible ends its workers, and each of them what it runs.
    let _ = kill(pid, Signal::SIGTERM);
    let asked = Instant::now();
    // Left unreaped: so the group's id is nobody else's.
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    while asked.elapsed() < patience && waitid(Id::Pid(pid), flags) == Ok(WaitStatus::StillAlive) {
        thread::sleep(LOOK);
    }
    // One that does not listen; and the workers of an older Ansible, which SIGTERM ends without them.
    let _ = killpg(pid, Signal::SIGKILL);
    let _ = ansible.wait();
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
            let mut control = OsString::from("ControlPath=");
            control.push(self.dir.join(socket));
            let mut ssh = Command::new("ssh");
            ssh.args(["-F", "none", "-O", "exit", "-o"]).arg(control).arg("any");
            let _ = ssh.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

    use super::*;

    /// End a shell that runs `script`, once it has printed the id of a process; whether that has ended, too.
    fn ends(script: &str, patience: Duration) -> bool {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).process_group(0).stdout(Stdio::piped());
        let mut shell = shell.spawn().expect("it runs");
        let mut line = String::new();
        BufReader::new(shell.stdout.take().expect("piped")).read_line(&mut line).expect("readable");
        end(shell, patience);
        let stat = PathBuf::from(format!("/proc/{}/stat", line.trim()));
        let asked = Instant::now();
        // One that nobody has waited for yet does not count.
        let runs = || fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
        while runs() && asked.elapsed() < Duration::from_secs(20) {
            thread::sleep(LOOK);
        }
        !runs()
    }

    #[test]
    fn a_worker_with_a_session_of_its_own_is_ended_by_ansible() {
        let script = "setsid sleep 1000 & trap 'kill $!; exit' TERM; echo $!; wait";
        assert!(ends(script, Duration::from_secs(20)));
    }

    #[test]
    fn what_does_not_listen_is_killed_with_its_group() {
        assert!(ends("trap '' TERM; sleep 1000 & echo $!; wait", Duration::from_millis(100)));
        // It ends at once, and leaves its child.
        assert!(ends("sleep 1000 & echo $!; wait", Duration::from_secs(20)));
    }
}
