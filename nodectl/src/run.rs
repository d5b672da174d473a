//! From the command line to the verb that does the work.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, Write};

use clap::Parser;
use foundation::interrupt;
use foundation::state::StateDirs;

use crate::cli::{Cli, Verb};
use crate::commands::build::{self, BuildError};
use crate::commands::component::{self, ComponentCommandError};
use crate::commands::doctor::{self, DoctorError};
use crate::commands::e2e::{self, SuiteError};
use crate::commands::exec::{self, ExecError};
use crate::commands::images::{self, ImagesError};
pub use crate::commands::launch::BOOT_VARIABLE;
use crate::commands::launch::{self, LaunchError};
use crate::commands::load::{self, LoadError};
use crate::commands::logs::{self, LogsError};
use crate::commands::ls::{self, LsError};
use crate::commands::rm::{self, RmError};
use crate::commands::rmi::{self, RemoveError};
use crate::commands::shell;
use crate::commands::start::{self, StartError};
use crate::commands::stop::{self, StopError};
use crate::commands::supplies::{self, SuppliesCommandError};
use crate::commands::which::{self, WhichError};

/// Why a verb failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not root.
    #[error("nodectl must run as root: it makes namespaces, mounts and cgroups; try `sudo nodectl ...`")]
    NotRoot,
    /// `build`.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// `component`.
    #[error(transparent)]
    Component(#[from] ComponentCommandError),
    /// `supplies`.
    #[error(transparent)]
    Supplies(#[from] SuppliesCommandError),
    /// `e2e`.
    #[error(transparent)]
    Suite(#[from] SuiteError),
    /// `images`.
    #[error(transparent)]
    Images(#[from] ImagesError),
    /// `rmi`.
    #[error(transparent)]
    Remove(#[from] RemoveError),
    /// `start`.
    #[error(transparent)]
    Start(#[from] StartError),
    /// `stop`.
    #[error(transparent)]
    Stop(#[from] StopError),
    /// `rm`.
    #[error(transparent)]
    Rm(#[from] RmError),
    /// `doctor`.
    #[error(transparent)]
    Doctor(#[from] DoctorError),
    /// `ls`.
    #[error(transparent)]
    Ls(#[from] LsError),
    /// `exec` and `shell`.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// `which`.
    #[error(transparent)]
    Which(#[from] WhichError),
    /// `load`.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// `logs`.
    #[error(transparent)]
    Logs(#[from] LogsError),
    /// `launch`.
    #[error(transparent)]
    Launch(#[from] LaunchError),
}

/// Run the verb of the command line.
pub fn run(cli: Cli, input: impl BufRead, output: impl Write) -> Result<(), Error> {
    let dirs = &cli.dirs;
    match cli.verb {
        Verb::Images { json } => return Ok(images::run(dirs, json, output)?),
        Verb::Ls(args) => return Ok(ls::run(&args, dirs, output)?),
        Verb::Which(args) => return Ok(which::run(&args, dirs, output)?),
        Verb::Doctor(args) => return Ok(doctor::run(&args, dirs, output)?),
        _ => {}
    }
    if !nix::unistd::geteuid().is_root() {
        return Err(Error::NotRoot);
    }
    match cli.verb {
        Verb::Images { .. } | Verb::Ls(_) | Verb::Which(_) | Verb::Doctor(_) => {}
        Verb::Build(args) => build::run(&args, dirs, output)?,
        Verb::Component(args) => component::run(&args, dirs, output)?,
        Verb::Supplies(args) => supplies::run(&args, dirs, output)?,
        Verb::E2e(args) => e2e::run(&args, dirs, output)?,
        Verb::Rmi(args) => rmi::run(&args, dirs)?,
        Verb::Start(args) => start::run(&args, dirs, input, output, &interrupt::flag())?,
        Verb::Stop(args) => stop::run(&args, dirs)?,
        Verb::Rm(args) => rm::run(&args, dirs)?,
        Verb::Load(args) => load::run(&args, dirs, output)?,
        Verb::Exec(args) => match exec::run(&args, dirs)? {},
        Verb::Shell(args) => match shell::run(&args, dirs)? {},
        Verb::Logs(args) => match logs::run(&args, dirs)? {},
        Verb::Launch(args) => match launch::run(&args, dirs)? {},
    }
    Ok(())
}

/// The second step of a launch. The first one has put the directories into the environment.
///
/// # Errors
/// The kernel refuses a mount or a cgroup.
pub fn boot(node: &OsStr, args: Vec<OsString>) -> Result<(), LaunchError> {
    #[derive(Parser)]
    struct FromEnvironment {
        #[command(flatten)]
        dirs: StateDirs,
    }
    let dirs = FromEnvironment::parse_from(["nodectl"]).dirs;
    launch::boot(&dirs, node, args).map(|never| match never {})
}
