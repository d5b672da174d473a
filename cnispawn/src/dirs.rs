//! Where things are kept.

use std::path::{Path, PathBuf};

use foundation::name::MachineName;

use crate::cni::Cache;

/// Directories of our own and libcni's; moved together, two sets of containers don't know of each other.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Dirs {
    /// Cache of results, shared with libcni
    #[arg(long, global = true, value_name = "DIR", env = "CNISPAWN_CACHE_DIR", default_value = "/var/lib/cni")]
    pub cache_dir: PathBuf,
    /// Records of what must be undone; must survive a reboot, as the plugins' address stores do
    #[arg(long, global = true, value_name = "DIR", env = "CNISPAWN_STATE_DIR", default_value = "/var/lib/cnispawn")]
    pub state_dir: PathBuf,
    /// Locks and the watchers' logs
    #[arg(long, global = true, value_name = "DIR", env = "CNISPAWN_RUN_DIR", default_value = "/run/cnispawn")]
    pub run_dir: PathBuf,
}

impl Dirs {
    /// The records, one file for each container.
    pub(crate) fn records(&self) -> PathBuf {
        self.state_dir.join("containers")
    }

    /// The lock of a container, held while it is being set up, while it is watched, and while it is being undone.
    pub(crate) fn container_lock(&self, name: &MachineName) -> PathBuf {
        self.run_containers().join(format!("{name}.lock"))
    }

    /// The directory of the containers' locks and other files.
    pub(crate) fn run_containers(&self) -> PathBuf {
        self.run_dir.join("containers")
    }

    /// The lock of a network: shared for ADD and DEL, exclusive for GC and to delete its bridges.
    pub(crate) fn network_lock(&self, network: &str) -> PathBuf {
        self.run_dir.join("networks").join(format!("{network}.lock"))
    }

    /// The lock for removing iptables chains, of whatever network.
    pub(crate) fn chains_lock(&self) -> PathBuf {
        self.run_dir.join("iptables.lock")
    }

    /// The lock for what the host's other programs are told of bridges.
    pub(crate) fn host_lock(&self) -> PathBuf {
        self.run_dir.join("host.lock")
    }

    /// The cache of results.
    pub(crate) fn cache(&self) -> Cache {
        self.cache_at(&self.cache_dir)
    }

    /// The cache of results that was used when `cache_dir` was elsewhere.
    pub(crate) fn cache_at(&self, cache_dir: &Path) -> Cache {
        Cache::new(cache_dir, self.run_dir.join("partial"))
    }

    /// The configuration of the network that is built in.
    pub(crate) fn builtin_conf(&self) -> PathBuf {
        self.state_dir.join("cnispawn0.conflist")
    }

    /// A container's /etc/resolv.conf, where its networks name nameservers.
    pub(crate) fn resolv_conf(&self, name: &MachineName) -> PathBuf {
        self.run_containers().join(format!("{name}.resolv.conf"))
    }

    /// What a container's watcher has to say; gone when there was nothing.
    pub(crate) fn watcher_log(&self, name: &MachineName) -> PathBuf {
        self.run_containers().join(format!("{name}.log"))
    }
}
