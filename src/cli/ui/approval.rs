//! Approval: showing what is risky about a change, and asking.
//!
//! Permissions are compared between the deployed template and the new one, because a
//! change set names properties but not what they permit. What is deleted or replaced is
//! taken from the change set, which knows more than the templates.

use clap::ValueEnum;
use iotstack_assembly::diff::{TemplateDiff, diff};
use iotstack_assembly::{StackArtifact, Template};
use iotstack_deploy::change_set::ChangeSet;
use iotstack_deploy::{Clients, diff as deployed};

use super::{style, tell};
use crate::cli::cloud;
use crate::cli::context::Context;
use crate::cli::error::{Error, Result};
use iotstack_check::SchemaFacts;

/// Which changes need a yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Approval {
    /// None.
    Never,
    /// Every change.
    AnyChange,
    /// Those after which somebody may do more than before.
    Broadening,
    /// Those that delete or replace resources.
    Destructive,
}

/// Shows the change and goes on only if it needs no yes, or gets one.
pub async fn require(
    clients: &Clients,
    stack: &StackArtifact,
    change_set: &ChangeSet,
    level: Approval,
    context: &Context,
) -> Result<()> {
    // What will be executed counts, and not what the app says by now.
    let proposed = deployed::proposed_template(clients, change_set).await?;
    let proposed = deployed_from(&proposed, &stack.stack_name)?;
    let diff = against_deployed(clients, stack, &proposed).await?;
    let broadens = diff.broadening();
    let destroys = super::diff::change_set_destroys(&change_set.changes);
    let needed = match level {
        Approval::Never => false,
        Approval::AnyChange => true,
        Approval::Broadening => broadens,
        Approval::Destructive => destroys,
    };
    if !needed {
        return Ok(());
    }
    if broadens
        && let Some(permissions) = super::diff::permissions(&diff, super::width_of_messages())
    {
        tell(permissions);
        tell("");
    }
    tell(super::diff::change_set(&change_set.changes));
    let why = match (broadens, destroys) {
        (true, true) => "permits more than before, and deletes or replaces resources",
        (true, false) => "permits more than before",
        (false, true) => "deletes or replaces resources",
        (false, false) => "changes the stack",
    };
    if context.options.yes {
        return Ok(());
    }
    let name = &stack.display_name;
    if !super::can_ask() {
        return Err(Error::stack(format!(
            "the change of stack `{name}` {why}, and there is no terminal to ask at"
        ))
        .hint("look at the change above; `--yes` or `--require-approval never` go ahead"));
    }
    let question = format!("The change of {} {why}. Deploy it?", style::strong(name));
    if cloud::ask(question).await? {
        return Ok(());
    }
    Err(Error::stack(format!("stack `{name}` was not deployed: the answer was no")))
}

/// The differences between what is deployed and a new template.
pub async fn against_deployed(
    clients: &Clients,
    stack: &StackArtifact,
    new: &Template,
) -> Result<TemplateDiff> {
    let old = match deployed::deployed_template(clients, &stack.stack_name).await? {
        Some(bytes) => deployed_from(&bytes, &stack.stack_name)?,
        None => Template::default(),
    };
    Ok(diff(&old, new, &SchemaFacts))
}

/// Reads a template that somebody deployed, in whatever form.
pub fn deployed_from(bytes: &[u8], stack: &str) -> Result<Template> {
    let text = String::from_utf8_lossy(bytes);
    // An empty stack under review has no template yet.
    if text.trim().is_empty() {
        return Ok(Template::default());
    }
    match iotstack_assembly::parse::template(&text) {
        Ok((template, _)) => Ok(template),
        Err(error) => {
            Err(Error::stack(format!("the deployed template of stack `{stack}`: {error}")))
        }
    }
}
