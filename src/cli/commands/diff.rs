//! `iotstack diff`: what a deployment would change.

use std::path::PathBuf;

use clap::ValueEnum;
use indexmap::IndexMap;
use iotstack_assembly::diff::{TemplateDiff, diff};
use iotstack_assembly::{StackArtifact, parse};
use iotstack_check::SchemaFacts;
use iotstack_deploy::change_set::{Change, DeployOptions};
use iotstack_deploy::diff::{Preview, preview};
use iotstack_deploy::{Clients, Selection, Session, plan};
use serde::Serialize;

use crate::cli::app;
use crate::cli::cloud;
use crate::cli::context::Context;
use crate::cli::error::{Error, Kind, Result};
use crate::cli::ui::progress::{Display, Mode};
use crate::cli::ui::{self, approval, json, out, style, tell};

/// Compares the app's stacks with what is deployed, or with a template
///
/// Shows for every stack what deploying would make, change, replace and delete, and which
/// permissions would widen. A property whose change replaces its resource says so. A
/// construct that was renamed, which deletes one resource and makes another, is pointed
/// out.
///
/// By default CloudFormation is asked for a change set, which is deleted again, because it
/// knows the values of parameters; where that is not possible the templates are compared,
/// and the command says so. With `--template FILE` nothing leaves the machine.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// Names or patterns of stacks [default: all]
    #[arg(value_name = "STACKS")]
    stacks: Vec<String>,

    /// Leaves out the stacks that the chosen ones need
    #[arg(short, long)]
    exclusively: bool,

    /// Compares with this template file instead of what is deployed
    #[arg(long, value_name = "FILE")]
    template: Option<PathBuf>,

    /// How the difference is found
    #[arg(short, long, value_enum, default_value_t = Method::Auto, value_name = "METHOD")]
    method: Method,

    /// Ends with exit code 1 if there is any difference
    #[arg(long)]
    fail: bool,

    /// Ends with exit code 1 if there is a difference of this kind
    #[arg(long, value_enum, value_name = "WHICH", conflicts_with = "fail")]
    fail_on: Option<FailOn>,

    /// Shows permissions and network rules alone
    #[arg(long)]
    security_only: bool,

    /// Shows no stacks without differences
    #[arg(short, long)]
    quiet: bool,

    /// Prints JSON
    #[arg(short, long)]
    json: bool,
}

/// How the difference is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Method {
    /// By change set, and by comparing templates where that is not possible.
    Auto,
    /// By change set.
    ChangeSet,
    /// By comparing templates.
    Template,
}

/// Which differences fail the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// None.
    Never,
    /// Any.
    AnyChange,
    /// Those after which somebody may do more than before.
    Broadening,
    /// Those that delete or replace resources.
    Destructive,
}

/// One stack's difference.
struct Compared {
    stack: StackArtifact,
    diff: TemplateDiff,
    /// What CloudFormation says, if it was asked and answered.
    changes: Option<Vec<Change>>,
}

/// Runs the command.
pub fn run(arguments: Arguments, context: &Context) -> Result<()> {
    let app = app::synthesize(context)?;
    let selection = Selection {
        patterns: arguments.stacks.clone(),
        all: arguments.stacks.is_empty(),
        exclusively: arguments.exclusively || arguments.template.is_some(),
    };
    let stacks = plan::select(&app.assembly, &selection)?;
    let compared = match &arguments.template {
        Some(file) => vec![with_file(&stacks, file)?],
        None => cloud::block_on(with_deployed(&stacks, &arguments, context))?,
    };
    let compared: Vec<Compared> = compared
        .into_iter()
        .map(|mut one| {
            if !context.options.strict {
                one.diff.hide_tooling();
            }
            one
        })
        .collect();
    if arguments.json {
        json::print(&as_json(&compared))?;
    } else {
        for one in &compared {
            show(one, &arguments)?;
        }
        let different = compared.iter().filter(|one| !one.is_empty()).count();
        tell(format!("Number of stacks with differences: {different}"));
    }
    if compared.iter().any(|one| fails(one, &arguments)) {
        return Err(Error::told(Kind::Stack));
    }
    Ok(())
}

impl Compared {
    fn is_empty(&self) -> bool {
        self.diff.is_empty() && self.changes.as_ref().is_none_or(Vec::is_empty)
    }

    fn destructive(&self) -> bool {
        match &self.changes {
            Some(changes) => ui::diff::change_set_destroys(changes),
            None => self.diff.destructive(),
        }
    }
}

fn with_file(stacks: &[&StackArtifact], file: &PathBuf) -> Result<Compared> {
    let [stack] = stacks else {
        return Err(Error::usage(format!(
            "`--template` compares one stack, and {} were chosen: {}",
            stacks.len(),
            crate::cli::config::quoted(stacks.iter().map(|stack| stack.display_name.as_str()))
        ))
        .hint("name the stack"));
    };
    let text = std::fs::read_to_string(file)
        .map_err(|error| Error::usage(format!("cannot read {}: {error}", file.display())))?;
    let (old, _) = parse::template(&text)
        .map_err(|error| Error::stack(format!("{}: {error}", file.display())))?;
    let diff = diff(&old, &stack.template()?, &SchemaFacts);
    Ok(Compared { stack: (*stack).clone(), diff, changes: None })
}

async fn with_deployed(
    stacks: &[&StackArtifact],
    arguments: &Arguments,
    context: &Context,
) -> Result<Vec<Compared>> {
    let display = Display::new(Some(Mode::ErrorsOnly));
    let session = cloud::session(context).await?;
    let mut compared = Vec::new();
    for stack in stacks {
        let stack = cloud::placed(stack, context)?;
        compared.push(with_one(&session, stack, arguments.method, &display).await?);
    }
    Ok(compared)
}

async fn with_one(
    session: &Session,
    stack: StackArtifact,
    method: Method,
    display: &Display,
) -> Result<Compared> {
    let clients = session.clients_for(&stack, display).await?;
    let diff = approval::against_deployed(&clients, &stack, &stack.template()?).await?;
    let changes = match method {
        Method::Template => None,
        // Equal templates can still differ in the values of their parameters.
        Method::Auto | Method::ChangeSet => {
            from_change_set(&clients, &stack, method, display).await?
        }
    };
    Ok(Compared { stack, diff, changes })
}

async fn from_change_set(
    clients: &Clients,
    stack: &StackArtifact,
    method: Method,
    display: &Display,
) -> Result<Option<Vec<Change>>> {
    let options =
        DeployOptions { change_set_name: "cdk-diff-change-set".into(), ..DeployOptions::default() };
    match preview(clients, stack, &options, display).await {
        Ok(Preview::Changes(change_set)) => Ok(Some(change_set.changes)),
        Ok(Preview::NoChanges) => Ok(Some(Vec::new())),
        Ok(Preview::NewStack) => Ok(None),
        Ok(Preview::Unavailable(reason)) if method == Method::Auto => {
            tell(format!(
                "{}: no change set for {} ({reason}); the templates are compared instead",
                style::care("note"),
                stack.display_name
            ));
            Ok(None)
        }
        Ok(Preview::Unavailable(reason)) => Err(Error::new(
            Kind::Cloud,
            format!("stack `{}` has no change set: {reason}", stack.display_name),
        )
        .hint("`--method template` compares the templates")),
        Err(error) => Err(error.into()),
    }
}

fn show(one: &Compared, arguments: &Arguments) -> Result<()> {
    let name = &one.stack.display_name;
    let text = if arguments.security_only {
        ui::diff::permissions(&one.diff, ui::width_of_output()).unwrap_or_default()
    } else {
        text(one)
    };
    if text.is_empty() {
        return if arguments.quiet {
            Ok(())
        } else {
            out(&format!("{}\nThere were no differences", stack_line(name)))
        };
    }
    out(&format!("{}\n{text}\n\n", stack_line(name)))
}

/// The templates' differences, which name properties in full; after them what only
/// CloudFormation knows.
fn text(one: &Compared) -> String {
    let mut text = ui::diff::text(&one.diff, ui::width_of_output());
    let Some(changes) = &one.changes else { return text };
    let unseen: Vec<Change> = changes
        .iter()
        .filter(|change| one.diff.resource(&change.logical_id).is_none())
        .cloned()
        .collect();
    if !unseen.is_empty() {
        if !text.is_empty() {
            text += "\n\n";
        }
        text += "Also changed, by the values of parameters or of other resources:\n";
        text += &ui::diff::change_set(&unseen);
    }
    text
}

fn stack_line(name: &str) -> String {
    format!("Stack {}", style::strong(name))
}

fn fails(one: &Compared, arguments: &Arguments) -> bool {
    let level = match arguments.fail_on {
        Some(level) => level,
        None if arguments.fail => FailOn::AnyChange,
        None => FailOn::Never,
    };
    match level {
        FailOn::Never => false,
        FailOn::AnyChange => !one.is_empty(),
        FailOn::Broadening => one.diff.broadening(),
        FailOn::Destructive => one.destructive(),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    #[serde(flatten)]
    diff: &'a TemplateDiff,
    broadening: bool,
    destructive: bool,
}

fn as_json<'a>(compared: &'a [Compared]) -> IndexMap<&'a str, Shown<'a>> {
    let shown = |one: &'a Compared| {
        let Compared { stack, diff, .. } = one;
        let (broadening, destructive) = (diff.broadening(), one.destructive());
        (stack.display_name.as_str(), Shown { diff, broadening, destructive })
    };
    compared.iter().map(shown).collect()
}

const EXAMPLES: &str = "\
Examples:
  iotstack diff --env dev
  iotstack diff --env prod --fail-on destructive
  iotstack diff Fleet --template deployed.yaml
  iotstack diff --method template --security-only

The differences go to standard output. [+] is made, [~] changed, [-] deleted, [←] taken in
or left behind.";
