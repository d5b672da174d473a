//! `nodectl which`: where a program of a cluster's image is on this host.

use std::io::{self, Write};
use std::path::PathBuf;

use foundation::files::FileError;
use foundation::name::Name;
use foundation::state::StateDirs;

use crate::cluster::state::StateError;
use crate::node::Node;

/// Where an image has programs.
const PATH: [&str; 4] = ["usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin"];

/// Options of `nodectl which`.
#[derive(Clone, Debug, clap::Args)]
pub struct WhichArgs {
    /// The cluster
    #[arg(long, value_name = "NAME", env = "KUBEADM_SYSTEMD_CLUSTER", default_value = "default")]
    cluster: Name,
    /// The program
    #[arg(value_name = "PROGRAM")]
    program: PathBuf,
}

/// Why the program was not found.
#[derive(Debug, thiserror::Error)]
pub enum WhichError {
    /// The image has no such program.
    #[error("no {} in the image at {}", program.display(), rootfs.display())]
    NoProgram {
        /// The program.
        program: PathBuf,
        /// The image's root file system.
        rootfs: PathBuf,
    },
    /// The cluster has no nodes.
    #[error(transparent)]
    State(#[from] StateError),
    /// A node could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Standard output is closed.
    #[error("cannot write to standard output")]
    Output(#[from] io::Error),
}

/// Print the path of a program in the image of the cluster's control plane.
///
/// # Errors
/// The cluster has no nodes, or the image no such program.
pub(crate) fn run(args: &WhichArgs, dirs: &StateDirs, mut output: impl Write) -> Result<(), WhichError> {
    let WhichArgs { cluster, program } = args;
    let nodes = Node::all(dirs, cluster)?;
    let node = nodes.iter().min_by_key(|node| node.role);
    let node = node.ok_or_else(|| StateError::NoNodes { cluster: cluster.clone() })?;
    let rootfs = node.rootfs();
    let found = PATH.iter().map(|dir| rootfs.join(dir).join(program)).find(|path| path.is_file());
    let found = found.ok_or_else(|| WhichError::NoProgram { program: program.clone(), rootfs })?;
    Ok(writeln!(output, "{}", found.display())?)
}
