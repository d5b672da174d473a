//! From the command line to the verb that does the work.

use std::error::Error;
use std::io::{BufRead, Write};

use foundation::interrupt;

use crate::cli::{Cli, Verb};
use crate::commands::{debug, down, e2e, export_logs, inventory, kubeconfig, logs, swap, up, upgrade, which};

/// Do what the command line says.
///
/// # Errors
/// Whatever the verb fails with: an error whose chain of sources says why.
pub fn run(cli: Cli, input: impl BufRead, output: impl Write) -> Result<(), Box<dyn Error>> {
    let (dirs, ansible) = (&cli.dirs, &cli.ansible);
    match cli.verb {
        Verb::Inventory => inventory::run(input, output)?,
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
