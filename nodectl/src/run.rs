//! From the command line to the verb that does the work.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use foundation::files::FileError;
use foundation::interrupt;
use foundation::name::Name;
use foundation::state::StateDirs;

use crate::cli::{Cli, Verb};
use crate::cluster::Cluster;
use crate::commands::doctor::{self, DoctorError};
use crate::commands::exec::{self, ExecError};
use crate::commands::launch::{self, LaunchError};
use crate::commands::load::LoadError;
use crate::commands::logs::LogsError;
use crate::commands::ls::LsError;
use crate::commands::start::{self, StartError};
use crate::commands::{load, logs, ls};
use crate::image::remove::{self, RemoveError};
use crate::image::single::{self, ComponentError};
use crate::image::suite::{self, SuiteError};
use crate::image::whole::{self, SuppliesError};
use crate::node::Node;
use crate::node::end::{self, How, StopError, say};
use crate::{image, images};

/// Why a verb failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not root.
    #[error("nodectl must run as root: it makes namespaces, mounts and cgroups; try `sudo nodectl ...`")]
    NotRoot,
    /// The node does not exist.
    #[error("node {node} of cluster {cluster} does not exist; `nodectl ls` lists those that do")]
    Unknown {
        /// The node.
        node: Name,
        /// Its cluster.
        cluster: Name,
    },
    /// The cluster has no node.
    #[error("cluster {cluster} has no nodes; start some with `nodectl start`")]
    NoNodes {
        /// The cluster.
        cluster: Name,
    },
    /// The image has no such program.
    #[error("no {} in the image at {}", program.display(), rootfs.display())]
    NoProgram {
        /// The program.
        program: PathBuf,
        /// The image's root file system.
        rootfs: PathBuf,
    },
    /// `build`.
    #[error(transparent)]
    Build(#[from] image::Error),
    /// `component`.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// `supplies`.
    #[error(transparent)]
    Supplies(#[from] SuppliesError),
    /// `e2e`.
    #[error(transparent)]
    Suite(#[from] SuiteError),
    /// `images`.
    #[error(transparent)]
    Images(#[from] images::Error),
    /// `rmi`.
    #[error(transparent)]
    Remove(#[from] RemoveError),
    /// `start`.
    #[error(transparent)]
    Start(#[from] StartError),
    /// `stop` and `rm`.
    #[error(transparent)]
    Stop(#[from] StopError),
    /// `doctor`.
    #[error(transparent)]
    Doctor(#[from] DoctorError),
    /// `ls`.
    #[error(transparent)]
    Ls(#[from] LsError),
    /// `exec` and `shell`.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// `load`.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// `logs`.
    #[error(transparent)]
    Logs(#[from] LogsError),
    /// `launch`.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Do what the command line says.
///
/// # Errors
/// As the verb has them.
pub fn run(cli: Cli, input: impl BufRead, output: impl Write) -> Result<(), Error> {
    let dirs = &cli.dirs;
    match cli.verb {
        Verb::Images { json } => return Ok(images::print(dirs, json, output)?),
        Verb::Ls(args) => return Ok(ls::run(&args, dirs, output)?),
        Verb::Which { cluster, program } => return which(dirs, &cluster, &program, output),
        Verb::Doctor(args) => return Ok(doctor::run(&args, dirs, output)?),
        _ => {}
    }
    if !nix::unistd::geteuid().is_root() {
        return Err(Error::NotRoot);
    }
    match cli.verb {
        Verb::Images { .. } | Verb::Ls(_) | Verb::Which { .. } | Verb::Doctor(_) => {}
        Verb::Build(args) => image::run(&args, dirs, output)?,
        Verb::Component(args) => single::run(&args, dirs, output)?,
        Verb::Supplies(args) => whole::run(&args, dirs, output)?,
        Verb::E2e(args) => suite::run(&args, dirs, output)?,
        Verb::Rmi(args) => remove::run(&args, dirs)?,
        Verb::Start(args) => start::run(&args, dirs, input, output, &interrupt::flag())?,
        Verb::Stop { nodes, timeout } => {
            let _lock = Cluster::lock(dirs, &nodes.cluster)?;
            end::stop(
                dirs,
                &selected(dirs, &nodes.cluster, &nodes.names)?,
                How::PowerOff(Duration::from_secs(timeout)),
            )?;
        }
        Verb::Rm(nodes) => {
            let _lock = Cluster::lock(dirs, &nodes.cluster)?;
            end::remove(dirs, &nodes.cluster, &selected(dirs, &nodes.cluster, &nodes.names)?, |line| say(&line))?;
        }
        Verb::Load(args) => {
            let nodes = selected(dirs, &args.cluster, &args.nodes)?;
            if nodes.is_empty() {
                return Err(Error::NoNodes { cluster: args.cluster });
            }
            load::run(&args, dirs, &nodes, output)?;
        }
        Verb::Exec { cluster, node, command } => {
            let node = find(dirs, &cluster, &node)?;
            exec::run(dirs, &node, &command)?;
        }
        Verb::Shell { cluster, node } => {
            let node = find(dirs, &cluster, &node)?;
            exec::shell(dirs, &node)?;
        }
        Verb::Logs { cluster, logs } => {
            let node = find(dirs, &cluster, &logs.node)?;
            logs::run(dirs, &node, &logs)?;
        }
        Verb::Launch { cluster, node } => {
            launch::network(dirs, &cluster, &node)?;
        }
    }
    Ok(())
}

/// Print the path of a program in the image of the cluster's control plane.
fn which(dirs: &StateDirs, cluster: &Name, program: &Path, mut output: impl Write) -> Result<(), Error> {
    let nodes = Node::all(dirs, cluster)?;
    let node = nodes.iter().min_by_key(|node| node.role);
    let rootfs = node.map(|node| node.generation.join("rootfs"));
    let rootfs = rootfs.ok_or_else(|| Error::NoNodes { cluster: cluster.clone() })?;
    let dirs = ["usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin"];
    let found = dirs.iter().map(|dir| rootfs.join(dir).join(program)).find(|path| path.is_file());
    let found = found.ok_or_else(|| Error::NoProgram { program: program.to_owned(), rootfs })?;
    writeln!(output, "{}", found.display()).map_err(FileError::of("write", Path::new("standard output")))?;
    Ok(())
}

/// The second step of a launch: directories come from the environment, which the first step has set.
///
/// # Errors
/// When the kernel refuses a mount or a cgroup.
pub fn boot(node: &OsStr, args: Vec<OsString>) -> Result<(), LaunchError> {
    #[derive(Parser)]
    struct FromEnvironment {
        #[command(flatten)]
        dirs: StateDirs,
    }
    let dirs = FromEnvironment::parse_from(["nodectl"]).dirs;
    launch::boot(&dirs, node, args).map(|never| match never {})
}

/// The nodes of these names; all of the cluster when none is named.
fn selected(dirs: &StateDirs, cluster: &Name, names: &[Name]) -> Result<Vec<Node>, Error> {
    let nodes = Node::all(dirs, cluster)?;
    if names.is_empty() {
        return Ok(nodes);
    }
    names.iter().map(|name| named(&nodes, cluster, name)).collect()
}

fn find(dirs: &StateDirs, cluster: &Name, name: &Name) -> Result<Node, Error> {
    named(&Node::all(dirs, cluster)?, cluster, name)
}

fn named(nodes: &[Node], cluster: &Name, name: &Name) -> Result<Node, Error> {
    let found = nodes.iter().find(|node| node.name == *name);
    found.cloned().ok_or_else(|| Error::Unknown { node: name.clone(), cluster: cluster.clone() })
}
