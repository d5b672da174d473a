//! Run a component of a running cluster under delve, with delve's port on this host.

use std::io::{self, Write};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use foundation::name::Name;
use foundation::record::{Component, Kind};
use foundation::state::StateDirs;
use serde_json::json;

use crate::swap::{New, Running, SwapError, new};

mod attach;
mod gate;

use attach::{AttachError, Attached, Target};
use gate::Gate;

/// What `clusterctl debug` is asked.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DebugArgs {
    /// The component
    #[arg(value_name = "COMPONENT")]
    pub(crate) component: Component,
    /// Where its source comes from: dir:PATH or go:VERSION; see nodectl-component(1)
    #[arg(long, value_name = "SOURCE")]
    pub(crate) from: String,
    /// The node whose process is debugged, where there are several
    #[arg(long, value_name = "NODE")]
    pub(crate) node: Option<Name>,
    /// The port of 127.0.0.1 that delve is reached at; 0 for one that is free
    #[arg(long, value_name = "PORT", default_value_t = 2345)]
    pub(crate) port: u16,
    /// Seconds that the component may take to be well, and delve to answer
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) timeout: u64,
    /// The cluster
    #[arg(long, value_name = "NAME", env = "KUBEADM_SYSTEMD_CLUSTER", default_value = "default")]
    pub(crate) cluster: Name,
}

/// Why a component is not debugged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DebugError {
    /// No process of it stays.
    #[error("{} has no process that stays: it is a command, and ends when it has done its work", .0.name())]
    Command(Component),
    /// One is debugged at a time.
    #[error("{} runs on {}; choose one with --node", component.name(), there.join(", "))]
    Which {
        /// The component.
        component: Component,
        /// The nodes that it runs on.
        there: Vec<String>,
    },
    /// The scheduler chooses where.
    #[error("--node does not go with {}: its pods are made anew, each on a node that the scheduler chooses", .0.name())]
    Anywhere(Component),
    /// None is left, or what runs is another one.
    #[error("no process of {} runs the {} that was built", nodes.join(", "), component.name())]
    NoProcess {
        /// The component.
        component: Component,
        /// The nodes that were asked.
        nodes: Vec<String>,
    },
    /// The port is taken.
    #[error("cannot listen on port {port} of 127.0.0.1; choose another one with --port, or 0 for one that is free")]
    Port {
        /// The port.
        port: u16,
        /// Why.
        source: io::Error,
    },
    /// nodectl has built none.
    #[error("nodectl printed no component record with a debugger; clusterctl and nodectl must be of one version")]
    NoRecord,
    /// It could not be built or put in place.
    #[error(transparent)]
    Swap(#[from] SwapError),
    /// delve could not be attached.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// The record could not be written.
    #[error("cannot write the record to standard output")]
    Output(#[source] io::Error),
}

/// Swap a build for a debugger in, attach delve, print the swap's record with `node`, `address` (of delve, on this
/// host), `pid` (on the node) and `debugger` (a dlv to connect with), and stay until we are interrupted or delve ends.
pub(crate) fn run(
    dirs: &StateDirs,
    args: &DebugArgs,
    mut output: impl Write,
    interrupted: &AtomicBool,
) -> Result<(), DebugError> {
    let component = args.component;
    if matches!(component, Component::Kubeadm | Component::Runc) {
        return Err(DebugError::Command(component));
    }
    let cluster = Running::open(dirs, &args.cluster, interrupted)?;
    let (places, nodes) = place(&cluster, args)?;
    let refused = |source| DebugError::Port { port: args.port, source };
    let gate = Gate::take(args.port).map_err(refused)?;
    let address = gate.address().map_err(refused)?;

    let lock = cluster.lock()?;
    let started = Instant::now();
    let on = cluster.log_in(&nodes)?;
    let record = new::records(dirs, component, &args.from, &["--debug"])?.pop().ok_or(DebugError::NoRecord)?;
    let debugger = record.debugger.clone().ok_or(DebugError::NoRecord)?;
    let build = started.elapsed();
    let mut shown = cluster.roll_out(&New::of(&record), on, args.timeout, build)?;
    // Another command may put the original back while we are attached.
    drop(lock);

    let wait = Duration::from_secs(args.timeout);
    let attach = |node| {
        let target = Target { node, component: component.name(), sha256: &record.sha256 };
        let attached = Attached::new(&cluster, &target, wait, interrupted).transpose()?;
        Some(attached.map(|attached| (node, attached)))
    };
    let none = || DebugError::NoProcess { component, nodes: names(&places) };
    let (node, mut attached) = places.iter().find_map(attach).ok_or_else(none)??;
    gate.open(attached.socket().to_owned()).map_err(refused)?;
    shown["node"] = json!(node);
    shown["address"] = json!(address);
    shown["pid"] = json!(attached.pid());
    shown["debugger"] = json!(debugger);
    writeln!(output, "{shown}").map_err(DebugError::Output)?;
    eprintln!("debug: {} of {node} runs under delve; in another terminal:", component.name());
    eprintln!("    {} connect {address}", debugger.display());
    eprintln!("debug: Ctrl-C detaches, and lets it run on");
    attached.until_ended(interrupted)?;
    eprintln!("debug: detached; `clusterctl swap {} --revert` puts the original back", component.name());
    Ok(())
}

/// The nodes of which the first one that has the process is debugged, and those on which the component is replaced.
fn place(cluster: &Running<'_>, args: &DebugArgs) -> Result<(Vec<Name>, Vec<Name>), DebugError> {
    let component = args.component;
    let there = cluster.that_run(component, args.node.as_slice())?;
    // Where the pods of a Deployment run is known only when they are there.
    if component == Component::Coredns {
        return if args.node.is_some() { Err(DebugError::Anywhere(component)) } else { Ok((there.clone(), there)) };
    }
    if there.len() != 1 {
        return Err(DebugError::Which { component, there: names(&there) });
    }
    let nodes = if component.kind() == Kind::Workload { cluster.nodes(component, &[])? } else { there.clone() };
    Ok((there, nodes))
}

fn names(nodes: &[Name]) -> Vec<String> {
    nodes.iter().map(Name::to_string).collect()
}
