//! `cnispawn run`: make a container's network, and become systemd-nspawn.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::attach;
use crate::bridge::{self, BridgeError};
use crate::cli::RunArgs;
use crate::cni::attachment::AttachmentError;
use crate::cni::chain::ChainError;
use crate::cni::discovery::{self, DiscoveryError};
use crate::cni::{Attachment, Chain, NetworkList, Plugins};
use crate::dirs::Dirs;
use crate::files::FileError;
use crate::heal::{self, HealError, LOCKED};
use crate::lock::{Lock, LockError, Mode};
use crate::netns::{self, NetnsError};
use crate::nspawn::{self, NspawnError};
use crate::process::Process;
use crate::record::{Record, Recorded};
use crate::watch::{self, WatchError};

/// Why a container was not started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// Somebody else uses the name.
    #[error("network namespace {} exists and is not cnispawn's; choose another name, or `ip netns delete` it", path.display())]
    NetnsExists {
        /// Its path.
        path: PathBuf,
    },
    /// systemd-nspawn is missing.
    #[error("{} not found in PATH; install the package systemd-container", program.display())]
    NoNspawn {
        /// The program.
        program: PathBuf,
    },
    /// exec failed.
    #[error("cannot execute {}", program.display())]
    Exec {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Our own process is not known.
    #[error("cannot read /proc/self")]
    Proc(#[source] io::Error),
    /// Starting failed, and so did undoing it.
    #[error("{failure}\nand what it left could not be undone, `cnispawn gc` tries again: {left}")]
    NotUndone {
        /// The first failure.
        failure: String,
        /// The second.
        left: String,
    },
    /// An argument for systemd-nspawn cannot work.
    #[error(transparent)]
    Nspawn(#[from] NspawnError),
    /// A parameter for the plugins is wrong.
    #[error(transparent)]
    Attachment(#[from] AttachmentError),
    /// There is no such network.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// A plugin is missing or failed.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The container runs, or what an earlier one left cannot be undone.
    #[error(transparent)]
    Heal(#[from] HealError),
    /// The host's bridges are not known.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    /// The network namespace could not be made.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// The watcher could not be started.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// A lock was not given back.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

impl SpawnError {
    /// Whether the command line cannot work as it is written.
    pub fn is_usage(&self) -> bool {
        matches!(self, SpawnError::Nspawn(_) | SpawnError::Attachment(_))
    }
}

/// All that can be known before anything is done.
struct Plan<'a> {
    list: NetworkList,
    plugins: &'a Plugins,
    attachment: Attachment,
    program: PathBuf,
    args: Vec<OsString>,
}

/// Start a container. Returns only on failure, and then nothing is left.
///
/// # Errors
/// When anything is missing, or a plugin fails.
pub fn run(args: &RunArgs, conf_dir: &Path, plugins: &Plugins, dirs: &Dirs) -> Result<Infallible, SpawnError> {
    let plan = plan(args, conf_dir, plugins, dirs)?;
    let lock = heal::claim(dirs, &args.name)?;
    let started = start(&plan, args, dirs, &lock);
    let failure = match started {
        Ok(never) => match never {},
        Err(failure) => failure,
    };
    // The watcher, if there is one already, finds that nothing is left to do.
    let undone = Record::load(dirs, &args.name).map_err(HealError::from);
    match undone.and_then(|record| record.map_or(Ok(()), |record| heal::undo(dirs, &record))) {
        Ok(()) => heal::release(dirs, &args.name, lock)?,
        Err(left) => {
            let (failure, left) = (crate::error_chain(&failure), crate::error_chain(&left));
            return Err(SpawnError::NotUndone { failure, left });
        }
    }
    Err(failure)
}

/// Check everything, and change nothing.
fn plan<'a>(args: &RunArgs, conf_dir: &Path, plugins: &'a Plugins, dirs: &Dirs) -> Result<Plan<'a>, SpawnError> {
    let netns = netns::path(args.name.as_str());
    let nspawn_args = nspawn::args(&args.name, &netns, &args.nspawn)?;
    let attachment = attach::attachment(&args.attachment, args.name.to_string(), netns)?;
    let program = which::which(&args.exec).map_err(|_| SpawnError::NoNspawn { program: args.exec.clone() })?;
    let list = discovery::find(conf_dir, args.network.as_deref())?;
    Chain { list: &list, plugins, cache: &dirs.cache() }.check_programs()?;
    Ok(Plan { list, plugins, attachment, program, args: nspawn_args })
}

/// Make the network and become systemd-nspawn. The caller undoes what is recorded when this returns.
fn start(plan: &Plan<'_>, args: &RunArgs, dirs: &Dirs, lock: &Lock) -> Result<Infallible, SpawnError> {
    let netns = &plan.attachment.netns;
    if netns::exists(netns) {
        return Err(SpawnError::NetnsExists { path: netns.clone() });
    }
    let network_lock = Lock::take(&dirs.network_lock(&plan.list.name), Mode::Shared, LOCKED)?;
    record(plan, args, dirs)?.write(dirs)?;
    watch::start(dirs, &args.name, lock)?;
    netns::create(netns)?;
    let cache = dirs.cache();
    let chain = Chain { list: &plan.list, plugins: plan.plugins, cache: &cache };
    chain.add(&plan.attachment)?;
    drop(network_lock);
    let source = Command::new(&plan.program).args(&plan.args).exec();
    Err(SpawnError::Exec { program: plan.program.clone(), source })
}

/// What must be undone. The caller holds the network's lock.
fn record(plan: &Plan<'_>, args: &RunArgs, dirs: &Dirs) -> Result<Record, SpawnError> {
    Ok(Record {
        name: args.name.clone(),
        process: Process::current().map_err(SpawnError::Proc)?,
        netns: plan.attachment.netns.clone(),
        cache_dir: dirs.cache_dir.clone(),
        attachments: vec![Recorded {
            conf: plan.list.inlined(),
            attachment: plan.attachment.clone(),
            plugins: plan.plugins.clone(),
            bridges_before: bridge::before(dirs, &plan.list.name)?,
        }],
    })
}
