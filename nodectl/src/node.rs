//! A node on disk: what was decided when it was made, and where its things are.

pub(crate) mod cgroup;
pub(crate) mod cnispawn;
pub(crate) mod directory;
pub(crate) mod end;
mod file;
pub(crate) mod host_files;
pub(crate) mod keys;
pub(crate) mod limits;
pub(crate) mod machine;
pub(crate) mod mounts;
pub(crate) mod namespaces;
pub(crate) mod nspawn;
pub(crate) mod privileges;
pub(crate) mod ready;
pub(crate) mod spec;
pub(crate) mod supervise;

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use foundation::files::{self, FileError};
use foundation::lock::Lock;
use foundation::name::Name;
use foundation::record::Role;
use foundation::state::StateDirs;

use self::file::File;
use self::limits::Limits;
use crate::host::etc_hosts::Entry;

/// A node.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Its name.
    pub(crate) name: Name,
    /// Its cluster.
    pub(crate) cluster: Name,
    /// Its place in the cluster.
    pub(crate) role: Role,
    /// Its addresses, kept over restarts; never empty. The first is the one that others use.
    pub(crate) addresses: Vec<IpAddr>,
    /// Its image's name.
    pub(crate) image: Name,
    /// Directory of the image's build: `rootfs/` is the lower directory of the node's root.
    pub(crate) generation: PathBuf,
    /// How much of the host it may use.
    pub(crate) limits: Limits,
    /// Where its cluster's and its machine's files are.
    pub(crate) dirs: StateDirs,
}

impl Node {
    /// Read a node; `None` when it does not exist, or was not made to the end.
    ///
    /// # Errors
    /// Its `node.json` is malformed, or names another node: changing "this" node would then change the other.
    pub(crate) fn load(dirs: &StateDirs, cluster: &Name, name: &Name) -> Result<Option<Self>, FileError> {
        let path = dirs.node(cluster, name).join("node.json");
        let Some(file) = files::read_json::<File>(&path)? else { return Ok(None) };
        if file.name != *name || file.cluster != *cluster {
            let other = io::Error::other(format!("it is of node {} of cluster {}", file.name, file.cluster));
            return Err(FileError::of("use", &path)(other));
        }
        Ok(Some(file.into_node(dirs)))
    }

    /// Read all nodes of a cluster, in the order of their names.
    ///
    /// # Errors
    /// As [`Node::load`].
    pub(crate) fn all(dirs: &StateDirs, cluster: &Name) -> Result<Vec<Self>, FileError> {
        let names = files::names_in(&dirs.nodes(cluster))?.into_iter().filter_map(|name| name.parse().ok());
        names.filter_map(|name| Self::load(dirs, cluster, &name).transpose()).collect()
    }

    /// Write `node.json`.
    pub(crate) fn save(&self) -> Result<(), FileError> {
        files::write_json(&self.dir().join("node.json"), &File::of(self))
    }

    /// The address that others use.
    pub(crate) fn address(&self) -> IpAddr {
        self.addresses[0]
    }

    /// The machine's name on the host, unique over clusters: systemd-nspawn's, and its network namespace's.
    pub(crate) fn machine_name(&self) -> String {
        format!("{}.{}", self.name, self.cluster)
    }

    /// The node's line in /etc/hosts.
    pub(crate) fn hosts_entry(&self) -> Entry {
        Entry { address: self.address(), name: self.name.clone(), cluster: self.cluster.clone() }
    }

    /// Its directory.
    pub(crate) fn dir(&self) -> PathBuf {
        self.dirs.node(&self.cluster, &self.name)
    }

    /// Where its root is mounted, in the machine's own mount namespace.
    pub(crate) fn root_dir(&self) -> PathBuf {
        self.dir().join("root")
    }

    /// Where its console's output goes.
    pub(crate) fn console_log(&self) -> PathBuf {
        self.dir().join("console.log")
    }

    /// Where cgroup hierarchies are mounted that the host lacks.
    pub(crate) fn cgroup_mounts(&self) -> PathBuf {
        self.dirs.run.join("cgroup")
    }

    /// Take the lock under which its machine is started and ended.
    ///
    /// # Errors
    /// As [`Lock::take_patiently`].
    pub(crate) fn lock(dirs: &StateDirs, cluster: &Name, node: &Name) -> Result<Lock, FileError> {
        Lock::take_patiently(&dirs.lock(&format!("node-{node}.{cluster}")))
    }

    /// Forbid launches: its removal begins. `node.json` stays until all else is gone, so that an interrupted removal can
    /// be finished.
    pub(crate) fn mark_removed(&self) -> Result<(), FileError> {
        files::write_durably(&self.removed_mark(), "", 0o600)
    }

    /// Whether its removal has begun.
    pub(crate) fn is_removed(&self) -> bool {
        self.removed_mark().exists()
    }

    fn removed_mark(&self) -> PathBuf {
        self.dir().join("removed")
    }

    /// The lower directory of its root.
    pub(crate) fn rootfs(&self) -> PathBuf {
        self.generation.join("rootfs")
    }
}
