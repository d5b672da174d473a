//! Report: parse the command line, run it, print the error if there is one, and pick the exit status.

use std::io;
use std::process::ExitCode;

use clap::Parser;
use cnispawn::cli::Cli;
use cnispawn::{log, verb};
use foundation::error_chain;

fn main() -> ExitCode {
    let cli = Cli::parse();
    log::to_stderr();
    match verb::run(cli, io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cnispawn: {}", error_chain(&error));
            ExitCode::from(error.exit_code())
        }
    }
}
