//! `iotstack ls`: the stacks of the app.

use serde::Serialize;

use iotstack_assembly::{CloudAssembly, StackArtifact};
use iotstack_deploy::plan;

use crate::cli::app;
use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cli::ui::{json, out};

/// Lists the stacks of the app, those that others need first
///
/// Runs the app and prints the name of each stack, followed by its name in the account
/// where that differs. Patterns choose among them: `*` stands for anything but `/`, `**`
/// for anything. A pattern that fits nothing prints nothing and is no error, so that
/// scripts can ask.
#[derive(Debug, clap::Args)]
#[command(visible_alias = "list", after_long_help = EXAMPLES)]
pub struct Arguments {
    /// Names or patterns of stacks [default: all]
    #[arg(value_name = "STACKS")]
    stacks: Vec<String>,

    /// Shows the account and region of each stack too
    #[arg(short, long)]
    long: bool,

    /// Shows which stacks each stack needs
    #[arg(short = 'd', long)]
    show_dependencies: bool,

    /// Prints JSON
    #[arg(short, long)]
    json: bool,
}

/// Runs the command.
pub fn run(arguments: Arguments, context: &Context) -> Result<()> {
    let app = app::synthesize(context)?;
    let stacks: Vec<Listed> = app
        .assembly
        .stacks()
        .iter()
        .filter(|stack| wanted(stack, &arguments.stacks))
        .map(|stack| listed(&app.assembly, stack))
        .collect();
    if arguments.json {
        return json::print(&stacks);
    }
    let mut text = String::new();
    for stack in &stacks {
        stack.write(&mut text, &arguments);
    }
    if text.is_empty() { Ok(()) } else { out(&text) }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    id: String,
    name: String,
    environment: String,
    account: Option<String>,
    region: Option<String>,
    dependencies: Vec<String>,
}

impl Listed {
    fn write(&self, text: &mut String, arguments: &Arguments) {
        *text += &self.id;
        if self.id != self.name {
            *text += &format!(" ({})", self.name);
        }
        if arguments.long {
            *text += &format!("  {}", self.environment);
        }
        *text += "\n";
        if arguments.show_dependencies {
            for needed in &self.dependencies {
                *text += &format!("  needs {needed}\n");
            }
        }
    }
}

fn wanted(stack: &StackArtifact, patterns: &[String]) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| plan::means(pattern, stack))
}

fn listed(assembly: &CloudAssembly, stack: &StackArtifact) -> Listed {
    let needed = assembly.dependencies_of(stack);
    Listed {
        id: stack.display_name.clone(),
        name: stack.stack_name.clone(),
        environment: stack.environment.to_string(),
        account: stack.environment.account.clone(),
        region: stack.environment.region.clone(),
        dependencies: needed.iter().map(|stack| stack.display_name.clone()).collect(),
    }
}

const EXAMPLES: &str = "\
Examples:
  iotstack ls
  iotstack ls --env prod --long
  iotstack ls 'Prod/**' --show-dependencies
  iotstack ls --app cdk.out --json";
