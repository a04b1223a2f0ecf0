//! Reads a change set: waits until it is computed, all pages, as plain data.
//!
//! CloudFormation has no status for "nothing to do": such a change set has failed, with
//! one of two sentences as its reason.

use aws_sdk_cloudformation as cfn;
use cfn::operation::describe_change_set::DescribeChangeSetOutput;
use serde_json::Value;

use super::{Change, ChangeAction, ChangeDetail, ChangeSet, OnFailure, Replacement};
use crate::error::code_of;
use crate::{Clients, Error, Result, stack};

/// What became of a change set.
pub(super) enum Answer {
    /// It can be executed, or could have been.
    Ready(Box<ChangeSet>),
    /// It changes nothing.
    Empty,
}

/// Waits until CloudFormation has computed the change set.
pub(super) async fn wait(
    clients: &Clients,
    stack: &str,
    name: &str,
    on_failure: OnFailure,
) -> Result<Answer> {
    loop {
        let first = page(clients, stack, name, None).await?;
        let status = first.status.as_ref().map(|status| status.as_str()).unwrap_or_default();
        match status {
            "CREATE_COMPLETE" => {
                let change_set = collect(clients, stack, name, first, on_failure).await?;
                return Ok(Answer::Ready(Box::new(change_set)));
            }
            "FAILED" => {
                let reason = first.status_reason.unwrap_or_else(|| "no reason given".into());
                if is_empty(&reason) {
                    return Ok(Answer::Empty);
                }
                let id = first.change_set_id.as_deref().unwrap_or(name);
                let reason = with_details(clients, id, reason).await;
                return Err(Error::ChangeSetFailed { stack: stack.to_owned(), reason });
            }
            status if status.starts_with("DELETE") => {
                return Err(Error::ChangeSetNotFound {
                    stack: stack.to_owned(),
                    change_set: name.to_owned(),
                });
            }
            _ => tokio::time::sleep(clients.pace.change_set).await,
        }
    }
}

/// CloudFormation's two sentences for a change set that changes nothing.
fn is_empty(reason: &str) -> bool {
    reason.contains("didn't contain changes") || reason.contains("No updates are to be performed")
}

/// The validation that runs before a change set is made says only that it failed; what
/// failed stands in the change set's own events.
async fn with_details(clients: &Clients, change_set_id: &str, reason: String) -> String {
    if !reason.contains("DescribeEvents") {
        return reason;
    }
    let call = clients.own.cloudformation.describe_events().change_set_name(change_set_id);
    let Ok(answer) = call.send().await else { return reason };
    let details: Vec<String> = answer
        .operation_events
        .unwrap_or_default()
        .into_iter()
        .filter_map(|event| {
            let said = event.validation_status_reason?;
            let place = event.validation_path.or(event.logical_resource_id);
            Some(place.map_or_else(|| said.clone(), |place| format!("{place}: {said}")))
        })
        .collect();
    if details.is_empty() { reason } else { details.join("; ") }
}

async fn page(
    clients: &Clients,
    stack: &str,
    name: &str,
    token: Option<String>,
) -> Result<DescribeChangeSetOutput> {
    let answer = clients
        .cloudformation
        .describe_change_set()
        .stack_name(stack)
        .change_set_name(name)
        .include_property_values(true)
        .set_next_token(token)
        .send()
        .await;
    answer.map_err(|error| {
        let absent = code_of(&error).is_some_and(|code| code.starts_with("ChangeSetNotFound"));
        match absent || stack::is_absent(&error) {
            true => {
                Error::ChangeSetNotFound { stack: stack.to_owned(), change_set: name.to_owned() }
            }
            false => clients.failed(DESCRIBE)(error),
        }
    })
}

async fn collect(
    clients: &Clients,
    stack: &str,
    name: &str,
    mut answer: DescribeChangeSetOutput,
    on_failure: OnFailure,
) -> Result<ChangeSet> {
    let missing = |missing| Error::UnexpectedAnswer { action: DESCRIBE, missing };
    let mut change_set = ChangeSet {
        stack: stack.to_owned(),
        stack_id: answer.stack_id.take().ok_or_else(|| missing("StackId"))?,
        name: name.to_owned(),
        id: answer.change_set_id.take().ok_or_else(|| missing("ChangeSetId"))?,
        creates_stack: false,
        changes: Vec::new(),
        execution_status: answer
            .execution_status
            .as_ref()
            .map(|status| status.as_str().to_owned())
            .unwrap_or_default(),
        on_failure,
    };
    loop {
        let changes = answer.changes.take().unwrap_or_default();
        change_set.changes.extend(
            changes.into_iter().filter_map(|change| change.resource_change.map(from_answer)),
        );
        match answer.next_token.take() {
            Some(token) => answer = page(clients, stack, name, Some(token)).await?,
            None => return Ok(change_set),
        }
    }
}

fn from_answer(change: cfn::types::ResourceChange) -> Change {
    let properties = |context: Option<String>| {
        let context: Value = serde_json::from_str(&context?).ok()?;
        context.get("Properties").cloned()
    };
    let action = match change.action.as_ref().map(|action| action.as_str()) {
        Some("Add") => ChangeAction::Add,
        Some("Remove") => ChangeAction::Remove,
        Some("Import") => ChangeAction::Import,
        Some("Dynamic") => ChangeAction::Dynamic,
        _ => ChangeAction::Modify,
    };
    let replacement = match change.replacement.as_ref().map(|replacement| replacement.as_str()) {
        Some("True") => Replacement::Yes,
        Some("Conditional") => Replacement::Maybe,
        _ => Replacement::No,
    };
    Change {
        action,
        logical_id: change.logical_resource_id.unwrap_or_default(),
        physical_id: change.physical_resource_id.filter(|id| !id.is_empty()),
        resource_type: change.resource_type.unwrap_or_default(),
        replacement,
        policy_action: change.policy_action.map(|action| action.as_str().to_owned()),
        details: change.details.unwrap_or_default().into_iter().filter_map(detail).collect(),
        before: properties(change.before_context),
        after: properties(change.after_context),
    }
}

fn detail(detail: cfn::types::ResourceChangeDetail) -> Option<ChangeDetail> {
    let target = detail.target?;
    // A conditional recreation that is only evaluated at execution is no promise.
    let is_static = detail.evaluation.as_ref().is_none_or(|it| it.as_str() == "Static");
    let replacement = match target.requires_recreation.as_ref().map(|it| it.as_str()) {
        Some("Always") if is_static => Replacement::Yes,
        Some("Always" | "Conditionally") => Replacement::Maybe,
        _ => Replacement::No,
    };
    Some(ChangeDetail {
        attribute: target.attribute.map(|it| it.as_str().to_owned()).unwrap_or_default(),
        property: target.path.or(target.name),
        replacement,
        before: target.before_value,
        after: target.after_value,
        source: detail.change_source.map(|source| source.as_str().to_owned()),
    })
}

const DESCRIBE: &str = "cloudformation:DescribeChangeSet";
