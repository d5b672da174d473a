//! Make a node's directory: its identity in the upper directory, its data, its share of the image store.

use std::fs;
use std::path::Path;

use foundation::files::{self, FileError};
use foundation::resolv_conf;
use foundation::state::StateDirs;

use crate::clone::{self, CloneError};
use crate::cluster::{Cluster, ClusterError};
use crate::node::Node;
use crate::node::keys::{self, KeyError};
use crate::node::nspawn;

/// Why a node's directory could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its host key could not be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Its cluster could not be read.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Its share of the image store could not be cloned.
    #[error("cannot clone the image store")]
    Clone(#[from] CloneError),
}

/// Make the directory of a new node. `node.json` is written last: what has none is half-made and removed by the next
/// command that meets it.
///
/// # Errors
/// When the file system refuses (full, read-only) or a key cannot be made.
pub fn node(dirs: &StateDirs, cluster: &Cluster, node: &Node) -> Result<(), PrepareError> {
    let dir = node.dir(dirs);
    files::remove_tree(&dir)?;
    for part in ["upper", "work", "root"].into_iter().chain(nspawn::BINDS.map(|(part, _)| part)) {
        let part = dir.join(part);
        fs::create_dir_all(&part).map_err(FileError::of("create", &part))?;
    }
    clone::image_store(&node.generation.join("containerd"), &dir.join("containerd"))?;
    identity(&dir.join("upper"), cluster, node)?;
    node.save(dirs)?;
    Ok(())
}

/// Who the node is: names, addresses, keys.
fn identity(upper: &Path, cluster: &Cluster, node: &Node) -> Result<(), PrepareError> {
    let write = |path: &str, content: &str, mode| files::write_durably(&upper.join(path), content, mode);
    write("etc/hostname", &format!("{}\n", node.name), 0o644)?;
    write("etc/hosts", &format!("127.0.0.1 localhost\n::1 localhost\n{} {}\n", node.address, node.name), 0o644)?;
    write("etc/resolv.conf", &resolv_conf::of_host()?, 0o644)?;
    write("etc/machine-id", &format!("{:032x}\n", rand::random::<u128>()), 0o444)?;
    let host_key = upper.join("etc/ssh/ssh_host_ed25519_key");
    keys::ensure(&host_key, &node.machine_name())?;
    write("root/.ssh/authorized_keys", &format!("{}\n", cluster.user_key()?.public), 0o600)?;
    for private in ["root", "root/.ssh"] {
        let path = upper.join(private);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(&path, mode).map_err(FileError::of("set the mode of", &path))?;
    }
    Ok(())
}
