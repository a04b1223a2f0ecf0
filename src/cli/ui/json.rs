//! JSON for scripts: what `--json` prints.
//!
//! One document on standard output, indented by two spaces, keys in the order in which a
//! reader wants them. The shapes are types of the command that prints them.

use serde::Serialize;

use super::out;
use crate::cli::error::{Error, Kind, Result};

/// Prints a value as indented JSON.
pub fn print(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Error::new(Kind::Bug, format!("cannot write JSON: {error}")))?;
    out(&text)
}
