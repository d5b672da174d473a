//! Start nodes: plan all of them, then make, launch and await each at the same time; undo all when one fails.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, IsTerminal, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use nix::unistd::setsid;

use crate::cluster::{Cluster, ClusterError};
use crate::command::{self, CommandError};
use crate::files::FileError;
use crate::host::{self, HostError};
use crate::images;
use crate::keys;
use crate::launch;
use crate::modules;
use crate::name::Name;
use crate::network::NetworkError;
use crate::node::Node;
use crate::prepare::{self, PrepareError};
use crate::ready::{Notifications, ReadyError, Wait};
use crate::record::{self, ImageRecord, RecordError, Role, State};
use crate::state::StateDirs;
use crate::stop::{self, StopError, say};
use crate::sysctl;
use cnispawn::process::Process;

/// What `nodectl start` is asked.
#[derive(Clone, Debug, clap::Args)]
pub struct StartArgs {
    /// Names of the nodes; the first one of a cluster becomes its control plane
    #[arg(value_name = "NODE", conflicts_with = "count", required_unless_present = "count")]
    pub names: Vec<Name>,
    /// Start this many nodes, named node1, node2, ...
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=200))]
    pub count: Option<u16>,
    /// The nodes' cluster
    #[arg(long, value_name = "NAME", env = "KUBEADM_SYSTEMD_CLUSTER", default_value = "default")]
    pub cluster: Name,
    /// The nodes' role; without it, a cluster's first node is its control plane, all others are workers
    #[arg(long, value_name = "ROLE")]
    pub role: Option<Role>,
    /// Start from this image, instead of from the image record on standard input
    #[arg(long, value_name = "NAME")]
    pub image: Option<Name>,
    /// Leave nodes that run already alone, and print their records
    #[arg(long)]
    pub allow_running: bool,
    /// Keep what was made when a node does not come up
    #[arg(long)]
    pub retain: bool,
    /// Seconds until a node must be up
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub timeout: u64,
}

/// Why nodes could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No image was named.
    #[error(
        "no image: standard input is a terminal; name one with --image, or pipe: nodectl build | nodectl start ..."
    )]
    NoImage,
    /// More than one image record came.
    #[error("{count} image records on standard input; nodes are started from one image: choose it with --image")]
    ManyImages {
        /// How many.
        count: usize,
    },
    /// A name was given twice.
    #[error("node {node} is named twice")]
    Twice {
        /// The node.
        node: Name,
    },
    /// A node of that name runs.
    #[error(
        "node {node} of cluster {cluster} is running already; choose another name, remove it with `nodectl rm --cluster {cluster} {node}`, or pass --allow-running"
    )]
    Running {
        /// The node.
        node: Name,
        /// Its cluster.
        cluster: Name,
    },
    /// The image record names a directory that is not there.
    #[error("image {image} has no root file system at {}; build it again with `nodectl build`", path.display())]
    NoRootfs {
        /// The image.
        image: Name,
        /// Where it should be.
        path: std::path::PathBuf,
    },
    /// Nodes cannot run on this host.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The image could not be read.
    #[error(transparent)]
    Image(#[from] images::Error),
    /// A record could not be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A program is missing.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The cluster could not be read or made.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// No address is free.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A node's directory could not be made.
    #[error("cannot make node {node}")]
    Prepare {
        /// The node.
        node: Name,
        /// Why.
        source: PrepareError,
    },
    /// Its machine could not be launched.
    #[error("cannot launch node {node}")]
    Launch {
        /// The node.
        node: Name,
        /// Why.
        source: io::Error,
    },
    /// A node did not come up.
    #[error(transparent)]
    Ready(#[from] ReadyError),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// A failed start could not be undone.
    #[error("{cause}; and undoing it failed")]
    Undo {
        /// Why the start failed.
        cause: Box<StartError>,
        /// Why undoing it failed.
        source: StopError,
    },
}

/// Start what `args` asks for and print a record for each node, in the order of their names on the command line.
///
/// # Errors
/// When anything is wrong: nothing that this call made is left then, unless `--retain`.
pub fn run(
    args: &StartArgs,
    dirs: &StateDirs,
    input: impl BufRead,
    output: impl Write,
    interrupted: &Arc<AtomicBool>,
) -> Result<(), StartError> {
    let names = names(args)?;
    let image = image(args, dirs, input)?;
    host::check()?;
    host_tools()?;
    let _lock = Cluster::lock(dirs, &args.cluster)?;
    let existing = Node::all(dirs, &args.cluster)?;
    let running = stop::running(dirs, &existing)?;
    if let Some(node) = running.iter().find(|node| names.contains(&node.name))
        && !args.allow_running
    {
        return Err(StartError::Running { node: node.name.clone(), cluster: args.cluster.clone() });
    }
    let running: Vec<Name> = running.iter().map(|node| node.name.clone()).collect();
    let cluster = Cluster::ensure(dirs, &args.cluster)?;
    let planned = plan(args, &cluster, &image, &names, &existing)?;
    let to_start: Vec<&Node> = planned.iter().filter(|node| !running.contains(&node.name)).collect();
    let new: Vec<Node> = to_start.iter().filter(|node| !existing.contains(node)).map(|node| (*node).clone()).collect();

    let result = start_all(args, dirs, &cluster, &planned, &to_start, &new, output, interrupted);
    let Err(cause) = result else { return Ok(()) };
    if args.retain {
        say(&format!("kept for a look, remove with `nodectl rm --cluster {} --all`", args.cluster));
        return Err(cause);
    }
    // Nodes that were there before are stopped again; what is new goes.
    let old: Vec<Node> = to_start.into_iter().filter(|node| !new.contains(node)).cloned().collect();
    let undone = stop::stop(dirs, &old, stop::How::PowerOff(Duration::from_secs(10)))
        .and_then(|()| stop::remove(dirs, &args.cluster, &new, |line| say(&line)));
    match undone {
        Ok(()) => Err(cause),
        Err(source) => Err(StartError::Undo { cause: Box::new(cause), source }),
    }
}

fn names(args: &StartArgs) -> Result<Vec<Name>, StartError> {
    let names = match args.count {
        None => args.names.clone(),
        Some(count) => (1..=count).filter_map(|number| format!("node{number}").parse().ok()).collect(),
    };
    for (index, name) in names.iter().enumerate() {
        if names[..index].contains(name) {
            return Err(StartError::Twice { node: name.clone() });
        }
    }
    Ok(names)
}

fn image(args: &StartArgs, dirs: &StateDirs, input: impl BufRead) -> Result<ImageRecord, StartError> {
    let image = match &args.image {
        Some(name) => images::load(dirs, name)?,
        None if io::stdin().is_terminal() => return Err(StartError::NoImage),
        None => {
            let mut records: Vec<ImageRecord> = record::read_all(input)?;
            if records.len() > 1 {
                return Err(StartError::ManyImages { count: records.len() });
            }
            records.remove(0)
        }
    };
    let path = image.path.join("rootfs");
    if path.join("usr").is_dir() { Ok(image) } else { Err(StartError::NoRootfs { image: image.image, path }) }
}

/// All that a start runs, looked for before anything is made.
fn host_tools() -> Result<(), CommandError> {
    launch::cnispawn()?;
    let tools = [
        ("systemd-nspawn", "systemd-container"),
        ("nsenter", "util-linux"),
        ("ssh-keygen", "openssh-client"),
        ("ip", "iproute2"),
    ];
    tools.iter().try_for_each(|(tool, package)| command::find(tool, package).map(drop))
}

/// Decide role and address of every node; those that exist keep theirs.
fn plan(
    args: &StartArgs,
    cluster: &Cluster,
    image: &ImageRecord,
    names: &[Name],
    existing: &[Node],
) -> Result<Vec<Node>, StartError> {
    let mut known = existing.to_vec();
    let mut planned = Vec::new();
    for name in names {
        if let Some(node) = existing.iter().find(|node| node.name == *name) {
            planned.push(node.clone());
            continue;
        }
        let has_control_plane = known.iter().any(|node| node.role == Role::ControlPlane);
        let node = Node {
            name: name.clone(),
            cluster: args.cluster.clone(),
            role: args.role.unwrap_or(if has_control_plane { Role::Worker } else { Role::ControlPlane }),
            address: cluster.free_address(&known)?,
            image: image.image.clone(),
            generation: image.path.clone(),
        };
        known.push(node.clone());
        planned.push(node);
    }
    Ok(planned)
}

#[allow(clippy::too_many_arguments)]
fn start_all(
    args: &StartArgs,
    dirs: &StateDirs,
    cluster: &Cluster,
    planned: &[Node],
    to_start: &[&Node],
    new: &[Node],
    mut output: impl Write,
    interrupted: &Arc<AtomicBool>,
) -> Result<(), StartError> {
    modules::load()?;
    sysctl::apply(dirs, |line| say(&line))?;
    // What a machine that ended by itself has left behind.
    let stale: Vec<Node> = to_start.iter().filter(|node| !new.contains(node)).map(|node| (*node).clone()).collect();
    stop::stop(dirs, &stale, stop::How::PowerOff(Duration::ZERO))
        .map_err(|source| StartError::Launch { node: args.cluster.clone(), source: io::Error::other(source) })?;

    let (sender, events) = mpsc::channel();
    thread::scope(|scope| {
        for node in to_start {
            let sender = sender.clone();
            let is_new = new.contains(node);
            scope.spawn(move || {
                let result = start_one(args, dirs, cluster, node, is_new, interrupted);
                // The receiver outlives us.
                let _ = sender.send((*node, result));
            });
        }
        drop(sender);
        let mut first_error = None;
        for (node, result) in events {
            match result {
                Ok((state, seconds)) => say(&format!("{seconds:6.1}s  {:12} {}", node.name, shown(state))),
                Err(error) => {
                    // The others stop waiting: they will be undone anyway.
                    interrupted.store(true, std::sync::atomic::Ordering::Relaxed);
                    first_error.get_or_insert(error);
                }
            }
        }
        first_error.map_or(Ok(()), Err)
    })?;
    pin_host_keys(dirs, cluster)?;
    for node in planned {
        record::write(&mut output, &node.record(dirs, cluster)?)?;
    }
    Ok(())
}

fn shown(state: State) -> &'static str {
    match state {
        State::Degraded => "degraded; see `systemctl --failed` in it",
        _ => "running",
    }
}

fn start_one(
    args: &StartArgs,
    dirs: &StateDirs,
    cluster: &Cluster,
    node: &Node,
    is_new: bool,
    interrupted: &AtomicBool,
) -> Result<(State, f64), StartError> {
    let started = Instant::now();
    if is_new {
        prepare::node(dirs, cluster, node).map_err(|source| StartError::Prepare { node: node.name.clone(), source })?;
    }
    let notifications = Notifications::listen(dirs, node)?;
    let supervisor = spawn(dirs, node, notifications.path())?;
    let wait = Wait { dirs, node, supervisor: &supervisor, deadline: Duration::from_secs(args.timeout), interrupted };
    let state = wait.until_up(&notifications)?;
    Ok((state, started.elapsed().as_secs_f64()))
}

/// Run `nodectl launch` as a daemon: in a session of its own, its output in the console's log.
fn spawn(dirs: &StateDirs, node: &Node, notify_socket: &Path) -> Result<Process, StartError> {
    let failed = |source| StartError::Launch { node: node.name.clone(), source };
    let log = console(&node.console_log(dirs))?;
    let mut launch = Command::new(std::env::current_exe().map_err(failed)?);
    launch.arg("launch").args(["--cluster", node.cluster.as_str(), node.name.as_str()]);
    launch.arg("--state-dir").arg(&dirs.state).arg("--run-dir").arg(&dirs.run);
    launch.env("NOTIFY_SOCKET", notify_socket).current_dir("/");
    launch.stdin(Stdio::null()).stdout(log.try_clone().map_err(failed)?).stderr(log);
    // SAFETY: setsid is async-signal-safe (signal-safety(7)) and touches no memory of ours.
    unsafe { launch.pre_exec(|| setsid().map(drop).map_err(io::Error::from)) };
    let mut child = launch.spawn().map_err(failed)?;
    let id = Process::of(child.id().cast_signed()).map_err(failed)?;
    // Reap it, if it ends while we still run: a zombie would look like a machine that lives.
    thread::spawn(move || child.wait());
    Ok(id)
}

fn console(path: &Path) -> Result<File, FileError> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).map_err(FileError::of("create", parent))?;
    OpenOptions::new().create(true).append(true).open(path).map_err(FileError::of("open", path))
}

/// Pin the host keys of all nodes of the cluster, under their names and addresses.
fn pin_host_keys(dirs: &StateDirs, cluster: &Cluster) -> Result<(), FileError> {
    let mut hosts = Vec::new();
    for node in Node::all(dirs, &cluster.name)? {
        let key = node.dir(dirs).join("upper/etc/ssh/ssh_host_ed25519_key.pub");
        let public = fs::read_to_string(&key).map_err(FileError::of("read", &key))?;
        hosts.push((vec![node.name.to_string(), node.address.to_string()], public.trim_end().to_owned()));
    }
    keys::pin(&cluster.known_hosts(), &hosts)
}
