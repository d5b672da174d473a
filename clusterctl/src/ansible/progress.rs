//! What goes on while a playbook runs: kubeadm's output goes to the log as it is printed, and the user is told what is being
//! waited for.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use foundation::command;
use foundation::name::Name;
use nix::sys::signal::Signal;

use super::events::Event;
use crate::inventory::Inventory;
use crate::ssh;

/// How the names of tasks begin that run kubeadm, and what follows its output on the node (role kubeadm, `kubeadm_log`).
const KUBEADM: &str = "Run kubeadm ";
const FOLLOW: &str = "\
log=/var/log/kubeadm.log lines=0
# Written just now: kubeadm was faster than we. An older one is of an earlier run, and kubeadm's task replaces it.
[ $(($(date +%s) - $(stat -c %Y $log 2>/dev/null || echo 0))) -gt 1 ] || lines=+1
exec tail --lines=$lines --follow=name --retry $log 2>/dev/null";

/// After how long, and then how often, the user is told what is being waited for.
const SILENCE: Duration = Duration::from_secs(15);

/// Tasks that run, and what kubeadm prints meanwhile.
pub(super) struct Progress {
    inventory: Option<Inventory>,
    /// Where Ansible's connections are.
    connections: PathBuf,
    log: Arc<File>,
    running: BTreeMap<String, Task>,
    followers: Vec<Child>,
}

struct Task {
    name: String,
    begun: Instant,
    told: Instant,
    last_line: Arc<Mutex<String>>,
}

impl Progress {
    pub(super) fn new(inventory: Option<Inventory>, connections: PathBuf, log: File) -> Self {
        Progress { inventory, connections, log: Arc::new(log), running: BTreeMap::new(), followers: Vec::new() }
    }

    /// Take an event into account.
    pub(super) fn see(&mut self, event: &Event) {
        match event {
            Event::Begin { host, task } => {
                let now = Instant::now();
                let last_line = Arc::default();
                if task.starts_with(KUBEADM) {
                    self.follow(host, &last_line);
                }
                self.running.insert(host.clone(), Task { name: task.clone(), begun: now, told: now, last_line });
            }
            Event::Step { host, .. } | Event::Skip { host } => {
                self.running.remove(host);
            }
            _ => {}
        }
    }

    /// Tell what is being waited for, if that was not told lately.
    pub(super) fn tell(&mut self) {
        for (host, task) in self.running.iter_mut().filter(|(_, task)| task.told.elapsed() >= SILENCE) {
            task.told = Instant::now();
            let last_line = task.last_line.lock().unwrap_or_else(PoisonError::into_inner);
            let said = if last_line.is_empty() { String::new() } else { format!(": {last_line}") };
            let _ =
                writeln!(io::stderr(), "{:7.1}s {host:12} {} ...{said}", task.begun.elapsed().as_secs_f64(), task.name);
        }
    }

    /// Append what kubeadm prints on a node to the log, line by line, until the playbook has ended. What cannot be followed
    /// is shown when kubeadm has failed nevertheless.
    fn follow(&mut self, host: &str, last_line: &Arc<Mutex<String>>) {
        let Some(mut ssh) = self.inventory.as_ref().and_then(|inventory| {
            let node: Name = host.parse().ok()?;
            ssh::shared(inventory, &node, &self.connections)
        }) else {
            return;
        };
        ssh.arg(FOLLOW);
        command::end_with_us(&mut ssh, Signal::SIGTERM);
        let spawned = ssh.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let Ok(mut child) = spawned else { return };
        let Some(output) = child.stdout.take() else { return };
        self.followers.push(child);
        let (log, host, last_line) = (Arc::clone(&self.log), host.to_owned(), Arc::clone(last_line));
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // In one write each: Ansible appends to the same file.
                let _ = (&*log).write_all(format!("{host}: {line}\n").as_bytes());
                if !line.trim().is_empty() {
                    *last_line.lock().unwrap_or_else(PoisonError::into_inner) = line.replace(char::is_control, "");
                }
            }
        });
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        for follower in &mut self.followers {
            let _ = follower.kill();
            let _ = follower.wait();
        }
    }
}
