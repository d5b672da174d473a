//! `nodectl start`: make nodes, and start nodes that exist.

mod error;
mod image;
mod plan;
mod together;
mod wishes;

use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use foundation::name::Name;
use foundation::record::{self, Role};
use foundation::state::StateDirs;

pub(crate) use self::error::StartError;
pub(crate) use self::plan::PlanError;
use self::plan::{Asked, Existing};
use self::together::Start;
use super::doctor;
use crate::cluster::state::{ClusterState, StateError};
use crate::cluster::{Draft, remove};
use crate::host::Host;
use crate::node::limits::Limits;
use crate::node::machine::Machine;
use crate::say::say;

/// Options of `nodectl start`.
#[derive(Clone, Debug, clap::Args)]
#[group(id = "which", required = true, multiple = false, args = ["names", "count", "nodes", "all"])]
pub struct StartArgs {
    /// Names of the nodes; the first one of a cluster becomes its control plane
    #[arg(value_name = "NODE")]
    pub(crate) names: Vec<Name>,
    /// Start this many nodes, named node1, node2, ...
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=200))]
    pub(crate) count: Option<u16>,
    /// Start the nodes in this file, or with `-` on standard input: a JSON object for each, with `name` and, where a node
    /// is to differ from what the options say, `role`, `addresses`, `memory` or `cpus`
    #[arg(long, value_name = "FILE")]
    pub(crate) nodes: Option<PathBuf>,
    /// Start all nodes of the cluster that exist, and leave running ones alone
    #[arg(long, conflicts_with_all = ["role", "image"])]
    pub(crate) all: bool,
    /// The nodes' cluster
    #[arg(long, value_name = "NAME", env = "KUBEADM_SYSTEMD_CLUSTER", default_value = "default")]
    pub(crate) cluster: Name,
    /// The nodes' role; without it, a cluster's first node is its control plane, all others are workers
    #[arg(long, value_name = "ROLE")]
    pub(crate) role: Option<Role>,
    /// Make new nodes from this image, instead of from the image record on standard input
    #[arg(long, value_name = "NAME")]
    pub(crate) image: Option<Name>,
    /// How much of the host each node may use.
    #[command(flatten)]
    pub(crate) limits: Limits,
    /// Put the names of the cluster's nodes into this host's /etc/hosts, until they are removed
    #[arg(long)]
    pub(crate) etc_hosts: bool,
    /// Leave running nodes alone, and print their records
    #[arg(long)]
    pub(crate) allow_running: bool,
    /// Keep what was made when a node does not come up
    #[arg(long)]
    pub(crate) retain: bool,
    /// Seconds until a node must be up
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub(crate) timeout: u64,
}

/// Start the nodes and print a record for each, in the order in which they were named.
///
/// # Errors
/// The first failure. Nothing that this call made is left then, unless `--retain`.
pub(crate) fn run(
    args: &StartArgs,
    dirs: &StateDirs,
    mut input: impl BufRead,
    mut output: impl Write,
    interrupted: &Arc<AtomicBool>,
) -> Result<(), StartError> {
    let wishes = wishes::named(args, &mut input)?;
    // Read before the lock is taken: a build at the other end of the pipe may take long.
    // The lock is held until the nodes name the image.
    let (image, _held) = image::obtain(args, dirs, input)?;
    let host = Host::detect();
    doctor::require(dirs, host)?;

    let mut state = ClusterState::open(dirs, &args.cluster)?;
    remove::finish(&mut state, |line| say(&line)).map_err(StartError::Stale)?;
    let wishes = match wishes {
        Some(wishes) => wishes,
        None => wishes::all(args, &state)?,
    };
    let draft = Draft::plan(dirs, &args.cluster, state.cluster()?.as_ref())?;
    let existing = state.members.iter().map(|member| {
        let machine = member.machine()?;
        Ok(Existing { node: &member.node, is_running: machine.is_some_and(Machine::is_running) })
    });
    let plan = plan::plan(&Asked {
        wishes: &wishes,
        image: &image,
        is_image_named: args.image.is_some(),
        allow_running: args.allow_running || args.all,
        cluster: &args.cluster,
        network: &draft.cluster().network,
        existing: &existing.collect::<Result<Vec<_>, StateError>>()?,
        dirs,
    })?;
    plan.notices.iter().for_each(|notice| say(notice));
    let cluster = draft.make(dirs)?;

    let start = Start { args, host, cluster: &cluster, plan: &plan, interrupted };
    let machines = match start.all(&state) {
        Ok(machines) => machines,
        Err(cause) => return Err(start.undo(&mut state, cause)),
    };
    for planned in &plan.nodes {
        // One that was left alone may have rebooted since its machine was read.
        let left_alone = match machines.get(&planned.node.name) {
            Some(_) => None,
            None => planned.node.machine()?,
        };
        let machine = machines.get(&planned.node.name).or(left_alone.as_ref());
        record::write(&mut output, &cluster.record(&planned.node, machine))?;
    }
    Ok(())
}
