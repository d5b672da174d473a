//! Report: parse the command line, run it, print the error if there is one, and pick the exit status.

use std::io;
use std::process::ExitCode;

use clap::Parser;
use clusterctl::cli::Cli;
use clusterctl::run;
use foundation::error_chain;

fn main() -> ExitCode {
    match run::run(Cli::parse(), io::stdin().lock(), io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("clusterctl: {}", error_chain(&*error));
            ExitCode::FAILURE
        }
    }
}
