//! Where things are kept: one directory that survives a reboot, one that does not.

use std::path::{Path, PathBuf};

use crate::name::Name;

/// The two directories under which everything lies. Both move by option or environment variable, so that tests
/// run beside a real cluster.
#[derive(Clone, Debug, clap::Args)]
pub struct StateDirs {
    /// Directory for what survives a reboot: images, nodes, keys
    #[arg(
        long = "state-dir",
        global = true,
        value_name = "DIR",
        env = "KUBEADM_SYSTEMD_STATE_DIR",
        default_value = "/var/lib/kubeadm-systemd"
    )]
    pub state: PathBuf,
    /// Directory for what does not survive a reboot: locks, saved sysctls
    #[arg(
        long = "run-dir",
        global = true,
        value_name = "DIR",
        env = "KUBEADM_SYSTEMD_RUN_DIR",
        default_value = "/run/kubeadm-systemd"
    )]
    pub run: PathBuf,
}

impl StateDirs {
    /// What builds share and may be deleted at any time: compiled programs, base systems, archives.
    pub fn cache(&self) -> PathBuf {
        self.state.join("cache")
    }

    /// All images.
    pub fn images(&self) -> PathBuf {
        self.state.join("images")
    }

    /// One image: `image.json`, its record, and a directory for each build.
    pub fn image(&self, image: &Name) -> PathBuf {
        self.images().join(image)
    }

    /// All clusters.
    pub fn clusters(&self) -> PathBuf {
        self.state.join("clusters")
    }

    /// One cluster: keys, kubeconfig, network configuration, nodes.
    pub fn cluster(&self, cluster: &Name) -> PathBuf {
        self.clusters().join(cluster)
    }

    /// All nodes of a cluster.
    pub fn nodes(&self, cluster: &Name) -> PathBuf {
        self.cluster(cluster).join("nodes")
    }

    /// One node: its record, its upper directory, what it mounts.
    pub fn node(&self, cluster: &Name, node: &Name) -> PathBuf {
        self.nodes(cluster).join(node)
    }

    /// A lock file's path. Locks lie in the run directory: none outlives a reboot.
    pub fn lock(&self, name: &str) -> PathBuf {
        self.run.join("locks").join(name)
    }

    /// The directory that survives a reboot.
    pub fn root(&self) -> &Path {
        &self.state
    }
}
