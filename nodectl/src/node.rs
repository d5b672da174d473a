//! A node on disk: what is decided once, when it is made, and what is true of its running machine.

pub mod adapt;
pub mod cgroup;
pub mod end;
pub mod keys;
pub mod limits;
pub mod nspawn;
pub mod prepare;
pub mod privileges;
pub mod ready;
pub mod unit;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use foundation::files::{self, FileError};
use foundation::lock::Lock;
use foundation::name::Name;
use foundation::process::Process;
use foundation::record::{NodeRecord, Role, Ssh, State, untrusted};
use foundation::state::StateDirs;
use serde::{Deserialize, Serialize};
use serde_json::Map;

use crate::cluster::Cluster;
use crate::commands::exec;
use crate::node::limits::Limits;

/// What is decided when a node is made: `node.json` in its directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: Name,
    /// Its cluster.
    pub cluster: Name,
    /// Its place in the cluster.
    pub role: Role,
    /// Its address, kept over restarts.
    pub address: Ipv4Addr,
    /// Its image's name.
    pub image: Name,
    /// Directory of the image's build: `rootfs/` is the lower directory of its root.
    #[serde(deserialize_with = "untrusted::image_dir")]
    pub generation: PathBuf,
    /// How much of the host it may take.
    #[serde(default)]
    pub limits: Limits,
}

/// What is true of a node's machine while it runs; kept in the run directory, where a reboot of the host clears it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// cnispawn, then systemd-nspawn: exec keeps the process.
    pub supervisor: Process,
    /// The machine's own PID 1, as the host sees it.
    pub leader: Option<Process>,
    /// The node's cgroup in each hierarchy, as /proc/PID/cgroup shows both: `memory`, `name=systemd`, `` for v2. None
    /// when they are systemd's, which removes them.
    pub cgroups: BTreeMap<String, PathBuf>,
    /// What its systemd last said.
    pub state: State,
}

impl Node {
    /// The machine's name on the host, unique over clusters: systemd-nspawn's, and its network namespace's.
    pub fn machine_name(&self) -> String {
        format!("{}.{}", self.name, self.cluster)
    }

    /// Its directory.
    pub fn dir(&self, dirs: &StateDirs) -> PathBuf {
        dirs.node(&self.cluster, &self.name)
    }

    /// Where its console's output goes.
    pub fn console_log(&self, dirs: &StateDirs) -> PathBuf {
        self.dir(dirs).join("console.log")
    }

    /// Hold the right to start or end its machine.
    ///
    /// # Errors
    /// When the lock's file cannot be made.
    pub fn lock(dirs: &StateDirs, cluster: &Name, node: &Name) -> Result<Lock, FileError> {
        Lock::take_patiently(&dirs.lock(&format!("node-{node}.{cluster}")))
    }

    /// Change what is known of its machine, if anything is.
    ///
    /// # Errors
    /// When the record cannot be read or written.
    pub fn update_machine(&self, dirs: &StateDirs, change: impl FnOnce(&mut Machine)) -> Result<(), FileError> {
        let _lock = Self::lock(dirs, &self.cluster, &self.name)?;
        if let Some(mut machine) = self.machine(dirs)? {
            change(&mut machine);
            files::write_json(&self.machine_path(dirs), &machine)?;
        }
        Ok(())
    }

    /// Read a node; `None` when there is none, or half of one.
    ///
    /// # Errors
    /// When its record cannot be read, or is another node's: what is then done to "it" would be done to that.
    pub fn load(dirs: &StateDirs, cluster: &Name, name: &Name) -> Result<Option<Self>, FileError> {
        let path = dirs.node(cluster, name).join("node.json");
        let node: Option<Self> = files::read_json(&path)?;
        match node {
            Some(node) if node.name != *name || node.cluster != *cluster => {
                let other = io::Error::other(format!("it is of node {} of cluster {}", node.name, node.cluster));
                Err(FileError::of("use", &path)(other))
            }
            node => Ok(node),
        }
    }

    /// Read all nodes of a cluster, in the order of their names.
    ///
    /// # Errors
    /// As [`Node::load`].
    pub fn all(dirs: &StateDirs, cluster: &Name) -> Result<Vec<Self>, FileError> {
        let names = files::names_in(&dirs.nodes(cluster))?.into_iter().filter_map(|name| name.parse().ok());
        names.filter_map(|name| Self::load(dirs, cluster, &name).transpose()).collect()
    }

    /// Forbid to launch it: it is about to go. Its record stays until all else is gone, so that a removal that is cut
    /// short can be taken up again.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn mark_removed(&self, dirs: &StateDirs) -> Result<(), FileError> {
        files::write_durably(&self.dir(dirs).join("removed"), "", 0o600)
    }

    /// Whether it is about to go.
    pub fn is_removed(&self, dirs: &StateDirs) -> bool {
        self.dir(dirs).join("removed").exists()
    }

    /// Write its record.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn save(&self, dirs: &StateDirs) -> Result<(), FileError> {
        files::write_json(&self.dir(dirs).join("node.json"), self)
    }

    /// Path of what is known of its machine.
    pub fn machine_path(&self, dirs: &StateDirs) -> PathBuf {
        dirs.run.join("machines").join(format!("{}.json", self.machine_name()))
    }

    /// What is known of its machine; `None` when it was never started, or not since the host's reboot.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub fn machine(&self, dirs: &StateDirs) -> Result<Option<Machine>, FileError> {
        files::read_json(&self.machine_path(dirs))
    }

    /// What `systemctl is-system-running` says inside.
    ///
    /// # Errors
    /// When what is known of its machine cannot be read.
    pub fn system_state(&self, dirs: &StateDirs) -> Result<State, FileError> {
        let machine = self.machine(dirs)?;
        let Some(leader) = machine.as_ref().and_then(Machine::find_leader) else { return Ok(State::Starting) };
        // It ends non-zero in every state but `running`: what it prints is what counts.
        let output = exec::command(leader.pid, ["systemctl", "is-system-running"]).output();
        let said = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
        Ok(match said.as_str() {
            "running" => State::Running,
            "degraded" => State::Degraded,
            _ => State::Starting,
        })
    }

    /// The record that goes through pipes.
    ///
    /// # Errors
    /// When the machine's state cannot be read.
    pub fn record(&self, dirs: &StateDirs, cluster: &Cluster) -> Result<NodeRecord, FileError> {
        let machine = self.machine(dirs)?.filter(Machine::is_running);
        let state = match machine.as_ref().map(|machine| machine.state) {
            None => State::Stopped,
            // Nobody has waited for it since its unit was started anew: after a reboot from inside.
            Some(State::Starting) => self.system_state(dirs)?,
            Some(state) => state,
        };
        Ok(NodeRecord {
            name: self.name.clone(),
            cluster: self.cluster.clone(),
            role: self.role,
            addresses: vec![IpAddr::V4(self.address)],
            ssh: Ssh {
                user: "root".to_owned(),
                port: 22,
                private_key: cluster.dir.join("ssh/id_ed25519"),
                known_hosts: cluster.known_hosts(),
            },
            image: Some(self.image.clone()),
            state: Some(state),
            pid: machine.and_then(|machine| machine.find_leader()).map(|leader| leader.pid),
            extra: Map::new(),
        })
    }
}

/// Whether /proc/PID/status shows two ids in `NSpid`, the inner one 1.
fn is_namespaces_init(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    ids.is_some_and(|ids| ids.split_whitespace().skip(1).last() == Some("1"))
}

impl Machine {
    /// Whether anything of it still runs.
    pub fn is_running(&self) -> bool {
        self.supervisor.is_alive() || self.leader.as_ref().is_some_and(Process::is_alive)
    }

    /// The machine's PID 1: the one put down, or, when its start was cut short before that, the child of the
    /// supervisor that is PID 1 in a namespace of its own.
    pub fn find_leader(&self) -> Option<Process> {
        if let Some(leader) = self.leader.as_ref() {
            return leader.is_alive().then(|| leader.clone());
        }
        let pid = self.supervisor.pid;
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
        let mut children = children.split_whitespace().filter_map(|child| child.parse().ok());
        let leader = children.find(|child| is_namespaces_init(*child))?;
        self.supervisor.is_alive().then(|| Process::of(leader).ok())?
    }
}
