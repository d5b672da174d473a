//! `nodectl launch`: become a node's machine, in two steps that keep the process. [`run`] prepares the host and execs
//! cnispawn, which runs the CNI plugins and execs [`boot`], which enters the cgroups, mounts the root and execs
//! systemd-nspawn.
//!
//! The mounts are made last, in their own mount namespace: the whole host must see the network namespace's bind mount,
//! while all other mounts are to vanish with the machine, however it ends.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use foundation::command::{self, CommandError};
use foundation::files::FileError;
use foundation::name::Name;
use foundation::process::Process;
use foundation::record::State;
use foundation::state::StateDirs;

use super::NodeArgs;
use crate::cluster::{Cluster, ClusterError};
use crate::host::{self, Hierarchy, Host, PrepareError, Supervisor};
use crate::node::cgroup::{self, ControllersError};
use crate::node::machine::Machine;
use crate::node::mounts::{self, MountError};
use crate::node::{Node, cnispawn, host_files, nspawn, privileges};
use crate::say::say;

/// Set for the second step, which cnispawn execs in place of systemd-nspawn: `CLUSTER/NODE`.
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
    /// The host could not be made ready.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// The cluster could not be read.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// No cgroup can be the parent of the node's.
    #[error(transparent)]
    Controllers(#[from] ControllersError),
    /// The mount namespace could not be made.
    #[error(transparent)]
    Mounts(#[from] MountError),
    /// A file could not be written, or the kernel refused a mount or a cgroup.
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
}

/// First step: record the process, prepare the host, become cnispawn. Returns only on failure.
///
/// # Errors
/// The node does not exist, or runs already.
pub(crate) fn run(args: &NodeArgs, dirs: &StateDirs) -> Result<Infallible, LaunchError> {
    let node = record_process(args, dirs)?;
    host::prepare(dirs, |line| say(&line))?;
    let cluster = Cluster::load(dirs, &node.cluster)?;
    let host = Host::detect();
    host_files::write(host, &node)?;
    let mut cnispawn = cnispawn::command(dirs, "run")?;
    if host.supervisor == Supervisor::Systemd {
        // A watcher would end with the unit: ExecStopPost= undoes the network.
        cnispawn.arg("--supervised");
    }
    cnispawn.arg("--conf-dir").arg(cluster.conf_dir());
    cnispawn.arg("--network").arg(&cluster.network.name);
    let this = std::env::current_exe().map_err(FileError::of("read", Path::new("/proc/self/exe")))?;
    cnispawn.arg("--exec").arg(this);
    cnispawn.arg(node.machine_name()).arg("--").args(nspawn::args(host, &node));
    let (variable, value) = privileges::WRITABLE;
    cnispawn.env(variable, value);
    cnispawn.env(BOOT_VARIABLE, format!("{}/{}", node.cluster, node.name));
    // host-local would choose another address at each start; the node's certificates name this one.
    cnispawn.env("CNI_ARGS", format!("IgnoreUnknown=1;IP={}", node.address()));
    // The second step gets no options, but must find the same directories.
    cnispawn.env("KUBEADM_SYSTEMD_STATE_DIR", &dirs.state).env("KUBEADM_SYSTEMD_RUN_DIR", &dirs.run);
    let source = cnispawn.exec();
    Err(LaunchError::Exec { path: cnispawn.get_program().into(), source })
}

/// Record this process as the node's supervisor, unless the node runs already.
fn record_process(args: &NodeArgs, dirs: &StateDirs) -> Result<Node, LaunchError> {
    let _lock = Node::lock(dirs, &args.cluster, &args.node)?;
    let node = find(dirs, args.cluster.as_str(), args.node.as_str())?;
    if let Some(machine) = node.machine()?.filter(Machine::is_running) {
        return Err(LaunchError::Running { node: node.name, pid: machine.supervisor.pid });
    }
    let supervisor = Process::current().map_err(FileError::of("read", Path::new("/proc/self")))?;
    let machine = Machine { supervisor, leader: None, cgroups: BTreeMap::new(), state: State::Starting };
    node.record_machine(&machine)?;
    Ok(node)
}

fn find(dirs: &StateDirs, cluster: &str, node: &str) -> Result<Node, LaunchError> {
    let unknown = || LaunchError::Unknown { node: node.to_owned(), cluster: cluster.to_owned() };
    let cluster_name: Name = cluster.parse().map_err(|_| unknown())?;
    let node_name: Name = node.parse().map_err(|_| unknown())?;
    let node = Node::load(dirs, &cluster_name, &node_name)?;
    node.filter(|node| !node.is_removed()).ok_or_else(unknown)
}

/// Second step: enter the cgroups, mount the root, become systemd-nspawn with `args`. Returns only on failure.
///
/// # Errors
/// The kernel refuses a mount or a cgroup.
pub(crate) fn boot(dirs: &StateDirs, which: &OsStr, args: Vec<OsString>) -> Result<Infallible, LaunchError> {
    let which = which.to_string_lossy();
    let (cluster, node) = which.split_once('/').unwrap_or((&which, ""));
    let node = find(dirs, cluster, node)?;
    mounts::enter_private_namespace()?;
    let host = Host::detect();
    // systemd has put its unit's processes into cgroups; but on version 1 it lacks some hierarchies.
    if host != (Host { supervisor: Supervisor::Systemd, cgroups: Hierarchy::Unified }) {
        let mounts = cgroup::reach(host.cgroups, &node.cgroup_mounts())?;
        let below = Path::new(cgroup::OURS).join(&node.cluster).join(&node.name);
        let cgroups = cgroup::plan(host.cgroups, &mounts, &below)?;
        // Recorded before they are made: a command that cleans up must know of them.
        node.update_machine(|machine| machine.cgroups.clone_from(&cgroups))?;
        cgroup::enter(host.cgroups, &mounts, &cgroups, &node.limits)?;
    }
    mounts::mount_root(&node)?;
    let nspawn = command::find("systemd-nspawn", "systemd-container")?;
    let source = Command::new(&nspawn).args(args).env_remove(BOOT_VARIABLE).exec();
    Err(LaunchError::Exec { path: nspawn, source })
}
