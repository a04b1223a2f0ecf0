//! The program `iotstack`.
//!
//! It starts the command line and hands the exit code to the system, nothing else: the
//! words are in `cli`, the work is in the libraries below it.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
