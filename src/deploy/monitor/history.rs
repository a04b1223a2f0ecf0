//! The history of a stack: its events, and what failed first.
//!
//! CloudFormation gives events newest first and keeps all operations in one list. An
//! operation begins with an event of the stack itself; everything after it belongs to
//! the operation. When one resource fails, CloudFormation cancels its neighbours and
//! reports those as failed too; they are told apart by their reason.

use std::collections::BTreeSet;

use aws_sdk_cloudformation as cfn;

use super::Since;
use crate::event::{Failure, StackEvent};
use crate::{Clients, Result, stack};

/// The events of one operation that are not in `known`, the oldest first.
pub(super) async fn events(
    clients: &Clients,
    name: &str,
    since: &Since,
    known: &BTreeSet<String>,
) -> Result<Vec<StackEvent>> {
    let mut found = Vec::new();
    let mut token = None;
    'pages: loop {
        let page = clients
            .cloudformation
            .describe_stack_events()
            .stack_name(name)
            .set_next_token(token.take())
            .send()
            .await;
        let page = match page {
            Err(error) if stack::is_absent(&error) => break,
            page => page.map_err(clients.failed("cloudformation:DescribeStackEvents"))?,
        };
        for event in page.stack_events.unwrap_or_default() {
            let event = from_answer(event);
            if known.contains(&event.id) {
                break 'pages;
            }
            let begins = begins_operation(&event);
            if belongs(&event, since) {
                found.push(event);
            } else if begins {
                break 'pages;
            }
            if begins {
                break 'pages;
            }
        }
        match page.next_token {
            Some(next) => token = Some(next),
            None => break,
        }
    }
    found.reverse();
    Ok(found)
}

/// The real failures of the last operation on a stack, the first one first.
pub(crate) async fn last_failures(clients: &Clients, name: &str) -> Result<Vec<Failure>> {
    let events = events(clients, name, &Since::RunningOperation, &BTreeSet::new()).await?;
    Ok(failures(clients, &events).await)
}

/// The real failures among events in order of time; nested stacks are replaced by what
/// failed inside, as far as that can be read.
pub(super) async fn failures(clients: &Clients, events: &[StackEvent]) -> Vec<Failure> {
    let mut failures = Vec::new();
    for event in events.iter().filter(|event| !event.is_stack && event.is_cause()) {
        failures.push(deepest(clients, event).await);
    }
    if failures.is_empty() {
        // Nothing of its own failed: the stack was refused as a whole, and says why.
        failures.extend(events.iter().filter(|event| is_refusal(event)).map(failure));
    }
    failures
}

/// What failed inside a nested stack, or the event itself.
async fn deepest(clients: &Clients, event: &StackEvent) -> Failure {
    let mut event = event.clone();
    for _ in 0..DEEPEST_NESTING {
        let nested = event.physical_id.clone().filter(|id| {
            event.resource_type == STACK_TYPE && id.starts_with("arn:") && !event.is_stack
        });
        let Some(nested) = nested else { break };
        let since = Since::RunningOperation;
        let Ok(inner) = events(clients, &nested, &since, &BTreeSet::new()).await else { break };
        let Some(cause) = inner.into_iter().find(|inner| !inner.is_stack && inner.is_cause())
        else {
            break;
        };
        event = cause;
    }
    failure(&event)
}

fn failure(event: &StackEvent) -> Failure {
    Failure {
        stack: event.stack.clone(),
        logical_id: event.logical_id.clone(),
        resource_type: event.resource_type.clone(),
        status: event.status.clone(),
        reason: event.reason.clone().unwrap_or_else(|| "no reason given".into()),
    }
}

fn is_refusal(event: &StackEvent) -> bool {
    let bad = event.status.ends_with("_FAILED") || event.status.contains("ROLLBACK_IN_PROGRESS");
    let told = event.reason.as_deref().is_some_and(|reason| !is_initiated(reason));
    event.is_stack && bad && told
}

fn belongs(event: &StackEvent, since: &Since) -> bool {
    match since {
        Since::Token(token) => event.token.as_ref() == Some(token),
        Since::RunningOperation => true,
    }
}

/// Whether an operation begins with this event. A rollback that CloudFormation decides on
/// is a part of the operation; one that a person asked for is an operation of its own.
fn begins_operation(event: &StackEvent) -> bool {
    if !event.is_stack {
        return false;
    }
    match event.status.as_str() {
        "CREATE_IN_PROGRESS" | "UPDATE_IN_PROGRESS" | "DELETE_IN_PROGRESS" => true,
        "IMPORT_IN_PROGRESS" | "REVIEW_IN_PROGRESS" => true,
        "ROLLBACK_IN_PROGRESS" | "UPDATE_ROLLBACK_IN_PROGRESS" => {
            event.reason.as_deref().is_some_and(is_initiated)
        }
        _ => false,
    }
}

fn is_initiated(reason: &str) -> bool {
    reason.eq_ignore_ascii_case("User Initiated")
}

fn from_answer(event: cfn::types::StackEvent) -> StackEvent {
    let physical_id = event.physical_resource_id.filter(|id| !id.is_empty());
    let stack_id = event.stack_id.unwrap_or_default();
    let resource_type = event.resource_type.unwrap_or_default();
    StackEvent {
        id: event.event_id.unwrap_or_default(),
        time: event.timestamp.map_or(std::time::SystemTime::UNIX_EPOCH, stack::time),
        stack: event.stack_name.unwrap_or_default(),
        logical_id: event.logical_resource_id.unwrap_or_default(),
        is_stack: resource_type == STACK_TYPE && physical_id.as_ref() == Some(&stack_id),
        physical_id,
        resource_type,
        status: event.resource_status.map(|it| it.as_str().to_owned()).unwrap_or_default(),
        reason: event.resource_status_reason.filter(|reason| !reason.is_empty()),
        token: event.client_request_token,
    }
}

const STACK_TYPE: &str = "AWS::CloudFormation::Stack";

/// CloudFormation allows no deeper nesting that a person would survive reading.
const DEEPEST_NESTING: usize = 5;
