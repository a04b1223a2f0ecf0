//! `iotstack completions`: the script that makes a shell complete commands and options.

use clap_complete::Shell;

use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cli::{grammar, ui};

/// Prints a script with which a shell completes commands and options
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// The shell
    shell: Shell,
}

/// Runs the command.
pub fn run(arguments: Arguments, _context: &Context) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut grammar(), "iotstack", &mut script);
    ui::out(&String::from_utf8_lossy(&script))
}

const EXAMPLES: &str = "\
Examples:
  iotstack completions bash > ~/.local/share/bash-completion/completions/iotstack
  iotstack completions zsh > ~/.zfunc/_iotstack
  iotstack completions fish > ~/.config/fish/completions/iotstack.fish";
