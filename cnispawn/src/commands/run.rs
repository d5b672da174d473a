//! `cnispawn run`: make a container's network, and become systemd-nspawn.

use std::convert::Infallible;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use foundation::files::{self, FileError};
use foundation::lock::{Lock, LockError};
use foundation::process::Process;

use crate::cni::Chain;
use crate::cni::chain::ChainError;
use crate::cni::dns;
use crate::container::heal::{self, HealError};
use crate::container::networks;
use crate::container::nspawn::Order;
use crate::container::plan::{Plan, PlanError};
use crate::container::record::{Record, Recorded};
use crate::container::watch::{self, WatchError};
use crate::dirs::Dirs;
use crate::host::bridge::{self, BridgeError};
use crate::host::hostport::{self, HostportError};
use crate::host::link;
use crate::host::netns::{self, NetnsError};
use crate::host::{self, HostError};

/// Why a container was not started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// Somebody else uses the name.
    #[error("network namespace {} exists and is not cnispawn's; choose another name, or `ip netns delete` it", path.display())]
    NetnsExists {
        /// Its path.
        path: PathBuf,
    },
    /// exec failed.
    #[error("cannot execute {}", program.display())]
    Exec {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nobody would attach the container.
    #[error("--supervised does not go with --private-users: the watcher attaches such a container once it is there")]
    Unattended,
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
    /// Something is missing or does not fit together.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A plugin failed.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The container runs, or what an earlier one left cannot be undone.
    #[error(transparent)]
    Heal(#[from] HealError),
    /// The host's bridges are not known.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    /// The host's chains for published ports are not known.
    #[error(transparent)]
    Hostport(#[from] HostportError),
    /// The host's other programs could not be told of the networks' bridges.
    #[error(transparent)]
    Host(#[from] HostError),
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
        match self {
            SpawnError::Plan(error) => error.is_usage(),
            SpawnError::Unattended => true,
            _ => false,
        }
    }
}

/// Start a container. Returns only on failure, and then nothing is left.
///
/// # Errors
/// When anything is missing, or a plugin fails.
pub fn run(plan: &Plan, supervised: bool, dirs: &Dirs) -> Result<Infallible, SpawnError> {
    if supervised && plan.asked.order == Order::ContainerFirst {
        return Err(SpawnError::Unattended);
    }
    let (lock, parked) = heal::claim_for(dirs, &plan.name, |record| is_the_same(plan, record, dirs))?;
    let failure = match start(plan, parked, supervised, dirs, &lock) {
        Ok(never) => match never {},
        Err(failure) => failure,
    };
    // The watcher, if there is one already, finds that nothing is left to do.
    let undone = Record::load(dirs, &plan.name).map_err(HealError::from);
    match undone.and_then(|record| record.map_or(Ok(()), |record| heal::undo(dirs, &record))) {
        Ok(()) => heal::release(dirs, &plan.name, lock)?,
        Err(left) => {
            let (failure, left) = (foundation::error_chain(&failure), foundation::error_chain(&left));
            return Err(SpawnError::NotUndone { failure, left });
        }
    }
    Err(failure)
}

/// Whether a container that is rebooting can have its network as it is: the same networks, and nothing amiss with them.
fn is_the_same(plan: &Plan, record: &Record, dirs: &Dirs) -> bool {
    let planned = plan.attachments().map(|(list, attachment)| (list.inlined(), attachment));
    let recorded = record.attachments.iter().map(|recorded| (recorded.conf.clone(), &recorded.attachment));
    let checked = |attachment| match attachment {
        Err(ChainError::NoCheck { .. }) => true,
        result => result.is_ok(),
    };
    let cache = dirs.cache_at(&record.cache_dir);
    let chains = plan
        .networks
        .iter()
        .map(|planned| (Chain { list: &planned.list, plugins: &plan.plugins, cache: &cache }, &planned.attachment));
    netns::exists(&plan.netns)
        && planned.eq(recorded)
        && chains.into_iter().all(|(chain, attachment)| checked(chain.check_with_macs(attachment, link::mac)))
}

/// Make the network and become systemd-nspawn. The caller undoes what is recorded when this returns.
fn start(
    plan: &Plan,
    parked: Option<Record>,
    supervised: bool,
    dirs: &Dirs,
    lock: &Lock,
) -> Result<Infallible, SpawnError> {
    if netns::exists(&plan.netns) && parked.is_none() {
        return Err(SpawnError::NetnsExists { path: plan.netns.clone() });
    }
    let resolv_conf = match plan.asked.order {
        Order::NetworkFirst => attach_first(plan, parked, supervised, dirs, lock)?,
        Order::ContainerFirst => leave_to_watcher(plan, dirs, lock)?,
    };
    let args = plan.nspawn_args(resolv_conf.as_deref());
    let source = Command::new(&plan.program).args(args).exec();
    Err(SpawnError::Exec { program: plan.program.clone(), source })
}

/// Make the network, or take over that of a container that reboots. Returns the container's resolv.conf, if it has one.
fn attach_first(
    plan: &Plan,
    parked: Option<Record>,
    supervised: bool,
    dirs: &Dirs,
    lock: &Lock,
) -> Result<Option<PathBuf>, SpawnError> {
    let in_use = networks::hold(dirs, plan.attachments())?;
    let taken_over = parked.is_some();
    let record = match parked {
        Some(parked) => Record { process: this_process()?, parked: false, ..parked },
        None => new_record(plan, dirs)?,
    };
    record.write(dirs)?;
    if !supervised {
        watch::start(dirs, &plan.name, plan.asked.order, lock)?;
    }
    host::admit(dirs, &record)?;
    let results = if taken_over {
        record.results(dirs)
    } else {
        netns::create(&plan.netns)?;
        record.add(dirs)?
    };
    drop(in_use);
    let text = dns::resolv_conf(&results).filter(|_| !plan.asked.handles_resolv_conf);
    Ok(text.map(|text| write_resolv_conf(dirs, plan, &text)).transpose()?)
}

/// Have the watcher attach the container, before the first instruction of its own is executed.
fn leave_to_watcher(plan: &Plan, dirs: &Dirs, lock: &Lock) -> Result<Option<PathBuf>, SpawnError> {
    let _in_use = networks::hold(dirs, plan.attachments())?;
    let record = new_record(plan, dirs)?;
    record.write(dirs)?;
    host::admit(dirs, &record)?;
    // What will be in it is not known yet; whether it will be needed is.
    let named = plan.networks.iter().any(|planned| planned.list.may_name_servers());
    let wanted = named && !plan.asked.handles_resolv_conf;
    let resolv_conf = wanted.then(|| write_resolv_conf(dirs, plan, "")).transpose()?;
    watch::start(dirs, &plan.name, plan.asked.order, lock)?;
    Ok(resolv_conf)
}

fn write_resolv_conf(dirs: &Dirs, plan: &Plan, text: &str) -> Result<PathBuf, FileError> {
    let path = dirs.resolv_conf(&plan.name);
    files::write_for_all(&path, text.as_bytes())?;
    Ok(path)
}

fn this_process() -> Result<Process, SpawnError> {
    Process::current().map_err(SpawnError::Proc)
}

/// What must be undone. The caller holds the networks' locks.
fn new_record(plan: &Plan, dirs: &Dirs) -> Result<Record, SpawnError> {
    let attachments = plan.networks.iter().map(|planned| {
        Ok(Recorded {
            conf: planned.list.inlined(),
            attachment: planned.attachment.clone(),
            plugins: plan.plugins.clone(),
            bridges_before: bridge::before(dirs, &planned.list.name)?,
            hostport_chains_before: hostport::publishes(&planned.list, &planned.attachment) && hostport::before(dirs)?,
        })
    });
    Ok(Record {
        name: plan.name.clone(),
        process: this_process()?,
        netns: plan.netns.clone(),
        cache_dir: dirs.cache_dir.clone(),
        order: plan.asked.order,
        parked: false,
        attachments: attachments.collect::<Result<_, SpawnError>>()?,
    })
}
