//! What stacks are like, in AWS's form.
//!
//! A stack is found by its name as long as it exists, and by its ARN for some time
//! after. Values of secret parameters are shown as asterisks. Nothing is changed here.

use iotstack_local_kernel::{Call, Reply, page::page};
use serde_json::{Value, json};

use super::CloudFormation;
use super::input::{text, texts};
use crate::state::Stack;
use crate::{Error, Result};

pub fn describe(service: &CloudFormation, call: &Call) -> Result<Reply> {
    let name = text(call, "StackName");
    service.engine.read(|state| {
        if let Some(name) = name {
            let stack = state.find(name).ok_or_else(|| Error::no_stack(name))?;
            return Ok(json!({ "Stacks": [described(stack)] }).into());
        }
        let all = state.names.values().filter_map(|id| state.stacks.get(id));
        let key = |stack: &&Stack| stack.head.name.clone();
        let (found, next) = page(all, key, text(call, "NextToken"), PAGE)?;
        let found: Vec<Value> = found.into_iter().map(described).collect();
        Ok(json!({ "Stacks": found, "NextToken": next }).into())
    })
}

pub fn list(service: &CloudFormation, call: &Call) -> Result<Reply> {
    let wanted = texts(call, "StackStatusFilter").unwrap_or_default();
    service.engine.read(|state| {
        let all = state.stacks.values().filter(|stack| {
            wanted.is_empty() || wanted.iter().any(|name| name == stack.head.status.as_str())
        });
        let key = |stack: &&Stack| stack.head.id.clone();
        let (found, next) = page(all, key, text(call, "NextToken"), PAGE)?;
        let found: Vec<Value> = found
            .into_iter()
            .map(|stack| {
                let head = &stack.head;
                json!({
                    "StackId": head.id,
                    "StackName": head.name,
                    "TemplateDescription": description(stack),
                    "CreationTime": head.created.iso8601(),
                    "LastUpdatedTime": head.updated.map(|at| at.iso8601()),
                    "DeletionTime": head.deleted.map(|at| at.iso8601()),
                    "StackStatus": head.status.as_str(),
                    "StackStatusReason": head.reason,
                    "ParentId": head.parent,
                    "RootId": head.root,
                    "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
                })
            })
            .collect();
        Ok(json!({ "StackSummaries": found, "NextToken": next }).into())
    })
}

pub fn limits(_: &CloudFormation, _: &Call) -> Result<Reply> {
    let limits =
        [("StackLimit", 2000), ("StackOutputsLimit", 200), ("ConcurrentResourcesLimit", 2500)];
    let limits: Vec<Value> =
        limits.iter().map(|(name, value)| json!({"Name": name, "Value": value})).collect();
    Ok(json!({ "AccountLimits": limits }).into())
}

fn description(stack: &Stack) -> Option<&str> {
    stack.definition.as_ref()?.description.as_deref()
}

/// A stack in AWS's form.
fn described(stack: &Stack) -> Value {
    let head = &stack.head;
    let definition = stack.definition.as_deref();
    let parameters: Vec<Value> = definition
        .map(|definition| {
            let all = definition.parameters.iter();
            all.map(|(name, parameter)| super::change_sets::parameter(name, parameter)).collect()
        })
        .unwrap_or_default();
    let outputs: Vec<Value> = head
        .outputs
        .iter()
        .map(|output| {
            json!({
                "OutputKey": output.name,
                "OutputValue": output.value,
                "Description": output.description,
                "ExportName": output.export,
            })
        })
        .collect();
    let tags = definition.map(|definition| definition.tags.clone()).unwrap_or_default();
    let tags: Vec<Value> =
        tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
    json!({
        "StackId": head.id,
        "StackName": head.name,
        "ChangeSetId": head.change_set,
        "Description": description(stack),
        "Parameters": parameters,
        "CreationTime": head.created.iso8601(),
        "DeletionTime": head.deleted.map(|at| at.iso8601()),
        "LastUpdatedTime": head.updated.map(|at| at.iso8601()),
        "RollbackConfiguration": {},
        "StackStatus": head.status.as_str(),
        "StackStatusReason": head.reason,
        "DisableRollback": head.disable_rollback,
        "NotificationARNs": definition.map(|definition| &definition.notification_arns),
        "TimeoutInMinutes": head.timeout,
        "Capabilities": definition.map(|definition| &definition.capabilities),
        "Outputs": (!outputs.is_empty()).then_some(outputs),
        "RoleARN": definition.and_then(|definition| definition.role_arn.as_ref()),
        "Tags": tags,
        "EnableTerminationProtection": head.protected,
        "ParentId": head.parent,
        "RootId": head.root,
        "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
        "RetainExceptOnCreate": head.retain_except_on_create,
        "LastOperations": head.operation.iter().map(|operation| json!({
            "OperationType": operation.kind, "OperationId": operation.id
        })).collect::<Vec<_>>(),
    })
}

/// How many stacks are on a page.
const PAGE: usize = 100;
