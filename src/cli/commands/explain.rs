//! `iotstack explain`: what the code of a finding means.

use crate::cli::context::Context;
use crate::cli::error::{Error, Result};
use crate::cli::judge::{APP_MESSAGE, UNREADABLE};
use crate::cli::ui::out;
use crate::cli::ui::style;

use super::check;

/// Explains the code of a finding, or lists all codes
///
/// Every finding of `iotstack check` has a code in square brackets. This tells what it
/// means, why AWS minds, and how to mend it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// The code, such as unknown-property [default: lists all]
    #[arg(value_name = "CODE")]
    code: Option<String>,
}

/// Runs the command.
pub fn run(arguments: Arguments, _context: &Context) -> Result<()> {
    let Some(code) = &arguments.code else {
        return out(&codes().join("\n"));
    };
    // Copied from a report, a code may still have its brackets.
    let code = code.trim_matches(['[', ']']);
    if let Some(explanation) = check::explanation(code) {
        return out(&format!("{}\n\n{explanation}", style::strong(code)));
    }
    let error = Error::usage(format!("there is no code `{code}`"));
    Err(match iotstack_schema::nearest(code, codes()) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("`iotstack explain` lists all codes"),
    })
}

fn codes() -> Vec<&'static str> {
    let mut codes: Vec<&str> = iotstack_check::codes().map(|code| code.name).collect();
    codes.extend([APP_MESSAGE, UNREADABLE]);
    codes.sort_unstable();
    codes.dedup();
    codes
}

const EXAMPLES: &str = "\
Examples:
  iotstack explain unknown-property
  iotstack explain";
