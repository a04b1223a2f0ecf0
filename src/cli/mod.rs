//! The program `iotstack`: words in, words out.
//!
//! This is the list of commands and the way from the arguments to the exit code. One verb
//! is one file in `commands`; a command that grows long is a sign of a function that is
//! missing in a library. `context` is what a command gets, `app` obtains the cloud
//! assembly, `ui` is how things look.
//!
//! Only this part of the house prints, asks, reads the environment or knows exit codes.

mod app;
mod cloud;
mod commands;
mod config;
mod context;
mod error;
mod file;
mod fleet;
mod folder;
mod handlers;
mod host;
mod judge;
mod operator;
mod stage;
mod ui;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use context::{Context, Global};
use error::Result;

/// Builds, checks and deploys infrastructure for IoT fleets on AWS, written in Rust.
///
/// `iotstack synth` turns typed constructs into CloudFormation templates, `iotstack
/// deploy` brings them to AWS, `iotstack destroy` takes them away again. Without an
/// iotstack.yaml the ready stacks are used; with one, your own app.
#[derive(Debug, Parser)]
#[command(name = "iotstack", version, styles = ui::style::help(), max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true)]
#[command(disable_help_subcommand = true, after_long_help = GENERAL_HELP)]
struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Registers the commands: one line each, in the order in which people meet them.
macro_rules! commands {
    ($($name:ident => $module:ident),* $(,)?) => {
        #[derive(Debug, Subcommand)]
        enum Command {
            $($name(commands::$module::Arguments),)*
        }

        impl Command {
            fn run(self, context: &Context) -> Result<()> {
                match self {
                    $(Command::$name(arguments) => commands::$module::run(arguments, context),)*
                }
            }
        }
    };
}

commands! {
    Demo => demo,
    Init => init,
    Ls => ls,
    Synth => synth,
    Check => check,
    Diff => diff,
    Deploy => deploy,
    Outputs => outputs,
    Destroy => destroy,
    Local => local,
    Simulate => simulate,
    Firmware => firmware,
    Job => job,
    Device => device,
    Bootstrap => bootstrap,
    Doctor => doctor,
    Explain => explain,
    Completions => completions,
}

/// Runs the program with the arguments of this process.
pub fn run() -> ExitCode {
    std::panic::set_hook(Box::new(report_bug));
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        // Help and version are no errors; clap knows which stream and which exit code.
        Err(message) => message.exit(),
    };
    if arguments.global.no_color {
        anstream::ColorChoice::Never.write_global();
    }
    log(arguments.global.verbose);
    match arguments.command.run(&Context::new(arguments.global)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            ui::show_error(&error);
            error.exit_code()
        }
    }
}

/// The arguments as clap sees them, for completions.
fn grammar() -> clap::Command {
    Arguments::command()
}

/// Shows the libraries' logs on standard error if they were asked for; without a question
/// only what a cloud on this machine suffers from, such as a full disk.
fn log(verbose: u8) {
    let filter = match verbose {
        0 => "iotstack_local=error,iotstack_local_kernel::store=warn",
        1 => "iotstack=debug,iotstack_deploy=debug,aws_config=info",
        2 => "iotstack=debug,iotstack_deploy=debug,aws_config=debug,aws_smithy_runtime=debug",
        _ => "debug,hyper=info,rustls=info",
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
}

/// What the user sees when the fault is ours.
fn report_bug(panic: &std::panic::PanicHookInfo<'_>) {
    let what = panic.payload_as_str().unwrap_or("no message");
    let place = panic.location().map(|at| format!(" at {}:{}", at.file(), at.line()));
    ui::tell(format!(
        "{}: iotstack itself is at fault: {what}{}",
        ui::style::bad("bug"),
        place.unwrap_or_default()
    ));
    ui::tell(format!(
        "{}: please report this with the command that you ran; RUST_BACKTRACE=1 tells more",
        ui::style::note("hint")
    ));
    if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
        ui::tell(std::backtrace::Backtrace::force_capture().to_string());
    }
}

const GENERAL_HELP: &str = "\
A day with it:
  iotstack synth --env dev          the template, on standard output
  iotstack check --env prod         everything AWS would refuse, before it does
  iotstack diff --env dev           what a deployment would change
  iotstack deploy --env dev         bring it to AWS, after asking about what is risky
  iotstack destroy --env dev        take it away again

Exit codes:
  0    done
  1    your stack or app is wrong, a difference was found that --fail asked about, or
       the answer to a question was no
  2    the command line or iotstack.yaml is wrong
  3    AWS refused, or could not be reached
  101  iotstack is wrong; please report it
  130  stopped by Ctrl-C; what runs at AWS goes on, and the next deploy attaches to it

Templates, lists and JSON go to standard output, everything else to standard error.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_of_the_arguments_is_sound() {
        grammar().debug_assert();
    }

    #[test]
    fn every_command_explains_itself_with_examples() {
        for command in grammar().get_subcommands() {
            let name = command.get_name();
            assert!(command.get_about().is_some(), "`{name}` has no one-line help");
            let manual = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
            assert!(manual.contains("Examples:\n  iotstack "), "`{name}` has no examples");
        }
    }
}
