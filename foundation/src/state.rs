//! Where things are kept: one directory that survives a reboot, one that does not.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::files::{FileError, create_private_dir};
use crate::name::Name;

/// The two directories below which all state is kept. Options or environment variables move both, so that tests can run
/// beside a real cluster.
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
    /// What can be made again, and may be deleted while nothing runs: compiled programs, base systems, archives.
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

    /// Make the directories that hold keys and nodes' file systems, for root alone. Another user who could enter them
    /// could run the setuid programs there, old ones and those that a node's root makes on purpose; and could block our
    /// locks, as flock(2) needs only a file that can be opened for reading.
    pub fn make_private(&self) -> Result<(), FileError> {
        let runs = ["locks", "machines", "notify", "ssh"].map(|name| self.run.join(name));
        for dir in [self.cache(), self.images(), self.clusters()].into_iter().chain(runs) {
            create_private_dir(&dir)?;
            // An earlier version may have made it with a wider mode.
            fs::set_permissions(&dir, Permissions::from_mode(0o700)).map_err(FileError::of("set the mode of", &dir))?;
        }
        Ok(())
    }

    /// Check that no symbolic link in a cluster's directory could make us write elsewhere. The nodes' own file systems
    /// may contain any links.
    ///
    /// # Errors
    /// The directory, or one of the three levels below it, is or contains a symbolic link.
    pub fn refuse_links(&self, cluster: &Name) -> Result<(), FileError> {
        // The cluster's directory, `nodes`, `nodes/NAME`, `nodes/NAME/upper`.
        for entry in WalkDir::new(self.cluster(cluster)).max_depth(3).follow_root_links(false) {
            // One that is gone in the meantime, or never was, is no link.
            let Ok(entry) = entry else { continue };
            if entry.path_is_symlink() {
                return Err(FileError::of("use", entry.path())(io::Error::other("it is a symbolic link")));
            }
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn dirs(dir: &Path) -> StateDirs {
        StateDirs { state: dir.join("state"), run: dir.join("run") }
    }

    #[test]
    fn directories_that_were_open_to_all_are_closed() {
        let dir = tempfile::tempdir().expect("a directory");
        let dirs = dirs(dir.path());
        fs::create_dir_all(dirs.images()).expect("made");
        fs::set_permissions(dirs.images(), Permissions::from_mode(0o755)).expect("set");
        dirs.make_private().expect("made");
        for path in [dirs.images(), dirs.clusters(), dirs.cache(), dirs.run.clone(), dirs.run.join("locks")] {
            assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o700, "{}", path.display());
        }
    }

    #[test]
    fn a_link_out_of_a_clusters_directory_is_refused_and_one_in_a_node_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let dirs = dirs(dir.path());
        let cluster: Name = "dev".parse().expect("a label");
        dirs.refuse_links(&cluster).expect("nothing there");
        fs::create_dir_all(dirs.nodes(&cluster).join("node1/upper")).expect("made");
        symlink("/etc", dirs.nodes(&cluster).join("node1/upper/link")).expect("linked");
        dirs.refuse_links(&cluster).expect("the node's own");
        for path in ["log", "nodes/node2", "nodes/node1/kubelet"] {
            let link = dirs.cluster(&cluster).join(path);
            symlink("/etc", &link).expect("linked");
            let error = crate::error_chain(&dirs.refuse_links(&cluster).expect_err(path));
            assert!(error.ends_with(&format!("clusters/dev/{path}: it is a symbolic link")), "{error}");
            fs::remove_file(&link).expect("removed");
        }
        symlink(dirs.cluster(&cluster), dirs.clusters().join("other")).expect("linked");
        assert!(dirs.refuse_links(&"other".parse().expect("a label")).is_err());
    }
}
