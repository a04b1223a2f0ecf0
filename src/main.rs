//! The program `iotstack`.
//!
//! It starts the command line and hands the exit code to the system, nothing else: the
//! words are in `cli`, the work is in the libraries below it.

mod cli;

use std::process::ExitCode;

/// Synthesis makes and drops millions of small values.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
