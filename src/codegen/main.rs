//! Runs the generator: `cargo run -p iotstack-codegen` writes what is stale,
//! `cargo run -p iotstack-codegen -- --check` only says what is and fails if
//! anything is.
//!
//! Both install the pinned packages first if they are not there yet, which needs
//! `python3`, `npm` and the network once.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use iotstack_codegen::{generate, stale, write};

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let check = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--check"] => true,
        _ => bail!("`{}` is not known; usage: iotstack-codegen [--check]", arguments.join(" ")),
    };
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let outputs = generate(&workspace).context("the tables cannot be generated")?;
    let stale = stale(&workspace, &outputs);
    let word = if check { "stale" } else { "wrote" };
    for output in &stale {
        println!("{word} {}", output.path.display());
    }
    if !check {
        write(&workspace, &stale).context("the tables cannot be written")?;
    } else if !stale.is_empty() {
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
