//! The directories and files of cnispawn.

use std::path::{Path, PathBuf};

use foundation::name::MachineName;

use crate::cni::Cache;

/// Our directories and libcni's. With other ones for all three, another set of containers runs beside this one.
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

    /// The lock of a container, held while it is set up, watched and undone.
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

    /// The lock of the iptables chains, of all networks.
    pub(crate) fn chains_lock(&self) -> PathBuf {
        self.run_dir.join("iptables.lock")
    }

    /// The lock for telling the host's other programs of bridges.
    pub(crate) fn host_lock(&self) -> PathBuf {
        self.run_dir.join("host.lock")
    }

    /// The cache of results.
    pub(crate) fn cache(&self) -> Cache {
        self.cache_at(&self.cache_dir)
    }

    /// The cache of results in another directory, which a record names.
    pub(crate) fn cache_at(&self, cache_dir: &Path) -> Cache {
        Cache::new(cache_dir, self.run_dir.join("partial"))
    }

    /// The configuration of the built-in network.
    pub(crate) fn builtin_conf(&self) -> PathBuf {
        self.state_dir.join("cnispawn0.conflist")
    }

    /// A container's /etc/resolv.conf, if its networks name nameservers.
    pub(crate) fn resolv_conf(&self, name: &MachineName) -> PathBuf {
        self.run_containers().join(format!("{name}.resolv.conf"))
    }

    /// The log of a container's watcher, removed with the container.
    pub(crate) fn watcher_log(&self, name: &MachineName) -> PathBuf {
        self.run_containers().join(format!("{name}.log"))
    }
}
