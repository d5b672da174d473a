//! Report: parse the command line, run it, print the error if there is one, and pick the exit status.

use std::io;
use std::process::ExitCode;

use clap::Parser;
use foundation::error_chain;
use nodectl::cli::Cli;
use nodectl::run;

fn main() -> ExitCode {
    // cnispawn has run us in place of systemd-nspawn: the arguments are systemd-nspawn's.
    if let Some(node) = std::env::var_os(run::BOOT_VARIABLE) {
        return report(run::boot(&node, std::env::args_os().skip(1).collect()));
    }
    let cli = Cli::parse();
    report(run::run(cli, io::stdin().lock(), io::stdout().lock()))
}

fn report<T, E: std::error::Error>(result: Result<T, E>) -> ExitCode {
    match result {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nodectl: {}", error_chain(&error));
            ExitCode::FAILURE
        }
    }
}
