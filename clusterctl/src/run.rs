//! From the command line to the verb that does the work.

use std::io::{self, BufRead, Write};

use foundation::interrupt;
use foundation::record::{self, NodeRecord, RecordError};

use crate::cli::{Cli, Verb};
use crate::debug::{self, DebugError};
use crate::down::{self, DownError};
use crate::e2e::{self, E2eError};
use crate::export_logs::{self, ExportLogsError};
use crate::inventory::{Inventory, InventoryError};
use crate::kubeconfig::{self, KubeconfigError};
use crate::logs::{self, LogsError};
use crate::swap::{self, SwapError};
use crate::up::{self, UpError};
use crate::upgrade::{self, UpgradeError};
use crate::which::{self, WhichError};

/// Why a verb failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The records cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// They cannot become an inventory.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    /// It could not be printed.
    #[error("cannot write the inventory to standard output")]
    Output(#[source] io::Error),
    /// `up`.
    #[error(transparent)]
    Up(#[from] UpError),
    /// `down`.
    #[error(transparent)]
    Down(#[from] DownError),
    /// `swap`.
    #[error(transparent)]
    Swap(#[from] SwapError),
    /// `upgrade`.
    #[error(transparent)]
    Upgrade(#[from] UpgradeError),
    /// `logs`.
    #[error(transparent)]
    Logs(#[from] LogsError),
    /// `export-logs`.
    #[error(transparent)]
    ExportLogs(#[from] ExportLogsError),
    /// `e2e`.
    #[error(transparent)]
    E2e(#[from] E2eError),
    /// `debug`.
    #[error(transparent)]
    Debug(#[from] DebugError),
    /// `kubeconfig`.
    #[error(transparent)]
    Kubeconfig(#[from] KubeconfigError),
    /// `which`.
    #[error(transparent)]
    Which(#[from] WhichError),
}

/// Do what the command line says.
///
/// # Errors
/// As the verb has them.
pub fn run(cli: Cli, input: impl BufRead, mut output: impl Write) -> Result<(), Error> {
    let (dirs, ansible) = (&cli.dirs, &cli.ansible);
    match cli.verb {
        Verb::Inventory => {
            let nodes: Vec<NodeRecord> = record::read_all(input)?;
            output.write_all(Inventory::of(&nodes)?.to_yaml()?.as_bytes()).map_err(Error::Output)?;
        }
        Verb::Up(args) => up::run(dirs, ansible, &args, input, output, &interrupt::flag())?,
        Verb::Down { cluster, no_reset } => down::run(dirs, ansible, &cluster, no_reset, &interrupt::flag())?,
        Verb::Swap(args) => swap::run(dirs, &args, input, output, &interrupt::flag())?,
        Verb::Upgrade(args) => upgrade::run(dirs, ansible, &args, input, output, &interrupt::flag())?,
        Verb::Logs(args) => logs::run(dirs, &args, output)?,
        Verb::ExportLogs(args) => export_logs::run(dirs, ansible, &args, output, &interrupt::flag())?,
        Verb::E2e(args) => e2e::run(dirs, &args, output, &interrupt::flag())?,
        Verb::Debug(args) => debug::run(dirs, &args, output, &interrupt::flag())?,
        Verb::Which { program } => which::run(ansible, dirs, &program, output)?,
        Verb::Kubeconfig { cluster } => kubeconfig::run(dirs, &cluster, output)?,
    }
    Ok(())
}
