//! Make a node's directory: its identity in the upper directory, its data, its share of the image store.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use crate::clone::{self, CloneError};
use crate::cluster::{Cluster, ClusterError};
use crate::files::{self, FileError};
use crate::keys::{self, KeyError};
use crate::node::Node;
use crate::nspawn;
use crate::state::StateDirs;

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
    let write = |path: &str, content: &str, mode| files::write(&upper.join(path), content, mode);
    write("etc/hostname", &format!("{}\n", node.name), 0o644)?;
    write("etc/hosts", &format!("127.0.0.1 localhost\n::1 localhost\n{} {}\n", node.address, node.name), 0o644)?;
    write("etc/resolv.conf", &resolv_conf()?, 0o644)?;
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

/// Nameservers that a node can reach. The host's own file may name a stub on loopback (systemd-resolved(8)), which is
/// another address inside the node; systemd-resolved keeps the real ones beside it.
fn resolv_conf() -> Result<String, FileError> {
    let path = Path::new("/etc/resolv.conf");
    let own = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        other => other.map_err(FileError::of("read", path))?,
    };
    if own.lines().any(is_loopback_server)
        && let Ok(real) = fs::read_to_string("/run/systemd/resolve/resolv.conf")
    {
        return Ok(real);
    }
    let kept = own.lines().filter(|line| !is_loopback_server(line));
    Ok(kept.map(|line| format!("{line}\n")).collect())
}

fn is_loopback_server(line: &str) -> bool {
    let mut words = line.split_whitespace();
    words.next() == Some("nameserver")
        && words.next().is_some_and(|server| server.parse::<IpAddr>().is_ok_and(|server| server.is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stub_resolver_on_loopback_is_of_no_use_inside_a_node() {
        assert!(is_loopback_server("nameserver 127.0.0.53"));
        assert!(is_loopback_server("nameserver  ::1"));
        assert!(!is_loopback_server("nameserver 10.0.0.1"));
        assert!(!is_loopback_server("search example.org"));
    }
}
