//! Become a node's machine, in two steps that keep the process: [`network`] execs cnispawn, which runs the CNI plugins
//! and execs [`boot`], which enters the cgroups, mounts the root and execs systemd-nspawn.
//!
//! The mounts come last and in a mount namespace of their own, so that the network namespace's bind mount is seen by
//! the whole host, and all other mounts vanish with the machine, however it ends.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use foundation::command::{self, CommandError};
use foundation::files::{self, FileError};
use foundation::name::Name;
use foundation::process::Process;
use foundation::record::State;
use foundation::state::StateDirs;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::cluster::{Cluster, ClusterError};
use crate::host::{Hierarchy, Host, Supervisor};
use crate::node::adapt;
use crate::node::cgroup::{self, ControllersError};
use crate::node::nspawn;
use crate::node::privileges;
use crate::node::{Machine, Node};

/// Set for the second step, which cnispawn execs as if it were systemd-nspawn: `CLUSTER/NODE`.
pub const BOOT_VARIABLE: &str = "KUBEADM_SYSTEMD_BOOT";

/// Why a machine could not be launched.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The node was removed in the meantime.
    #[error("node {node} of cluster {cluster} does not exist; `nodectl ls` lists those that do")]
    Unknown {
        /// The node.
        node: String,
        /// The cluster.
        cluster: String,
    },
    /// It runs already.
    #[error("node {node} runs already, as process {pid}")]
    Running {
        /// The node.
        node: Name,
        /// Its supervisor.
        pid: i32,
    },
    /// The cluster could not be read.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// There is no place for the node's cgroup.
    #[error(transparent)]
    Controllers(#[from] ControllersError),
    /// The file system or the kernel refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// A program is missing.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// exec failed.
    #[error("cannot run {}", path.display())]
    Exec {
        /// The program.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The mount namespace could not be made.
    #[error("cannot make a mount namespace; are you root, with CAP_SYS_ADMIN?")]
    Unshare(#[source] nix::Error),
}

/// The cnispawn that belongs to this nodectl: beside it, else in PATH.
///
/// # Errors
/// When there is none.
pub fn cnispawn() -> Result<PathBuf, CommandError> {
    let beside = std::env::current_exe().ok().map(|exe| exe.with_file_name("cnispawn"));
    match beside.filter(|path| path.is_file()) {
        Some(path) => Ok(path),
        None => command::find("cnispawn", "kubeadm-systemd"),
    }
}

/// A cnispawn command that keeps its state with ours.
///
/// # Errors
/// When there is no cnispawn.
pub fn cnispawn_command(dirs: &StateDirs, verb: &str) -> Result<Command, CommandError> {
    let mut cnispawn = Command::new(cnispawn()?);
    cnispawn.arg(verb);
    cnispawn.arg("--state-dir").arg(dirs.state.join("cnispawn"));
    cnispawn.arg("--cache-dir").arg(dirs.state.join("cni"));
    cnispawn.arg("--run-dir").arg(dirs.run.join("cnispawn"));
    Ok(cnispawn)
}

/// The command line that becomes a node's machine.
///
/// # Errors
/// When we do not know where we are.
pub fn command(dirs: &StateDirs, node: &Node) -> Result<Vec<OsString>, FileError> {
    let this = std::env::current_exe().map_err(FileError::of("read", Path::new("/proc/self/exe")))?;
    let mut words = vec![this.into(), "launch".into()];
    words.extend(["--cluster", node.cluster.as_str(), node.name.as_str(), "--state-dir"].map(OsString::from));
    words.push(dirs.state.clone().into());
    words.extend(["--run-dir".into(), dirs.run.clone().into()]);
    Ok(words)
}

fn find(dirs: &StateDirs, cluster: &str, node: &str) -> Result<Node, LaunchError> {
    let unknown = || LaunchError::Unknown { node: node.to_owned(), cluster: cluster.to_owned() };
    let cluster_name: Name = cluster.parse().map_err(|_| unknown())?;
    let node_name: Name = node.parse().map_err(|_| unknown())?;
    let node = Node::load(dirs, &cluster_name, &node_name)?;
    node.filter(|node| !node.is_removed(dirs)).ok_or_else(unknown)
}

/// First step: put down who we are, then become cnispawn. Returns only on failure.
///
/// # Errors
/// When the node does not exist or runs already.
pub fn network(dirs: &StateDirs, cluster: &Name, node: &Name) -> Result<std::convert::Infallible, LaunchError> {
    let lock = Node::lock(dirs, cluster, node)?;
    let node = find(dirs, cluster.as_str(), node.as_str())?;
    if let Some(machine) = node.machine(dirs)?.filter(Machine::is_running) {
        return Err(LaunchError::Running { node: node.name, pid: machine.supervisor.pid });
    }
    let proc = Path::new("/proc/self");
    let supervisor = Process::current().map_err(FileError::of("read", proc))?;
    let machine = Machine { supervisor, leader: None, cgroups: BTreeMap::new(), state: State::Starting };
    files::write_json(&node.machine_path(dirs), &machine)?;
    drop(lock);

    let cluster = Cluster::load(dirs, cluster)?;
    let host = Host::detect();
    adapt::write(host, dirs, &node)?;
    let mut cnispawn = cnispawn_command(dirs, "run")?;
    if host.supervisor == Supervisor::Systemd {
        // A watcher would end with the unit: ExecStopPost= undoes the network.
        cnispawn.arg("--supervised");
    }
    cnispawn.arg("--conf-dir").arg(cluster.conf_dir());
    cnispawn.arg("--network").arg(&cluster.network.name);
    let this = std::env::current_exe().map_err(FileError::of("read", proc))?;
    cnispawn.arg("--exec").arg(this);
    cnispawn.arg(node.machine_name()).arg("--").args(nspawn::args(host, dirs, &node));
    let (variable, value) = privileges::WRITABLE;
    cnispawn.env(variable, value);
    cnispawn.env(BOOT_VARIABLE, format!("{}/{}", node.cluster, node.name));
    // host-local would give a new address at each start; the node keeps the one that its certificates name.
    cnispawn.env("CNI_ARGS", format!("IgnoreUnknown=1;IP={}", node.address));
    // The second step takes no options: it must find the same directories.
    cnispawn.env("KUBEADM_SYSTEMD_STATE_DIR", &dirs.state).env("KUBEADM_SYSTEMD_RUN_DIR", &dirs.run);
    let source = cnispawn.exec();
    Err(LaunchError::Exec { path: cnispawn.get_program().into(), source })
}

/// Second step: enter the cgroups, mount the root, become systemd-nspawn with `args`. Returns only on failure.
///
/// # Errors
/// When the kernel refuses a mount or a cgroup.
pub fn boot(dirs: &StateDirs, which: &OsStr, args: Vec<OsString>) -> Result<std::convert::Infallible, LaunchError> {
    let which = which.to_string_lossy();
    let (cluster, node) = which.split_once('/').unwrap_or((&which, ""));
    let node = find(dirs, cluster, node)?;
    private_mounts()?;
    let host = Host::detect();
    // systemd has put its unit's processes into cgroups of theirs, where those of one version 1 hierarchy are left out.
    if host != (Host { supervisor: Supervisor::Systemd, cgroups: Hierarchy::Unified }) {
        let mounts = cgroup::reach(host.cgroups, &dirs.run.join("cgroup"))?;
        let below = Path::new(cgroup::OURS).join(&node.cluster).join(&node.name);
        let cgroups = cgroup::plan(host.cgroups, &mounts, &below)?;
        // Put down before they are made: whoever cleans up must know of them.
        node.update_machine(dirs, |machine| machine.cgroups.clone_from(&cgroups))?;
        cgroup::enter(host.cgroups, &mounts, &cgroups, &node.limits)?;
    }

    mount_root(dirs, &node)?;
    let nspawn = command::find("systemd-nspawn", "systemd-container")?;
    let source = Command::new(&nspawn).args(args).env_remove(BOOT_VARIABLE).exec();
    Err(LaunchError::Exec { path: nspawn, source })
}

/// A mount namespace of our own: nothing that we mount reaches the host, and what the host unmounts is not kept busy.
///
/// # Errors
/// When the kernel refuses.
pub fn private_mounts() -> Result<(), LaunchError> {
    unshare(CloneFlags::CLONE_NEWNS).map_err(LaunchError::Unshare)?;
    let slave = mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_SLAVE, None::<&str>);
    slave.map_err(FileError::of("make private the mounts of", Path::new("/")))?;
    Ok(())
}

fn mount_root(dirs: &StateDirs, node: &Node) -> Result<(), FileError> {
    let dir = node.dir(dirs);
    let root = nspawn::root_dir(dirs, node);
    mount_overlay(&node.generation.join("rootfs"), &dir.join("upper"), &dir.join("work"), &root)
}

/// Mount `lower`, with what is written to it in `upper`, on `root` (overlayfs.rst).
///
/// # Errors
/// When the kernel refuses.
pub fn mount_overlay(lower: &Path, upper: &Path, work: &Path, root: &Path) -> Result<(), FileError> {
    let mut options = OsString::new();
    for (key, path) in [("lowerdir=", lower), (",upperdir=", upper), (",workdir=", work)] {
        options.push(key);
        options.push(path);
    }
    let mounted = mount(Some("overlay"), root, Some("overlay"), MsFlags::empty(), Some(options.as_os_str()));
    mounted.map_err(FileError::of("mount the overlay on", root))
}
