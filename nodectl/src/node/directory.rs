//! Make a node's directory: its identity in the upper directory, its data, its share of the image store.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use foundation::files::{self, FileError};

use super::keys::{self, KeyError};
use super::{Node, nspawn};
use crate::clone::{self, CloneError};

/// Why a node's directory could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its host key could not be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Its share of the image store could not be cloned.
    #[error("cannot clone the image store")]
    Clone(#[from] CloneError),
}

/// Make the directory of a new node, whose root the user of `authorized_key` may log in as. `node.json` is written last: a
/// directory without it is incomplete, and the next command that finds it removes it.
///
/// # Errors
/// The file system is full, say, or ssh-keygen fails.
pub(crate) fn make(node: &Node, authorized_key: &str) -> Result<(), DirectoryError> {
    let dir = node.dir();
    files::remove_tree(&dir)?;
    for part in ["upper", "work", "root"].into_iter().chain(nspawn::BINDS.map(|(part, _)| part)) {
        let part = dir.join(part);
        fs::create_dir_all(&part).map_err(FileError::of("create", &part))?;
    }
    clone::image_store(&node.generation.join("containerd"), &dir.join("containerd"))?;
    write_identity(&dir.join("upper"), node, authorized_key)?;
    node.save()?;
    Ok(())
}

/// Write the node's names, addresses and keys.
fn write_identity(upper: &Path, node: &Node, authorized_key: &str) -> Result<(), DirectoryError> {
    let write = |path: &str, content: &str, mode| files::write_durably(&upper.join(path), content, mode);
    let own: String = node.addresses.iter().map(|address| format!("{address} {}\n", node.name)).collect();
    write("etc/hostname", &format!("{}\n", node.name), 0o644)?;
    write("etc/hosts", &format!("127.0.0.1 localhost\n::1 localhost\n{own}"), 0o644)?;
    // A plain file, over which the launch binds the one with the host's nameservers.
    let resolv_conf = upper.join("etc/resolv.conf");
    fs::write(&resolv_conf, "").map_err(FileError::of("write", &resolv_conf))?;
    write("etc/machine-id", &format!("{:032x}\n", rand::random::<u128>()), 0o444)?;
    let host_key = upper.join("etc/ssh/ssh_host_ed25519_key");
    keys::ensure(&host_key, &node.machine_name())?;
    write("root/.ssh/authorized_keys", &format!("{authorized_key}\n"), 0o600)?;
    for private in ["root", "root/.ssh"] {
        let path = upper.join(private);
        fs::set_permissions(&path, Permissions::from_mode(0o700)).map_err(FileError::of("set the mode of", &path))?;
    }
    Ok(())
}
