//! `iotstack deploy`: from the assembly to running stacks.
//!
//! For each stack: publish its assets, let CloudFormation compute a change set, show what
//! is risky and ask, execute, show the outputs. Every step is a library function; the
//! order and the questions are here.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::ValueEnum;
use indexmap::IndexMap;
use iotstack_assembly::{CloudAssembly, StackArtifact};
use iotstack_deploy::change_set::{self, ChangeSet, DEFAULT_NAME, DeployOptions, OnFailure};
use iotstack_deploy::recover::{self, Recovery, RecoveryAction};
use iotstack_deploy::{Clients, Deployed, Proposal, Selection, Session, asset, plan};

use crate::cli::app;
use crate::cli::cloud;
use crate::cli::config::quoted;
use crate::cli::context::Context;
use crate::cli::error::{Error, Result};
use crate::cli::file;
use crate::cli::judge::Judgement;
use crate::cli::ui::progress::{Display, Mode};
use crate::cli::ui::{self, approval, approval::Approval, style, tell};

use super::outputs;

/// Brings stacks to AWS: assets, change set, approval, progress, outputs
///
/// Runs the app and checks the templates. Then, for each stack, those that others need
/// first: publishes what the bucket does not have yet, lets CloudFormation compute a
/// change set, shows it, asks if it is risky, executes it and follows it to the end. If a
/// resource fails, the first real cause is shown and CloudFormation rolls the stack back.
///
/// A stack that is up to date is left alone. A stack in which something is running
/// already is followed first; one that an earlier failure left in a bad state is brought
/// out of it, after asking. Ctrl-C leaves the stack to CloudFormation, and the next deploy
/// attaches to it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// Names or patterns of stacks [default: the only one]
    #[arg(value_name = "STACKS")]
    stacks: Vec<String>,

    /// Deploys every stack of the app
    #[arg(long, conflicts_with = "stacks")]
    all: bool,

    /// Leaves out the stacks that the chosen ones need
    #[arg(short, long)]
    exclusively: bool,

    /// Which changes need a yes
    #[arg(long, value_enum, default_value_t = Approval::Broadening, value_name = "WHICH")]
    require_approval: Approval,

    /// What is done with the change set
    #[arg(short, long, value_enum, default_value_t = Method::Whole, value_name = "METHOD")]
    method: Method,

    /// The name of the change set
    #[arg(long, value_name = "NAME", default_value = DEFAULT_NAME)]
    change_set_name: String,

    /// A value for a template parameter; may be given more than once
    #[arg(long, value_name = "[STACK:]NAME=VALUE", value_parser = parameter)]
    parameters: Vec<Parameter>,

    /// Gives parameters that are not named their defaults, not their previous values
    #[arg(long)]
    no_previous_parameters: bool,

    /// Tags the stack; may be given more than once
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = key_and_value)]
    tags: Vec<(String, String)>,

    /// Sends the stack's events to this SNS topic; may be given more than once
    #[arg(long, value_name = "ARN")]
    notification_arns: Vec<String>,

    /// The role that CloudFormation works with
    #[arg(short, long, value_name = "ARN")]
    role_arn: Option<String>,

    /// Leaves a stack that failed as it is, so that the next deploy goes on from there
    #[arg(short = 'R', long)]
    no_rollback: bool,

    /// Leaves out this resource when a rollback that failed is continued; may be given more
    /// than once
    #[arg(long, value_name = "LOGICAL_ID")]
    orphan: Vec<String>,

    /// Writes the outputs of all stacks into this file, as JSON
    #[arg(short = 'O', long, value_name = "FILE")]
    outputs_file: Option<PathBuf>,

    /// How progress is shown [default: bar on a terminal, events elsewhere]
    #[arg(long, value_enum, value_name = "HOW")]
    progress: Option<Mode>,

    /// Does not check the templates first
    #[arg(long, visible_alias = "no-validation")]
    no_check: bool,
}

/// What is done with the change set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Method {
    /// Makes it and executes it.
    #[value(name = "change-set")]
    Whole,
    /// Makes it and leaves it, to be looked at.
    #[value(name = "prepare-change-set")]
    Prepare,
    /// Executes the one that was prepared.
    #[value(name = "execute-change-set")]
    Execute,
}

/// A value for a parameter of one stack, or of every stack that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Parameter {
    stack: Option<String>,
    name: String,
    value: String,
}

/// Runs the command.
pub fn run(arguments: Arguments, context: &Context) -> Result<()> {
    if let Some(path) = &arguments.outputs_file {
        file::check_writable(path, "the outputs")?;
    }
    let app = app::synthesize(context)?;
    app::refuse_lookups(&app.assembly)?;
    let stacks = plan::select(
        &app.assembly,
        &Selection {
            patterns: arguments.stacks.clone(),
            all: arguments.all,
            exclusively: arguments.exclusively,
        },
    )?;
    check_parameters(&arguments.parameters, &app.assembly)?;
    if !arguments.no_check {
        let mut judgement = Judgement::default();
        for stack in &stacks {
            judgement.judge(stack, context.options.region.as_deref())?;
        }
        judgement.finish(context)?;
    }
    let stacks = stacks.into_iter().map(|stack| cloud::placed(stack, context));
    let stacks: Vec<StackArtifact> = stacks.collect::<Result<_>>()?;
    let deployed = cloud::block_on_stacks(async {
        let session = cloud::session(context).await?;
        let mut done = IndexMap::new();
        for stack in &stacks {
            if let Some(deployed) = deploy(&session, stack, &arguments, context).await? {
                done.insert(stack.display_name.clone(), deployed.outputs);
            }
        }
        Ok(done)
    })?;
    match &arguments.outputs_file {
        Some(path) => outputs::write(path, &deployed),
        None => Ok(()),
    }
}

/// Deploys one stack. Nothing comes back if a change set was only prepared.
async fn deploy(
    session: &Session,
    stack: &StackArtifact,
    arguments: &Arguments,
    context: &Context,
) -> Result<Option<Deployed>> {
    let display = Display::new(arguments.progress);
    let clients = session.clients_for(stack, &display).await?;
    if arguments.method == Method::Execute {
        let name = &arguments.change_set_name;
        let change_set = change_set::prepared(&clients, &stack.stack_name, name).await?;
        approval::require(&clients, stack, &change_set, arguments.require_approval, context)
            .await?;
        return execute(&clients, stack, &change_set, &display).await.map(Some);
    }
    asset::publish(&clients, stack, &display).await?;
    let change_set = match propose(&clients, stack, arguments, context, &display).await? {
        Ok(change_set) => change_set,
        Err(unchanged) => {
            change_set::protect(&clients, stack).await?;
            tell(format!("{}: no changes", style::strong(&stack.display_name)));
            outputs::tell_outputs(&stack.display_name, &unchanged.outputs);
            return Ok(Some(unchanged));
        }
    };
    if arguments.method == Method::Prepare {
        tell(ui::diff::change_set(&change_set.changes));
        tell(format!(
            "change set {} of {} is ready; `iotstack deploy -m execute-change-set` executes it",
            change_set.name, stack.stack_name
        ));
        return Ok(None);
    }
    let allowed =
        approval::require(&clients, stack, &change_set, arguments.require_approval, context).await;
    if let Err(refusal) = allowed {
        change_set::discard(&clients, &change_set).await?;
        return Err(refusal);
    }
    execute(&clients, stack, &change_set, &display).await.map(Some)
}

/// A change set, or the stack as it stands if nothing changes. Brings the stack out of bad
/// states until one of both can be had.
async fn propose(
    clients: &Clients,
    stack: &StackArtifact,
    arguments: &Arguments,
    context: &Context,
    display: &Display,
) -> Result<Result<ChangeSet, Deployed>> {
    let options = options(stack, arguments)?;
    loop {
        match change_set::propose(clients, stack, &options, display).await? {
            Proposal::Changes(change_set) => return Ok(Ok(change_set)),
            Proposal::NoChanges(deployed) => return Ok(Err(deployed)),
            Proposal::Recover(recovery) => {
                agree(&recovery, context).await?;
                recover::recover(clients, &recovery, &arguments.orphan, display).await?;
            }
        }
    }
}

async fn execute(
    clients: &Clients,
    stack: &StackArtifact,
    change_set: &ChangeSet,
    display: &Display,
) -> Result<Deployed> {
    let deployed = change_set::execute(clients, change_set, display).await?;
    change_set::protect(clients, stack).await?;
    tell(format!("{}: {}", style::strong(&stack.display_name), style::good("deployed")));
    outputs::tell_outputs(&stack.display_name, &deployed.outputs);
    Ok(deployed)
}

/// Asks before a stack is brought out of a bad state.
async fn agree(recovery: &Recovery, context: &Context) -> Result<()> {
    let what = match recovery.action {
        RecoveryAction::Delete => "it must be deleted before it can be made again",
        RecoveryAction::RollBack => "it must go back to its last good state first",
        RecoveryAction::ContinueRollback => "its rollback must be brought to an end first",
    };
    tell(format!(
        "{} is in state {}: {what}",
        style::strong(&recovery.stack),
        style::care(&recovery.status)
    ));
    if let Some(failure) = &recovery.failure {
        tell(format!("  what led there: {failure}"));
    }
    for failed in &recovery.failed_resources {
        tell(format!("  still failed: {failed}"));
    }
    if context.options.yes {
        return Ok(());
    }
    let refusal = || {
        let error = Error::stack(format!(
            "stack `{}` is in state {} and was left there",
            recovery.stack, recovery.status
        ));
        error.hint(format!("{what}; `--yes` agrees to that"))
    };
    if !ui::can_ask() {
        return Err(refusal());
    }
    if cloud::ask("Do that now?".into()).await? { Ok(()) } else { Err(refusal()) }
}

fn options(stack: &StackArtifact, arguments: &Arguments) -> Result<DeployOptions> {
    let template = stack.template()?;
    let parameters = arguments.parameters.iter().filter(|parameter| match &parameter.stack {
        Some(name) => names(stack, name),
        None => template.parameters.contains_key(&parameter.name),
    });
    Ok(DeployOptions {
        parameters: parameters.map(|one| (one.name.clone(), one.value.clone())).collect(),
        previous_parameters: !arguments.no_previous_parameters,
        tags: arguments.tags.iter().cloned().collect(),
        notification_arns: arguments.notification_arns.clone(),
        role_arn: arguments.role_arn.clone(),
        on_failure: if arguments.no_rollback { OnFailure::Keep } else { OnFailure::RollBack },
        change_set_name: arguments.change_set_name.clone(),
    })
}

fn names(stack: &StackArtifact, name: &str) -> bool {
    stack.display_name == name || stack.stack_name == name || stack.id == name
}

/// A value for a stack or parameter that does not exist would otherwise be dropped without
/// a word.
fn check_parameters(parameters: &[Parameter], assembly: &CloudAssembly) -> Result<()> {
    for Parameter { stack, name, value } in parameters {
        if let Some(stack) = stack {
            // Which parameters it has, the deployment itself will see.
            if assembly.stacks().iter().any(|other| names(other, stack)) {
                continue;
            }
            return Err(Error::usage(format!(
                "`--parameters {stack}:{name}={value}` names the stack `{stack}`; the app has {}",
                plan::names(assembly)
                    .iter()
                    .map(|name| format!("`{name}`"))
                    .collect::<Vec<_>>()
                    .join(", ")
            )));
        }
        let mut known = BTreeSet::new();
        for stack in assembly.stacks() {
            known.extend(stack.template()?.parameters.keys().cloned());
        }
        if known.contains(name) {
            continue;
        }
        let error = Error::usage(format!(
            "no stack has the parameter `{name}`; there are {}",
            quoted(known.iter().map(String::as_str))
        ));
        return Err(match iotstack_schema::nearest(name, known.iter().map(String::as_str)) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint("parameters of the project are set with `-c KEY=VALUE`"),
        });
    }
    Ok(())
}

/// Reads `[STACK:]NAME=VALUE`. Names of parameters have no colon, values may.
fn parameter(text: &str) -> Result<Parameter, String> {
    let (name, value) =
        key_and_value(text).map_err(|_| "expected [STACK:]NAME=VALUE".to_owned())?;
    Ok(match name.rsplit_once(':') {
        Some((stack, name)) => Parameter { stack: Some(stack.into()), name: name.into(), value },
        None => Parameter { stack: None, name, value },
    })
}

pub(super) fn key_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".into()),
    }
}

const EXAMPLES: &str = "\
Examples:
  iotstack deploy --env dev
  iotstack deploy --env prod --require-approval any-change
  iotstack deploy --all --yes --outputs-file outputs.json
  iotstack deploy Fleet --parameters Fleet:AlarmEmail=ops@example.com
  iotstack deploy -m prepare-change-set && iotstack deploy -m execute-change-set
  iotstack deploy --orphan FirmwareBucket

What --require-approval knows:
  never         nothing needs a yes
  broadening    changes after which somebody may do more than before
  destructive   changes that delete or replace resources
  any-change    every change

Where nobody can be asked (no terminal) a change that needs a yes ends the command with
exit code 1 and changes nothing; --yes or --require-approval never go ahead.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_parameters_with_and_without_a_stack() {
        let read = |text| parameter(text).unwrap();
        let expected = |stack: Option<&str>, name: &str, value: &str| Parameter {
            stack: stack.map(str::to_owned),
            name: name.into(),
            value: value.into(),
        };
        assert_eq!(read("A=b"), expected(None, "A", "b"));
        assert_eq!(read("Prod/Core:A=b:c=d"), expected(Some("Prod/Core"), "A", "b:c=d"));
        assert!(parameter("A").is_err());
    }
}
