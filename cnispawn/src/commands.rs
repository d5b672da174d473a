//! From the command line to the verb that does the work.

pub mod attach;
pub mod gc;
pub mod ls;
pub mod run;
pub mod status;

use std::io::{self, Write};

use self::attach::AttachError;
use self::gc::GcError;
use self::ls::LsError;
use self::run::SpawnError;
use self::status::StatusError;
use crate::cli::{Cli, Verb};
use crate::cni::Plugins;
use crate::container::heal::HealError;
use crate::container::plan::Plan;
use crate::container::restart;
use crate::container::watch::{self, WatchError};

/// Why a verb failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not root.
    #[error("cnispawn must run as root: it makes namespaces and mounts; try `sudo cnispawn ...`")]
    NotRoot,
    /// `run`.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// `add`, `check` and `del`.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// `ls`.
    #[error(transparent)]
    Ls(#[from] LsError),
    /// `gc`.
    #[error(transparent)]
    Gc(#[from] GcError),
    /// `release`.
    #[error(transparent)]
    Release(#[from] HealError),
    /// `status`.
    #[error(transparent)]
    Status(#[from] StatusError),
    /// `watch`.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// Standard output is closed or full.
    #[error("cannot write to standard output")]
    Output(#[from] io::Error),
}

impl Error {
    /// 2 when the command line cannot work as it is written, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Spawn(error) if error.is_usage() => 2,
            Error::Attach(AttachError::Attachment(_)) => 2,
            _ => 1,
        }
    }
}

/// Do what the command line says.
///
/// # Errors
/// As the verb has them.
pub fn run(cli: Cli, mut output: impl Write) -> Result<(), Error> {
    let dirs = &cli.dirs;
    if !nix::unistd::geteuid().is_root() {
        return Err(Error::NotRoot);
    }
    let plugins = &Plugins::from(cli.plugins);
    match &cli.verb {
        Verb::Run(args) => {
            let plan = Plan::make(args, &cli.conf_dir, plugins, dirs).map_err(SpawnError::from)?;
            if args.dry_run {
                return Ok(output.write_all(plan.shown().as_bytes())?);
            }
            run::run(&plan, args.supervised, dirs).map(|never| match never {})?;
        }
        Verb::Release { name, exit_status } => restart::release(dirs, name, exit_status)?,
        Verb::Add(args) => {
            let result = attach::add(args, &cli.conf_dir, plugins, dirs)?;
            // At once: standard output would write, and wake its reader, line by line.
            output.write_all(format!("{result:#}\n").as_bytes())?;
        }
        Verb::Check(args) => attach::check(args, &cli.conf_dir, plugins, dirs)?,
        Verb::Del(args) => attach::del(args, &cli.conf_dir, plugins, dirs)?,
        Verb::Ls { json } => ls::run(*json, dirs, output)?,
        Verb::Gc { network: None } => gc::run(dirs)?,
        Verb::Gc { network: Some(network) } => gc::network(network, &cli.conf_dir, plugins, dirs)?,
        Verb::Status { network, json } => status::run(network, *json, &cli.conf_dir, plugins, dirs, output)?,
        Verb::Watch(args) => watch::run(args, dirs)?,
    }
    Ok(())
}
