//! The verbs, one file each.

mod add;
mod attachment;
mod check;
mod del;
mod gc;
mod ls;
mod release;
mod run;
mod status;
mod watch;

use std::io::{self, Write};

use self::add::AddError;
use self::attachment::OperationError;
use self::gc::GcError;
use self::ls::LsError;
use self::run::RunError;
use self::status::StatusError;
use self::watch::WatchError;
use crate::cli::{Cli, Verb};
use crate::cni::Plugins;
use crate::container::claim::ClaimError;
use crate::container::plan::Plan;

/// Why a verb failed.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(#[from] VerbError);

#[derive(Debug, thiserror::Error)]
enum VerbError {
    #[error("cnispawn must run as root: it makes namespaces and mounts; try `sudo cnispawn ...`")]
    NotRoot,
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Release(#[from] ClaimError),
    #[error(transparent)]
    Add(#[from] AddError),
    #[error(transparent)]
    Operation(#[from] OperationError),
    #[error(transparent)]
    Ls(#[from] LsError),
    #[error(transparent)]
    Gc(#[from] GcError),
    #[error(transparent)]
    Status(#[from] StatusError),
    #[error(transparent)]
    Watch(#[from] WatchError),
    #[error("cannot write to standard output")]
    Output(#[from] io::Error),
}

impl Error {
    /// 2 when the command line cannot work as it is written, else 1.
    pub fn exit_code(&self) -> u8 {
        let is_usage = match &self.0 {
            VerbError::Run(error) => error.is_usage(),
            VerbError::Add(AddError::Arguments(error)) | VerbError::Operation(OperationError::Arguments(error)) => {
                error.is_usage()
            }
            _ => false,
        };
        if is_usage { 2 } else { 1 }
    }
}

/// Do what the command line says. `run` does not return, unless it fails or only shows its plan.
pub fn run(cli: Cli, output: impl Write) -> Result<(), Error> {
    Ok(execute(cli, output)?)
}

fn execute(cli: Cli, mut output: impl Write) -> Result<(), VerbError> {
    let (conf_dir, dirs) = (&cli.conf_dir, &cli.dirs);
    let plugins = &Plugins::from(cli.plugins);
    if !nix::unistd::geteuid().is_root() {
        return Err(VerbError::NotRoot);
    }
    match &cli.verb {
        Verb::Run(args) => {
            let plan = Plan::make(args, conf_dir, plugins, dirs).map_err(RunError::from)?;
            if args.dry_run {
                return Ok(output.write_all(plan.shown().as_bytes())?);
            }
            run::run(&plan, args.supervised, dirs).map(|never| match never {})?;
        }
        Verb::Release { name, exit_status } => release::run(dirs, name, exit_status)?,
        Verb::Add(args) => {
            let result = add::run(args, conf_dir, plugins, dirs)?;
            // At once: standard output would write, and wake its reader, line by line.
            output.write_all(format!("{result:#}\n").as_bytes())?;
        }
        Verb::Check(args) => check::run(args, conf_dir, plugins, dirs)?,
        Verb::Del(args) => del::run(args, conf_dir, plugins, dirs)?,
        Verb::Ls { json } => ls::run(*json, dirs, output)?,
        Verb::Gc { network: None } => gc::run(dirs)?,
        Verb::Gc { network: Some(network) } => gc::network(network, conf_dir, plugins, dirs)?,
        Verb::Status { network, json } => status::run(network, *json, conf_dir, plugins, dirs, output)?,
        Verb::Watch(args) => watch::run(args, dirs)?,
    }
    Ok(())
}
