//! The ready stacks as an app: no process, no protocol, one call.
//!
//! Findings of the stacks about their parameters are shown like those of the checks; a
//! parameter that is wrong names the file or option it came from.

use std::path::Path;

use iotstack::aws::lambda;
use iotstack_assembly::Severity;
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
    let mut parameters = context.parameters()?;
    if let Some(qualifier) = &context.config()?.toolkit.qualifier {
        // What `-c` says about this run counts more than the project's bootstrap stack.
        parameters.entry("bootstrap_qualifier").or_insert_with(|| qualifier.as_str().into());
    }
    let request = Request {
        environment_name,
        account: environment.account,
        region: context.region()?,
        parameters,
        handlers: Handlers { program: found.path, architecture },
        output: output.to_owned(),
    };
    iotstack_stacks::synthesize(&request).map_err(|error| refused(context, error))
}

fn refused(context: &Context, error: StacksError) -> Error {
    match error {
        StacksError::Diagnostics(found) => {
            findings::show(&found, Severity::Info);
            Error::told(Kind::Stack)
        }
        StacksError::Parameter { name, message } => {
            let origin = context.config().map(|config| config.origin());
            let error = Error::usage(format!("parameter `{name}`: {message}"));
            let error = match meant(&message) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error,
            };
            error.hint(format!(
                "parameters come from {} and from `-c KEY=VALUE`",
                origin.unwrap_or_default()
            ))
        }
        other => Error::stack(other.to_string()),
    }
}

/// The known name that is most like the unknown one, both taken from the message.
fn meant(message: &str) -> Option<&str> {
    let mut words = message.strip_prefix("unknown field `")?.split('`');
    let unknown = words.next()?;
    iotstack_schema::nearest(unknown, words.skip(1).step_by(2))
}

#[cfg(test)]
mod tests {
    use super::meant;

    #[test]
    fn finds_what_was_meant_among_the_known() {
        assert_eq!(meant("unknown field `cuont`, expected `count` or `names`"), Some("count"));
        assert_eq!(meant("expected a number"), None);
    }
}
