//! A cluster before its first node: planned first, made once all that is to be in it is planned too.

use foundation::files;
use foundation::lock::Lock;
use foundation::name::Name;
use foundation::state::StateDirs;

use super::network::Network;
use super::{Cluster, ClusterError, remove, taken_subnets};

/// A cluster that exists, or one that is planned.
pub(crate) struct Draft {
    cluster: Cluster,
    /// While a cluster is planned: clusters that were planned at the same time would choose the same subnet.
    planning: Option<Lock>,
}

impl Draft {
    /// Take the cluster that exists, or plan one whose network overlaps neither the host's routes nor the other clusters.
    ///
    /// # Errors
    /// No subnet is free.
    pub(crate) fn plan(dirs: &StateDirs, name: &Name, existing: Option<&Cluster>) -> Result<Self, ClusterError> {
        if let Some(cluster) = existing {
            return Ok(Draft { cluster: cluster.clone(), planning: None });
        }
        let planning = Lock::take_patiently(&dirs.lock("subnets"))?;
        let network = Network::plan(name, &taken_subnets(dirs)?)?;
        let cluster = Cluster { name: name.clone(), dir: dirs.cluster(name), network };
        Ok(Draft { cluster, planning: Some(planning) })
    }

    /// The cluster as it will be.
    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Make the cluster, unless it exists.
    ///
    /// # Errors
    /// The file system is full, say, or ssh-keygen fails: nothing is left then.
    pub(crate) fn make(self, dirs: &StateDirs) -> Result<Cluster, ClusterError> {
        dirs.make_private()?;
        if self.planning.is_some() {
            self.cluster.make().inspect_err(|_| {
                // The first error is the one to report.
                let _ = remove::shared_parts(&self.cluster.dir);
            })?;
        }
        Ok(self.cluster)
    }
}

impl Cluster {
    fn make(&self) -> Result<(), ClusterError> {
        let conflist = self.network.conflist(&self.ipam_dir());
        files::write_json(&self.conf_dir().join("10-nodes.conflist"), &conflist)?;
        self.user_key()?;
        // Last: a cluster that has network.json is complete.
        files::write_json(&self.dir.join("network.json"), &self.network)?;
        Ok(())
    }
}
