//! Make a node's directory: its identity in the upper directory, its data, its share of the image store.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use cnispawn::dns;

use crate::cluster::{Cluster, ClusterError};
use crate::command::{self, CommandError};
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
    Clone(#[source] CommandError),
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
    clone_image_store(&node.generation.join("containerd"), &dir.join("containerd"))?;
    identity(&dir.join("upper"), cluster, node)?;
    restricted_host(&dir.join("upper"))?;
    node.save(dirs)?;
    Ok(())
}

/// Content and snapshots never change once written: hard links do. The databases do change: copies.
fn clone_image_store(from: &Path, to: &Path) -> Result<(), PrepareError> {
    let mut cp = Command::new("cp");
    cp.args(["--archive", "--link", "--no-target-directory", "--"]).args([from, to]);
    command::output(&mut cp).map_err(PrepareError::Clone)?;
    for database in databases(to)? {
        let copy = database.with_added_extension("copy");
        let attempt = || -> io::Result<()> {
            fs::copy(&database, &copy)?;
            fs::rename(&copy, &database)
        };
        attempt().map_err(FileError::of("copy", &database))?;
    }
    Ok(())
}

/// containerd's bolt databases: `*/*.db`, one level down.
fn databases(store: &Path) -> Result<Vec<PathBuf>, FileError> {
    let mut databases = Vec::new();
    for plugin in files::entries(store)?.iter().map(|name| store.join(name)).filter(|path| path.is_dir()) {
        let names = files::entries(&plugin)?;
        databases.extend(names.iter().filter(|name| name.ends_with(".db")).map(|name| plugin.join(name)));
    }
    Ok(databases)
}

/// Who the node is: names, addresses, keys.
fn identity(upper: &Path, cluster: &Cluster, node: &Node) -> Result<(), PrepareError> {
    let write = |path: &str, content: &str, mode| files::write(&upper.join(path), content, mode);
    write("etc/hostname", &format!("{}\n", node.name), 0o644)?;
    write("etc/hosts", &format!("127.0.0.1 localhost\n::1 localhost\n{} {}\n", node.address, node.name), 0o644)?;
    write("etc/resolv.conf", &dns::of_host()?, 0o644)?;
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

/// What a node needs on a host without systemd as PID 1, or with cgroup version 1.
fn restricted_host(upper: &Path) -> Result<(), PrepareError> {
    let system = upper.join("etc/systemd/system");
    files::write(
        &system.join(CGROUP_UNIT),
        include_str!("../assets/restricted/kubeadm-systemd-cgroup.service"),
        0o644,
    )?;
    let wants = system.join("sysinit.target.wants");
    fs::create_dir_all(&wants).map_err(FileError::of("create", &wants))?;
    let link = wants.join(CGROUP_UNIT);
    symlink(Path::new("..").join(CGROUP_UNIT), &link).map_err(FileError::of("link", &link))?;

    // Without CAP_SYS_RESOURCE nobody lowers oom_score_adj: runc would fail with "can't get final child's PID from pipe".
    let restrict = !caps::has_cap(None, caps::CapSet::Bounding, caps::Capability::CAP_SYS_RESOURCE).unwrap_or(true);
    let containerd = include_str!("../assets/restricted/containerd.toml").replace("@RESTRICT@", &restrict.to_string());
    files::write(&upper.join("etc/containerd/conf.d/10-host.toml"), containerd, 0o644)?;
    Ok(())
}

const CGROUP_UNIT: &str = "kubeadm-systemd-cgroup.service";
