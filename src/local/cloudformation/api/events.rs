//! The history of stacks, newest first.
//!
//! `DescribeStackEvents` tells it as it always did; `DescribeEvents` tells the same
//! by operation, and what the validation of a change set found. A page's token is
//! the number of its last event, so that new events do not move the pages.

use iotstack_local_kernel::{Call, Reply};
use serde_json::{Value, json};

use super::CloudFormation;
use super::change_sets::{VALIDATION, find};
use super::input::{required, text};
use crate::run::ledger::STACK_TYPE;
use crate::state::{Event, Stack};
use crate::{Error, Result};

pub fn of_stack(service: &CloudFormation, call: &Call) -> Result<Reply> {
    let name = required(call, "StackName")?;
    let before = before(call)?;
    service.engine.read(|state| {
        let stack = state.find(name).ok_or_else(|| Error::no_stack(name))?;
        let (found, next) = newest(stack, before, |_| true);
        let found: Vec<Value> = found.into_iter().map(|event| described(stack, event)).collect();
        Ok(json!({ "StackEvents": found, "NextToken": next }).into())
    })
}

/// The events of a change set are what its validation found; those of a stack or of an
/// operation are the stack's, in another form.
pub fn of_operation(service: &CloudFormation, call: &Call) -> Result<Reply> {
    if text(call, "ChangeSetName").is_some() {
        return of_change_set(service, call);
    }
    let operation = text(call, "OperationId");
    let only_failed = call
        .input
        .get("Filters")
        .and_then(|filters| filters.get("FailedEvents"))
        .is_some_and(|value| value == "true" || value == &Value::Bool(true));
    let before = before(call)?;
    service.engine.read(|state| {
        let stack = match (text(call, "StackName"), operation) {
            (Some(name), _) => state.find(name).ok_or_else(|| Error::no_stack(name))?,
            (None, Some(operation)) => state
                .stacks
                .values()
                .find(|stack| {
                    stack.events.iter().any(|event| event.operation.as_deref() == Some(operation))
                })
                .ok_or_else(|| {
                    Error::invalid(format!("Operation with id {operation} does not exist"))
                })?,
            (None, None) => {
                return Err(Error::invalid(
                    "one of StackName, ChangeSetName and OperationId is needed",
                ));
            }
        };
        let (found, next) = newest(stack, before, |event| {
            (operation.is_none() || event.operation.as_deref() == operation)
                && (!only_failed || event.status.ends_with("_FAILED"))
        });
        let found: Vec<Value> = found
            .into_iter()
            .map(|event| {
                let mut told = described(stack, event);
                let is_stack =
                    event.kind == STACK_TYPE && event.physical_id.as_ref() == Some(&stack.head.id);
                let failed = event.status.ends_with("_FAILED");
                told["OperationType"] = json!(event.operation_kind);
                told["EventType"] = json!(match (failed, is_stack) {
                    (true, false) => "PROVISIONING_ERROR",
                    (_, true) => "STACK_EVENT",
                    _ => "PROGRESS_EVENT",
                });
                if is_stack {
                    told["OperationStatus"] = json!(match event.status.as_str() {
                        status if status.ends_with("_IN_PROGRESS") => "IN_PROGRESS",
                        status if status.ends_with("_FAILED") => "FAILED",
                        status if status.contains("ROLLBACK") => "FAILED",
                        _ => "SUCCEEDED",
                    });
                }
                if let Some(members) = told.as_object_mut() {
                    members.shift_remove("StackName");
                }
                told
            })
            .collect();
        Ok(json!({ "OperationEvents": found, "NextToken": next }).into())
    })
}

fn of_change_set(service: &CloudFormation, call: &Call) -> Result<Reply> {
    let (stack_id, set) = find(service, call)?;
    let events: Vec<Value> = set
        .findings
        .iter()
        .enumerate()
        .map(|(number, finding)| {
            json!({
                "EventId": format!("{}-{number}", set.id.rsplit('/').next().unwrap_or_default()),
                "StackId": stack_id,
                "OperationId": set.id,
                "OperationType": "CREATE_CHANGESET",
                "EventType": "VALIDATION_ERROR",
                "LogicalResourceId": finding.logical_id,
                "ResourceType": finding.kind,
                "Timestamp": set.created.iso8601(),
                "ValidationFailureMode": "FAIL",
                "ValidationName": VALIDATION,
                "ValidationStatus": "FAILED",
                "ValidationStatusReason": finding.message,
                "ValidationPath": finding.path,
            })
        })
        .collect();
    Ok(json!({ "OperationEvents": events }).into())
}

/// One page of events that fit, newest first, and the token of the next one.
fn newest(
    stack: &Stack,
    before: Option<u64>,
    fits: impl Fn(&Event) -> bool,
) -> (Vec<&Event>, Option<String>) {
    let mut found: Vec<&Event> = stack
        .events
        .iter()
        .rev()
        .skip_while(|event| before.is_some_and(|before| event.number >= before))
        .filter(|event| fits(event))
        .take(PAGE + 1)
        .collect();
    let next = (found.len() > PAGE).then(|| {
        found.truncate(PAGE);
        found.last().map(|event| event.number.to_string()).unwrap_or_default()
    });
    (found, next)
}

fn before(call: &Call) -> Result<Option<u64>> {
    text(call, "NextToken")
        .map(|token| {
            token
                .parse()
                .map_err(|_| Error::invalid(format!("NextToken `{token}` was not given by a page")))
        })
        .transpose()
}

fn described(stack: &Stack, event: &Event) -> Value {
    json!({
        "StackId": stack.head.id,
        "EventId": event.id,
        "StackName": stack.head.name,
        "OperationId": event.operation,
        "LogicalResourceId": event.logical_id,
        "PhysicalResourceId": event.physical_id.as_deref().unwrap_or_default(),
        "ResourceType": event.kind,
        "Timestamp": event.at.iso8601(),
        "ResourceStatus": event.status,
        "ResourceStatusReason": event.reason,
        "ClientRequestToken": event.token,
    })
}

/// How many events are on a page.
const PAGE: usize = 100;
