//! Replace one component of a running cluster, once or at every change of its source.

use std::io::{self, BufRead, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use foundation::error_chain;
use foundation::name::Name;
use foundation::record::{self, Component, ComponentRecord};
use foundation::state::StateDirs;

use crate::swap::changes::Changes;
use crate::swap::{New, Running, SwapError, new};

/// What `clusterctl swap` is asked.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct SwapArgs {
    /// The component; without one, component records on standard input say what to put in place
    #[arg(value_name = "COMPONENT", requires = "what")]
    pub(crate) component: Option<Component>,
    /// Where the new one comes from; see nodectl-component(1)
    #[arg(long, value_name = "SOURCE", group = "what", requires = "component")]
    pub(crate) from: Option<String>,
    /// Put back what the cluster was made with
    #[arg(long, group = "what", requires = "component")]
    pub(crate) revert: bool,
    /// Swap again whenever the source (dir: or file:) changes, until Ctrl-C
    #[arg(long, requires = "from")]
    pub(crate) watch: bool,
    /// Only on these nodes
    #[arg(long = "node", value_name = "NODE")]
    pub(crate) nodes: Vec<Name>,
    /// Seconds that the new one may take to be healthy
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) timeout: u64,
    /// The cluster
    #[arg(long, value_name = "NAME", env = "KUBEADM_SYSTEMD_CLUSTER", default_value = "default")]
    pub(crate) cluster: Name,
}

/// Swap, and print a record for each component: `cluster`, `component`, `version`, `sha256` (none of the two when it was
/// put back), `changed` (what was changed, counted), `build` (seconds), `seconds` (from the end of the build until it was
/// healthy), `steps` (seconds of each).
///
/// # Errors
/// The component cannot be built, or is not healthy: then the one before it runs again.
pub(crate) fn run(
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
        let record = cluster.roll_out(&new, on, args.timeout, build)?;
        writeln!(output, "{record}").map_err(SwapError::Output)?;
    }
    Ok(())
}

/// Swap, and again after each change. A change that fails is reported: the next one may mend it.
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
