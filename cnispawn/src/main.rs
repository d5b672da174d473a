//! Parse the command line, run it, print the error if there is one, and pick the exit status.

mod log;

use std::io;
use std::process::ExitCode;

use clap::Parser;
use cnispawn::cli::Cli;
use cnispawn::commands;
use foundation::error_chain;

fn main() -> ExitCode {
    let cli = Cli::parse();
    log::to_stderr();
    match commands::run(cli, io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cnispawn: {}", error_chain(&error));
            ExitCode::from(error.exit_code())
        }
    }
}
