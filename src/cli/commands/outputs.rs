//! `iotstack outputs`: the outputs of deployed stacks.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use iotstack_deploy::{Output, Selection, outputs, plan};
use serde_json::{Map, Value};

use crate::cli::app;
use crate::cli::cloud;
use crate::cli::context::Context;
use crate::cli::error::{Error, Kind, Result};
use crate::cli::file;
use crate::cli::ui::progress::Display;
use crate::cli::ui::table::table;
use crate::cli::ui::{json, out, style, tell};

/// Shows the outputs of deployed stacks
///
/// Reads them from CloudFormation. One output of one stack is printed alone, as it is, so
/// that a script can take it; several are printed as a table.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// Names or patterns of stacks [default: all]
    #[arg(value_name = "STACKS")]
    stacks: Vec<String>,

    /// Prints the value of this output alone
    #[arg(short, long, value_name = "OUTPUT")]
    name: Option<String>,

    /// Prints JSON: stack, output, value
    #[arg(short, long)]
    json: bool,

    /// Writes the same JSON into this file
    #[arg(short = 'O', long, value_name = "FILE")]
    outputs_file: Option<PathBuf>,
}

/// Runs the command.
pub fn run(arguments: Arguments, context: &Context) -> Result<()> {
    let app = app::synthesize(context)?;
    let all = arguments.stacks.is_empty();
    let selection = Selection { patterns: arguments.stacks.clone(), all, exclusively: true };
    let stacks = plan::select(&app.assembly, &selection)?;
    let found = cloud::block_on(async {
        let session = cloud::session(context).await?;
        let display = Display::new(None);
        let mut found = IndexMap::new();
        for stack in stacks {
            let stack = cloud::placed(stack, context)?;
            let clients = session.clients_for(&stack, &display).await?;
            match outputs::outputs(&clients, &stack.stack_name).await {
                Ok(outputs) => {
                    found.insert(stack.display_name.clone(), outputs);
                }
                // Of all stacks, those that are not deployed yet have nothing to show.
                Err(iotstack_deploy::Error::StackNotFound { .. }) if all => {
                    tell(format!("{} is not deployed", style::strong(&stack.display_name)));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(found)
    })?;
    if let Some(path) = &arguments.outputs_file {
        write(path, &found)?;
    }
    match &arguments.name {
        Some(name) => out(value(&found, name)?),
        None if arguments.json => json::print(&as_json(&found)),
        None => {
            let rows = found.iter().flat_map(|(stack, outputs)| {
                outputs
                    .iter()
                    .map(|output| [stack.clone(), output.name.clone(), output.value.clone()])
            });
            let rows: Vec<_> = rows.collect();
            if rows.is_empty() { Ok(()) } else { out(&table(&["stack", "output", "value"], rows)) }
        }
    }
}

/// Writes outputs as `cdk deploy --outputs-file` does: stack, output, value.
pub fn write(path: &Path, outputs: &IndexMap<String, Vec<Output>>) -> Result<()> {
    let text = serde_json::to_string_pretty(&as_json(outputs))
        .map_err(|error| Error::new(Kind::Bug, format!("cannot write JSON: {error}")))?;
    file::write(path, "the outputs", &(text + "\n"))
}

/// Shows the outputs after a deployment.
pub fn tell_outputs(stack: &str, outputs: &[Output]) {
    for output in outputs {
        tell(format!("{}.{} = {}", stack, style::note(&output.name), output.value));
    }
}

fn as_json(outputs: &IndexMap<String, Vec<Output>>) -> Value {
    let stack = |outputs: &Vec<Output>| {
        let values = outputs.iter().map(|one| (one.name.clone(), one.value.clone().into()));
        Value::Object(Map::from_iter(values))
    };
    outputs.iter().map(|(name, outputs)| (name.clone(), stack(outputs))).collect()
}

/// The value of the only output with this name.
fn value<'a>(outputs: &'a IndexMap<String, Vec<Output>>, name: &str) -> Result<&'a str> {
    let found: Vec<(&String, &Output)> = outputs
        .iter()
        .flat_map(|(stack, outputs)| outputs.iter().map(move |output| (stack, output)))
        .filter(|(_, output)| output.name == name)
        .collect();
    match found.as_slice() {
        [(_, only)] => Ok(&only.value),
        [] => {
            let names: Vec<&str> =
                outputs.values().flatten().map(|output| output.name.as_str()).collect();
            let error = Error::usage(format!(
                "no stack has an output `{name}`; there are {}",
                crate::cli::config::quoted(names.iter().copied())
            ));
            Err(match iotstack_schema::nearest(name, names) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error,
            })
        }
        several => {
            let stacks = several.iter().map(|(stack, _)| stack.as_str());
            Err(Error::usage(format!(
                "output `{name}` is in several stacks: {}",
                crate::cli::config::quoted(stacks)
            ))
            .hint("name the stack too"))
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  iotstack outputs --env dev
  iotstack outputs --env dev --name FirmwareBucketName
  iotstack outputs --env prod --outputs-file outputs.json
  iotstack outputs 'Prod/**' --json";

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs() -> IndexMap<String, Vec<Output>> {
        let output = |name: &str, value: &str| Output {
            name: name.into(),
            value: value.into(),
            description: None,
            export: None,
        };
        IndexMap::from([
            ("A".to_owned(), vec![output("Url", "https://a"), output("Name", "a")]),
            ("B".to_owned(), vec![output("Name", "b")]),
        ])
    }

    #[test]
    fn one_output_is_its_value() {
        assert_eq!(value(&outputs(), "Url").unwrap(), "https://a");
        assert_eq!(
            value(&outputs(), "Name").unwrap_err().message(),
            "output `Name` is in several stacks: `A` and `B`"
        );
        let error = value(&outputs(), "Urls").unwrap_err();
        assert_eq!(
            error.message(),
            "no stack has an output `Urls`; there are `Url`, `Name` and `Name`"
        );
        assert_eq!(error.hints(), ["did you mean `Url`?"]);
    }

    #[test]
    fn json_has_the_form_of_an_outputs_file() {
        let expected = r#"{"A":{"Url":"https://a","Name":"a"},"B":{"Name":"b"}}"#;
        assert_eq!(as_json(&outputs()).to_string(), expected);
    }
}
