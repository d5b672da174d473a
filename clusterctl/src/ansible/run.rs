//! One run of ansible-playbook: start it, follow its events, and end it with all that it has started.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use foundation::command::{self, CommandError};
use foundation::files::{self, FileError};
use foundation::process::Process;
use foundation::state::StateDirs;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::stat::{Mode, umask};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::connections::Connections;
use super::events::{Reader, Summary};
use super::progress::Progress;
use super::{Ansible, AnsibleError, Play};
use crate::cluster::ClusterFiles;

/// How often to look whether Ansible has ended.
const LOOK: Duration = Duration::from_millis(20);

/// How long Ansible may take to end its workers.
const PATIENCE: Duration = Duration::from_secs(5);

/// A run of ansible-playbook. It ends when this is dropped.
pub(super) struct Run {
    child: Child,
    shown: String,
    log: PathBuf,
    events: Reader,
    progress: Progress,
    _connections: Connections,
}

impl Run {
    pub(super) fn new(
        with: &Ansible,
        play: &Play<'_>,
        dirs: &StateDirs,
        cluster: &ClusterFiles,
    ) -> Result<Self, AnsibleError> {
        let file = |kind| cluster.log_dir().join(format!("{}.{kind}", play.playbook));
        let (log_path, variables) = (file("log"), file("vars.json"));
        let log = open(&log_path)?;
        log.set_len(0).map_err(FileError::of("write", &log_path))?;
        files::write_durably(&variables, Value::Object(play.variables.clone()).to_string(), 0o600)?;
        let connections = Connections::new(dirs)?;
        // Of this run alone: `export-logs` does not wait for an `up`.
        let events = connections.dir.join("events");
        open(&events)?;
        let mut ansible = Command::new(&with.program);
        ansible.arg("--inventory").arg(cluster.inventory());
        // As JSON: of KEY=VALUE, Ansible would take a blank for the value's end.
        ansible.arg("--extra-vars").arg(json!({ "kubeadm_systemd_dir": cluster.dir() }).to_string());
        // In a file: an argument is shown to all users of this host, and ends at 128 KiB (execve(2)).
        let mut file = OsString::from("@");
        file.push(&variables);
        ansible.arg("--extra-vars").arg(file);
        ansible.arg(with.dir.join(format!("{}.yml", play.playbook)));
        let config = with.dir.join("ansible.cfg");
        let shown = format!("ANSIBLE_CONFIG={} {}", config.display(), command::shown(&ansible));
        ansible.env("ANSIBLE_CONFIG", config);
        ansible.env("ANSIBLE_SSH_CONTROL_PATH_DIR", &connections.dir);
        ansible.env("KUBEADM_SYSTEMD_EVENTS", &events);
        // The playbooks' directory is a package's: nothing compiled may be left there.
        ansible.env("PYTHONDONTWRITEBYTECODE", "1");
        ansible.stdin(Stdio::null()).stderr(log.try_clone().map_err(FileError::of("write", &log_path))?).stdout(log);
        // A group of its own: Ctrl-C reaches us alone, and we end Ansible (`end`).
        ansible.process_group(0);
        // If SIGKILL ends us, we end nothing: then the kernel sends Ansible SIGTERM, when this thread ends, which waits for
        // Ansible.
        command::end_with_us(&mut ansible, Signal::SIGTERM);
        // Ansible fetches secrets.
        // SAFETY: umask is a system call that touches no memory of ours: async-signal-safe (signal-safety(7)).
        unsafe {
            ansible.pre_exec(|| {
                umask(Mode::from_bits_truncate(0o077));
                Ok(())
            });
        }
        let progress = Progress::new(cluster.open().ok(), connections.dir.clone(), open(&log_path)?);
        let child = ansible.spawn().map_err(|source| CommandError::Spawn { command: shown.clone(), source })?;
        let events = Reader::open(&events)?;
        Ok(Run { child, shown, log: log_path, events, progress, _connections: connections })
    }

    /// Wait until the playbook has ended.
    pub(super) fn run(mut self, deadline: Duration, interrupted: &AtomicBool) -> Result<Summary, AnsibleError> {
        let started = Instant::now();
        let mut summary = Summary::default();
        let log = self.log.clone();
        let is_success = loop {
            self.read_events(&mut summary);
            self.progress.tell();
            match self.status()? {
                Some(is_success) => break is_success,
                None if interrupted.load(Ordering::Relaxed) => return Err(AnsibleError::Interrupted { log }),
                None if started.elapsed() > deadline => {
                    let (seconds, command) = (deadline.as_secs(), self.shown.clone());
                    return Err(AnsibleError::Deadline { seconds, log, command });
                }
                None => thread::sleep(LOOK),
            }
        };
        self.read_events(&mut summary);
        if is_success {
            return Ok(summary);
        }
        Err(AnsibleError::Failed { failures: summary.failures, log, command: self.shown.clone() })
    }

    /// Take into account what has happened, and tell the user.
    fn read_events(&mut self, summary: &mut Summary) {
        for event in self.events.read() {
            self.progress.see(&event);
            if let Some(line) = summary.add(event) {
                let _ = writeln!(std::io::stderr(), "{line}");
            }
        }
    }

    /// Whether it has succeeded, if it has ended.
    fn status(&mut self) -> Result<Option<bool>, AnsibleError> {
        let ended = self.child.try_wait().map_err(FileError::of("wait for Ansible, whose log is", &self.log))?;
        Ok(ended.map(|status| status.success()))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            end(&mut self.child, PATIENCE);
        }
    }
}

/// End Ansible, which has a group of its own, and what it has started.
fn end(ansible: &mut Child, patience: Duration) {
    let pid = Pid::from_raw(ansible.id().cast_signed());
    let process = Process::of(pid.as_raw());
    // A worker has a session of its own (setsid(2), ansible-core 2.19), which a signal for the group does not reach.
    // Asked by SIGTERM, Ansible ends its workers, and each of them what it runs.
    let _ = kill(pid, Signal::SIGTERM);
    // Not reaped yet, so the group's id cannot be taken by another.
    let _ = process.map(|process| process.wait_ended(patience));
    // One that does not listen; and the workers of an older Ansible, which SIGTERM ends without them.
    let _ = killpg(pid, Signal::SIGKILL);
    let _ = ansible.wait();
}

/// A file to append to, and its directory.
fn open(path: &Path) -> Result<File, FileError> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(dir).map_err(FileError::of("create", dir))?;
    let mut options = fs::OpenOptions::new();
    options.append(true).create(true).mode(0o600).open(path).map_err(FileError::of("open", path))
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
        let process = Process::of(line.trim().parse().expect("an id")).expect("it runs");
        end(&mut shell, patience);
        // A zombie counts as ended.
        process.wait_ended(Duration::from_secs(20))
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
