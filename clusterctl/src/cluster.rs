//! What clusterctl keeps of a cluster, and where.

use std::fs::File;
use std::path::PathBuf;

use foundation::files::{self, FileError};
use foundation::lock::Lock;
use foundation::name::Name;
use foundation::state::StateDirs;

use crate::inventory::{Inventory, InventoryError};

/// A cluster that does not exist.
#[derive(Debug, thiserror::Error)]
#[error("cluster {0} does not exist: it has no inventory; `clusterctl up` makes one")]
pub(crate) struct Unknown(Name);

/// Why a cluster's inventory could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// The cluster does not exist.
    #[error(transparent)]
    Unknown(#[from] Unknown),
    /// The inventory cannot be used.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Paths of what clusterctl keeps of a cluster. nodectl keeps what it has of it in the same directory.
#[derive(Clone, Debug)]
pub(crate) struct ClusterFiles {
    name: Name,
    dir: PathBuf,
}

impl ClusterFiles {
    /// Of the cluster `name`.
    pub(crate) fn new(dirs: &StateDirs, name: &Name) -> Self {
        ClusterFiles { name: name.clone(), dir: dirs.cluster(name) }
    }

    /// Take the lock that every command takes which changes the cluster: concurrent ones would share its log and kubeadm.
    ///
    /// # Errors
    /// When the lock's file cannot be made, or something in the cluster's directory leads elsewhere.
    pub(crate) fn lock(&self, dirs: &StateDirs) -> Result<Lock, FileError> {
        dirs.refuse_links(&self.name)?;
        Lock::take_patiently(&dirs.lock(&format!("clusterctl-{}", self.name)))
    }

    /// The directory.
    pub(crate) fn dir(&self) -> &std::path::Path {
        &self.dir
    }

    /// The inventory that the cluster was made of.
    pub(crate) fn inventory(&self) -> PathBuf {
        self.dir.join("inventory.yml")
    }

    /// Make sure that the cluster is there.
    pub(crate) fn known(&self) -> Result<(), Unknown> {
        if self.inventory().is_file() { Ok(()) } else { Err(Unknown(self.name.clone())) }
    }

    /// Read the inventory that the cluster was made of.
    pub(crate) fn open(&self) -> Result<Inventory, OpenError> {
        self.known()?;
        let path = self.inventory();
        let (inventory, _) = Inventory::read(File::open(&path).map_err(FileError::of("open", &path))?)?;
        Ok(inventory)
    }

    /// The administrator's kubeconfig, mode 0600.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.dir.join("kubeconfig")
    }

    /// Ansible's output, and the events of the last run.
    pub(crate) fn log_dir(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// Remove what clusterctl keeps. nodectl's files in the directory stay.
    pub(crate) fn remove(&self) -> Result<(), FileError> {
        files::remove_tree(&self.log_dir())?;
        for file in [self.inventory(), self.kubeconfig(), self.dir.join("bootstrap-token")] {
            files::remove_if_exists(&file)?;
        }
        // Fails while nodectl keeps something in it, and then it should stay.
        let _ = std::fs::remove_dir(&self.dir);
        Ok(())
    }
}
