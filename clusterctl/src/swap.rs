//! Replace one component of a running cluster, and take it back when it is not well.

use std::io::{self, BufRead, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use foundation::error_chain;
use foundation::files::FileError;
use foundation::name::Name;
use foundation::record::{self, Component, ComponentRecord, RecordError};
use foundation::state::StateDirs;

use crate::builder::BuilderError;
use crate::cluster::OpenError;
use crate::placement::Elsewhere;
use crate::ssh::agent::AgentStartError;
use crate::ssh::parallel::ParallelError;

mod changes;
pub(crate) mod new;
pub(crate) mod put;
mod running;

use changes::{Changes, WatchError};
pub(crate) use new::New;
pub(crate) use running::Running;

/// What `clusterctl swap` is asked.
#[derive(Clone, Debug, clap::Args)]
pub struct SwapArgs {
    /// The component; without one, component records on standard input say what to put in place
    #[arg(value_name = "COMPONENT", requires = "what")]
    pub component: Option<Component>,
    /// Where the new one comes from; see nodectl-component(1)
    #[arg(long, value_name = "SOURCE", group = "what", requires = "component")]
    pub from: Option<String>,
    /// Put back what the cluster was made with
    #[arg(long, group = "what", requires = "component")]
    pub revert: bool,
    /// Do it again whenever the source changes, dir: or file:, until Ctrl-C
    #[arg(long, requires = "from")]
    pub watch: bool,
    /// Only on these nodes
    #[arg(long = "node", value_name = "NODE")]
    pub nodes: Vec<Name>,
    /// Seconds that the new one may take to be well
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub timeout: u64,
    /// The cluster
    #[arg(long, value_name = "NAME", env = "KUBEADM_SYSTEMD_CLUSTER", default_value = "default")]
    pub cluster: Name,
}

/// Why a component was not replaced.
#[derive(Debug, thiserror::Error)]
pub enum SwapError {
    /// The cluster does not exist, or its inventory cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It is one object for all nodes.
    #[error("--node does not go with {}: one object of the cluster runs it on all nodes", .0.name())]
    Everywhere(Component),
    /// It does not run there.
    #[error(transparent)]
    Elsewhere(#[from] Elsewhere),
    /// nodectl has not built it.
    #[error("there is no new {} to put in place", component.name())]
    NotBuilt {
        /// The component.
        component: Component,
        /// Why.
        source: BuilderError,
    },
    /// The source cannot be watched.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// The records cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// SSH could not be run.
    #[error(transparent)]
    Start(#[from] AgentStartError),
    /// A node failed.
    #[error(transparent)]
    Nodes(#[from] ParallelError),
    /// The record could not be written.
    #[error("cannot write the record to standard output")]
    Output(#[source] io::Error),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Swap, and print a record for each component: `cluster`, `component`, `version`, `sha256` (none of the two when it was
/// put back), `changed` (tasks that changed something), `build` (seconds), `seconds` (until it was well, from the moment
/// that it was built), `steps` (seconds of each).
///
/// # Errors
/// When it cannot be built, or is not well: then what ran before runs again.
pub fn run(
    dirs: &StateDirs,
    args: &SwapArgs,
    input: impl BufRead,
    mut output: impl Write,
    interrupted: &AtomicBool,
) -> Result<(), SwapError> {
    let cluster = Running::open(dirs, &args.cluster, interrupted)?;
    if let Some(component) = args.component {
        // Before anything is built or watched.
        cluster.nodes(component, &args.nodes)?;
    }
    match (args.component, &args.from) {
        (Some(component), Some(source)) if args.watch => watch(&cluster, args, component, source, output, interrupted),
        _ => once(&cluster, args, input, &mut output),
    }
}

fn once(cluster: &Running<'_>, args: &SwapArgs, input: impl BufRead, output: &mut impl Write) -> Result<(), SwapError> {
    let reading = Instant::now();
    // Before the lock: others may use the cluster while the program at the pipe's other end builds.
    let piped: Vec<ComponentRecord> = match args.component {
        None => record::read_all(input)?,
        Some(_) => Vec::new(),
    };
    let read = reading.elapsed();
    // While it is built here, too: of two swaps at the same time, the one that was begun first comes first.
    let _lock = cluster.lock()?;
    let started = Instant::now();
    let nodes = |component| cluster.nodes(component, &args.nodes);
    let mut ready = args.component.map(|component| cluster.log_in(&nodes(component)?)).transpose()?;
    let wanted = match (args.component, &args.from) {
        (Some(component), Some(source)) => new::built(cluster.dirs(), component, source)?,
        (Some(component), None) => vec![New::original(component)],
        (None, _) => piped.iter().map(New::of).collect(),
    };
    let wanted = wanted.into_iter().map(|new| Ok((nodes(new.component)?, new)));
    let wanted = wanted.collect::<Result<Vec<_>, SwapError>>()?;
    let build = read + started.elapsed();
    for (nodes, new) in wanted {
        let on = ready.take().map_or_else(|| cluster.log_in(&nodes), Ok)?;
        let record = cluster.put(&new, on, args.timeout, build)?;
        writeln!(output, "{record}").map_err(SwapError::Output)?;
    }
    Ok(())
}

/// Swap, and again after each change. What fails then is the change, which the next one may mend.
fn watch(
    cluster: &Running<'_>,
    args: &SwapArgs,
    component: Component,
    source: &str,
    mut output: impl Write,
    interrupted: &AtomicBool,
) -> Result<(), SwapError> {
    // Watched from before it is read: what changes while it is built is not missed.
    let changes = Changes::of(cluster.dirs(), component, source)?;
    loop {
        match once(cluster, args, io::empty(), &mut output) {
            Err(error @ SwapError::Output(_)) => return Err(error),
            _ if interrupted.load(Ordering::Relaxed) => return Ok(()),
            Err(error) => eprintln!("swap: {}", error_chain(&error)),
            Ok(()) => {}
        }
        eprintln!("swap: waiting for a change of {source}");
        if !changes.wait(interrupted)? {
            return Ok(());
        }
    }
}
