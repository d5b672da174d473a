//! `cnispawn run`: make a container's network, and become systemd-nspawn.

use std::convert::Infallible;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use foundation::error_chain;
use foundation::files::{self, FileError};
use foundation::lock::{Lock, LockError};
use foundation::process::Process;

use crate::cni::chain::ChainError;
use crate::cni::dns;
use crate::container::claim::{self, ClaimError};
use crate::container::nspawn::Order;
use crate::container::plan::{Plan, PlanError};
use crate::container::record::{Record, Recorded};
use crate::container::shared::{self, SharedError};
use crate::container::undo;
use crate::container::watcher::{self, WatcherError};
use crate::container::{locks, reboot};
use crate::dirs::Dirs;
use crate::host::hostport;
use crate::host::netns::{self, NetnsError};

/// Why a container was not started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error("network namespace {} exists and is not cnispawn's; choose another name, or `ip netns delete` it", path.display())]
    NetnsExists { path: PathBuf },
    #[error("cannot execute {}", program.display())]
    Exec { program: PathBuf, source: io::Error },
    #[error("--supervised does not go with --private-users: only the watcher can attach such a container")]
    Unattended,
    #[error("cannot read /proc/self")]
    Proc(#[source] io::Error),
    /// Starting failed, and so did undoing it.
    #[error("{failure}\nand what it left could not be undone, `cnispawn gc` tries again: {left}")]
    NotUndone { failure: String, left: String },
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Claim(#[from] ClaimError),
    #[error(transparent)]
    Shared(#[from] SharedError),
    #[error(transparent)]
    Netns(#[from] NetnsError),
    #[error(transparent)]
    Watcher(#[from] WatcherError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    File(#[from] FileError),
}

impl RunError {
    /// Whether the command line cannot work as it is written.
    pub(crate) fn is_usage(&self) -> bool {
        match self {
            RunError::Plan(error) => error.is_usage(),
            RunError::Unattended => true,
            _ => false,
        }
    }
}

/// Start a container. Returns only on failure, and then nothing is left.
pub(crate) fn run(plan: &Plan, supervised: bool, dirs: &Dirs) -> Result<Infallible, RunError> {
    if supervised && plan.asked.order == Order::ContainerFirst {
        return Err(RunError::Unattended);
    }
    let (lock, parked) = claim::claim_or_take_over(dirs, &plan.name, |record| reboot::fits(plan, record, dirs))?;
    let failure = match start(plan, parked, supervised, dirs, &lock) {
        Ok(never) => match never {},
        Err(failure) => failure,
    };
    // The watcher, if there is one already, finds that nothing is left to do.
    match undo_recorded(plan, dirs) {
        Ok(()) => claim::release(dirs, &plan.name, lock)?,
        Err(left) => {
            return Err(RunError::NotUndone { failure: error_chain(&failure), left: error_chain(&left) });
        }
    }
    Err(failure)
}

fn undo_recorded(plan: &Plan, dirs: &Dirs) -> Result<(), ClaimError> {
    let record = Record::load(dirs, &plan.name)?;
    record.map_or(Ok(()), |record| Ok(undo::undo(dirs, &record)?))
}

/// Make the network and become systemd-nspawn. The caller undoes what is recorded when this returns.
fn start(
    plan: &Plan,
    parked: Option<Record>,
    supervised: bool,
    dirs: &Dirs,
    lock: &Lock,
) -> Result<Infallible, RunError> {
    if netns::exists(&plan.netns) && parked.is_none() {
        return Err(RunError::NetnsExists { path: plan.netns.clone() });
    }
    let resolv_conf = match plan.asked.order {
        Order::NetworkFirst => attach(plan, parked, supervised, dirs, lock)?,
        Order::ContainerFirst => leave_to_watcher(plan, dirs, lock)?,
    };
    let args = plan.nspawn_args(resolv_conf.as_deref());
    let source = Command::new(&plan.program).args(args).exec();
    Err(RunError::Exec { program: plan.program.clone(), source })
}

/// Make the network, or take over that of a container that reboots. Returns the container's resolv.conf, if it has one.
fn attach(
    plan: &Plan,
    parked: Option<Record>,
    supervised: bool,
    dirs: &Dirs,
    lock: &Lock,
) -> Result<Option<PathBuf>, RunError> {
    let held = locks::share(dirs, plan.attachments())?;
    let taken_over = parked.is_some();
    let record = match parked {
        Some(parked) => Record { process: this_process()?, parked: false, ..parked },
        None => new_record(plan, dirs)?,
    };
    record.write(dirs)?;
    if !supervised {
        watcher::start(dirs, &plan.name, plan.asked.order, lock)?;
    }
    shared::admit(dirs, &record)?;
    let results = if taken_over {
        record.results(dirs)
    } else {
        netns::create(&plan.netns)?;
        record.add(dirs)?
    };
    drop(held);
    let text = dns::resolv_conf(&results).filter(|_| !plan.asked.handles_resolv_conf);
    Ok(text.map(|text| write_resolv_conf(dirs, plan, &text)).transpose()?)
}

/// Have the watcher attach the container, before the container's first instruction.
fn leave_to_watcher(plan: &Plan, dirs: &Dirs, lock: &Lock) -> Result<Option<PathBuf>, RunError> {
    let _held = locks::share(dirs, plan.attachments())?;
    let record = new_record(plan, dirs)?;
    record.write(dirs)?;
    shared::admit(dirs, &record)?;
    // Its content is not known yet; whether it will be needed is.
    let named = plan.networks.iter().any(|planned| planned.list.may_name_servers());
    let wanted = named && !plan.asked.handles_resolv_conf;
    let resolv_conf = wanted.then(|| write_resolv_conf(dirs, plan, "")).transpose()?;
    watcher::start(dirs, &plan.name, plan.asked.order, lock)?;
    Ok(resolv_conf)
}

fn write_resolv_conf(dirs: &Dirs, plan: &Plan, text: &str) -> Result<PathBuf, FileError> {
    let path = dirs.resolv_conf(&plan.name);
    files::write_for_all(&path, text.as_bytes())?;
    Ok(path)
}

fn this_process() -> Result<Process, RunError> {
    Process::current().map_err(RunError::Proc)
}

/// What must be undone. The caller holds the networks' locks.
fn new_record(plan: &Plan, dirs: &Dirs) -> Result<Record, RunError> {
    let attachments = plan.networks.iter().map(|planned| {
        let publishes = hostport::publishes(&planned.list, &planned.attachment);
        Ok(Recorded {
            conf: planned.list.inlined(),
            attachment: planned.attachment.clone(),
            plugins: plan.plugins.clone(),
            bridges_before: shared::bridges_before(dirs, &planned.list.name)?,
            hostport_chains_before: publishes && shared::hostport_chains_before(dirs)?,
        })
    });
    Ok(Record {
        name: plan.name.clone(),
        process: this_process()?,
        netns: plan.netns.clone(),
        cache_dir: dirs.cache_dir.clone(),
        order: plan.asked.order,
        parked: false,
        attachments: attachments.collect::<Result<_, RunError>>()?,
    })
}
