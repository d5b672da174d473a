//! `nodectl load`: give nodes the images of an archive, which is read once for all of them, or a registry on this host.

mod archive;
mod ctr;
mod input;
mod registry;
mod spread;

use std::io::{Seek, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::json;

use self::archive::ArchiveError;
use self::input::Input;
pub(crate) use self::registry::Registry;
use crate::cluster::ClusterError;
use crate::cluster::state::{ClusterState, StateError};
use crate::node::Node;
use crate::node::namespaces::EnterError;
use crate::say::say;
use foundation::command::{self, CommandError};
use foundation::files::FileError;
use foundation::name::Name;
use foundation::state::StateDirs;

/// Options of `nodectl load`.
#[derive(Clone, Debug, clap::Args)]
pub struct LoadArgs {
    /// An archive of images, as `docker save`, `podman save`, `ctr images export` and `skopeo copy` write it (an OCI
    /// layout or Docker's own format, compressed or not); `-` is standard input
    #[arg(value_name = "FILE", required_unless_present = "local_registry", conflicts_with = "local_registry")]
    pub(crate) archive: Option<PathBuf>,
    /// Instead have the nodes pull images that are named after this registry, HOST:PORT, from that port of this host, by
    /// plain HTTP
    #[arg(long, value_name = "REGISTRY")]
    pub(crate) local_registry: Option<Registry>,
    /// Only these nodes of the cluster
    #[arg(long = "node", value_name = "NODE")]
    pub(crate) nodes: Vec<Name>,
    /// The nodes' cluster
    #[arg(long, value_name = "NAME", env = "KUBEADM_SYSTEMD_CLUSTER", default_value = "default")]
    pub(crate) cluster: Name,
}

/// Why images are not on the nodes.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The nodes could not be found.
    #[error(transparent)]
    State(#[from] StateError),
    /// A node does not run.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// A program failed or is missing.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The file is not an archive of images.
    #[error("cannot load {}", archive.display())]
    Archive {
        /// The archive.
        archive: PathBuf,
        /// Why.
        source: ArchiveError,
    },
    /// A node does not reach the registry.
    #[error(
        "node {node} does not reach a registry at {gateway}:{port}, by which address nodes reach this host; {hint}"
    )]
    NoRegistry {
        /// The node.
        node: String,
        /// This host's address in the nodes' network.
        gateway: Ipv4Addr,
        /// The registry's port.
        port: u16,
        /// What to do.
        hint: String,
    },
    /// The cluster's network could not be read.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Loading failed on some nodes.
    #[error("{}", .0.join("\n"))]
    Nodes(Vec<String>),
    /// The archive could not be read, or standard output is closed.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A running node, and its PID 1.
struct Running<'a> {
    node: &'a Node,
    leader: i32,
}

/// Load the archive, or have the nodes pull from the registry.
///
/// # Errors
/// A node does not run, does not accept the images, or does not reach the registry.
pub(crate) fn run(args: &LoadArgs, dirs: &StateDirs, output: impl Write) -> Result<(), LoadError> {
    let state = ClusterState::read(dirs, &args.cluster)?;
    let members = state.choose(&args.nodes)?;
    if members.is_empty() {
        return Err(StateError::NoNodes { cluster: state.name }.into());
    }
    command::find("nsenter", "util-linux")?;
    let running = members.into_iter().map(|member| {
        let leader = member.node.leader_of(member.machine()?)?;
        Ok(Running { node: &member.node, leader })
    });
    let nodes = running.collect::<Result<Vec<_>, LoadError>>()?;
    if let Some(registry) = &args.local_registry {
        let cluster = state.cluster()?.ok_or_else(|| ClusterError::Unknown { name: state.name.clone() })?;
        return registry::run(registry, &cluster, &nodes, output);
    }
    args.archive.as_deref().map_or(Ok(()), |archive| load(archive, &nodes, output))
}

/// Load the archive into `nodes`, all at the same time, and print a record for each: `cluster`, `node`, `images` (name
/// and digest, as far as the archive tells), and `loaded`, false where the node had them already.
///
/// # Errors
/// A node does not run, or does not accept the images; the other nodes have them then.
fn load(archive: &Path, nodes: &[Running<'_>], mut output: impl Write) -> Result<(), LoadError> {
    let started = Instant::now();
    let (mut input, is_plain) = input::open(archive)?;
    let of_archive = |source| LoadError::Archive { archive: archive.to_owned(), source };
    // A pipe is read only once: its images are known when all of it has been read.
    let ahead = match &mut input {
        Input::File(file) => Some(archive::read(&mut *file).map_err(of_archive)?),
        Input::Pipe(_) => None,
    };
    if let Input::File(file) = &mut input {
        file.rewind().map_err(FileError::of("read", archive))?;
    }
    let wanting: Vec<_> = match &ahead {
        Some(images) => nodes.iter().map(|node| !ctr::has(node.leader, images)).collect(),
        None => vec![true; nodes.len()],
    };
    let commands: Vec<_> = nodes
        .iter()
        .zip(&wanting)
        .filter(|(_, wants)| **wants)
        .map(|(node, _)| ctr::import(node.leader, is_plain))
        .collect();
    let (images, results) = if commands.is_empty() {
        (ahead.unwrap_or_default(), Vec::new())
    } else {
        let (seen, results) = spread::to_all(input, commands, archive::read);
        (seen.map_err(of_archive)?, results)
    };
    let (mut results, mut failures) = (results.into_iter(), Vec::new());
    for (Running { node, .. }, wants) in nodes.iter().zip(wanting) {
        if let Some(Err(error)) = wants.then(|| results.next()).flatten() {
            failures.push(format!("node {}: {}", node.name, foundation::error_chain(&error)));
            continue;
        }
        let verb = if wants { "loaded" } else { "has it already" };
        say(&format!("{:6.1}s  {:12} {verb}", started.elapsed().as_secs_f64(), node.name));
        let record = json!({"cluster": node.cluster, "node": node.name, "images": images, "loaded": wants});
        writeln!(output, "{record}").map_err(FileError::of("write", Path::new("standard output")))?;
    }
    if failures.is_empty() { Ok(()) } else { Err(LoadError::Nodes(failures)) }
}
