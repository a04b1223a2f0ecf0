//! Runs the generator: `cargo run -p iotstack-codegen` writes what is stale,
//! `cargo run -p iotstack-codegen -- --check` only says what is and fails if
//! anything is.
//!
//! Both install the pinned packages first if they are not there yet, which needs
//! `python3`, `npm` and the network once.

use std::path::Path;
use std::process::ExitCode;

use iotstack_codegen::{Result, generate, stale, write};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let check = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--check"] => true,
        _ => {
            eprintln!("usage: iotstack-codegen [--check]");
            return ExitCode::from(2);
        }
    };
    match run(check) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(check: bool) -> Result<ExitCode> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let outputs = generate(&workspace)?;
    let stale = stale(&workspace, &outputs);
    let word = if check { "stale" } else { "wrote" };
    for output in &stale {
        println!("{word} {}", output.path.display());
    }
    if !check {
        write(&workspace, &stale)?;
    } else if !stale.is_empty() {
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
