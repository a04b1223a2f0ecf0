//! The ready stacks as an app: no process, no protocol, one call.
//!
//! Findings of the stacks about their parameters are shown like those of the checks; a
//! parameter that is wrong names the file or option it came from.

use std::path::Path;

use iotstack::aws::lambda;
use iotstack_stacks::{Error as StacksError, Handlers, Request};

use crate::cli::context::Context;
use crate::cli::error::{Error, Kind, Result};
use crate::cli::handlers::{self, Architecture};
use crate::cli::ui::findings;

/// Synthesizes the ready stacks into `output`.
pub fn synthesize(context: &Context, output: &Path) -> Result<()> {
    let (environment_name, environment) = context.environment()?;
    let found = handlers::find(context.options.handlers.as_deref())?;
    let architecture = match found.architecture {
        Architecture::Arm64 => lambda::Architecture::Arm64,
        Architecture::X86_64 => lambda::Architecture::X86_64,
    };
    let request = Request {
        environment_name,
        account: environment.account,
        region: context.region()?,
        parameters: context.parameters()?,
        handlers: Handlers { program: found.path, architecture },
        output: output.to_owned(),
    };
    iotstack_stacks::synthesize(&request).map_err(|error| refused(context, error))
}

fn refused(context: &Context, error: StacksError) -> Error {
    match error {
        StacksError::Diagnostics(found) => {
            findings::show(&found);
            Error::told(Kind::Stack)
        }
        StacksError::Parameter { name, message } => {
            let origin = context.config().map(|config| config.origin());
            Error::usage(format!("parameter `{name}`: {message}")).hint(format!(
                "parameters come from {} and from `-c KEY=VALUE`",
                origin.unwrap_or_default()
            ))
        }
        other => Error::stack(other.to_string()),
    }
}
