//! The ready stacks as an app: no process, no protocol, one call.
//!
//! Findings of the stacks about their parameters are shown like those of the checks; a
//! parameter that is wrong names the file or option it came from.

use std::path::Path;

use iotstack_assembly::Severity;
use iotstack_stacks::{Error as StacksError, Handlers, Request};

use crate::cli::config::FILE;
use crate::cli::context::Context;
use crate::cli::error::{Error, Kind, Result};
use crate::cli::handlers;
use crate::cli::ui::findings;

/// Synthesizes the ready stacks into `output`.
pub fn synthesize(context: &Context, output: &Path) -> Result<()> {
    let (environment_name, environment) = context.environment()?;
    let found = handlers::find(context.options.handlers.as_deref())?;
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
        handlers: Handlers { program: found.path, architecture: found.architecture.into() },
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
            if name == "environment" {
                return Error::usage(format!("environment {message}"))
                    .hint("it becomes part of every name that the ready stacks give");
            }
            let error = Error::usage(format!("parameter `{name}`: {message}"));
            let error = match quoting(&name, &message) {
                Some(hint) => error.hint(hint),
                None => error,
            };
            let error = match meant(&message) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error,
            };
            error.hint(match context.config().ok().and_then(|config| config.file.as_ref()) {
                Some(file) => {
                    format!("parameters come from {} and from `-c KEY=VALUE`", file.display())
                }
                None => format!(
                    "parameters come from `-c KEY=VALUE` and from {FILE}, which is not there"
                ),
            })
        }
        other => Error::stack(other.to_string()),
    }
}

/// How a value is written that YAML and `-c` took for something else.
fn quoting(name: &str, message: &str) -> Option<String> {
    let scalar = |kind: &str| message.starts_with(&format!("invalid type: {kind} "));
    if message.ends_with("expected a string")
        && ["integer", "floating point", "boolean"].into_iter().any(scalar)
    {
        let value = message.split('`').nth(1)?;
        return Some(format!(
            "text that looks like something else goes in quotes: `-c '{name}=\"{value}\"'`"
        ));
    }
    if message.ends_with("expected a list") && scalar("string") {
        return Some(format!("a list is written `-c '{name}=[\"a\", \"b\"]'`"));
    }
    None
}

/// The known name that is most like the unknown one, both taken from the message.
fn meant(message: &str) -> Option<&str> {
    let mut words = message.strip_prefix("unknown field `")?.split('`');
    let unknown = words.next()?;
    iotstack_schema::nearest(unknown, words.skip(1).step_by(2))
}

#[cfg(test)]
mod tests {
    use super::{meant, quoting};

    #[test]
    fn finds_what_was_meant_among_the_known() {
        assert_eq!(meant("unknown field `cuont`, expected `count` or `names`"), Some("count"));
        assert_eq!(meant("expected a number"), None);
    }

    #[test]
    fn says_how_text_and_lists_are_written() {
        assert_eq!(
            quoting("tags.cost", "invalid type: integer `5`, expected a string").as_deref(),
            Some("text that looks like something else goes in quotes: `-c 'tags.cost=\"5\"'`")
        );
        assert_eq!(
            quoting("notify", "invalid type: string \"a\", expected a list").as_deref(),
            Some("a list is written `-c 'notify=[\"a\", \"b\"]'`")
        );
        assert_eq!(quoting("a", "invalid type: string \"x\", expected a boolean"), None);
    }
}
