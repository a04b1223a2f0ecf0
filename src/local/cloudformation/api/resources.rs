//! What stacks consist of, and what they give to each other.
//!
//! Resources are told with their state as the last operation left it; nobody asks
//! the services whether that is still true, which would be drift detection.

use iotstack_local_kernel::{Call, Reply, page::page};
use serde_json::{Value, json};

use super::CloudFormation;
use super::input::{required, text};
use crate::state::{Output, Resource, Stack};
use crate::{Error, Result};

pub fn describe_one(service: &CloudFormation, call: &Call) -> Result<Reply> {
    let name = required(call, "StackName")?;
    let id = required(call, "LogicalResourceId")?;
    service.engine.read(|state| {
        let stack = state.find(name).ok_or_else(|| Error::no_stack(name))?;
        let resource = stack.resources.get(id).ok_or_else(|| {
            Error::invalid(format!("Resource {id} does not exist for stack {name}"))
        })?;
        let mut told = described(stack, resource, "LastUpdatedTimestamp");
        told["Metadata"] = json!(resource.metadata);
        Ok(json!({ "StackResourceDetail": told }).into())
    })
}

pub fn describe(service: &CloudFormation, call: &Call) -> Result<Reply> {
    let logical_id = text(call, "LogicalResourceId");
    let physical_id = text(call, "PhysicalResourceId");
    service.engine.read(|state| {
        let stack = match (text(call, "StackName"), physical_id) {
            (Some(name), _) => state.find(name).ok_or_else(|| Error::no_stack(name))?,
            (None, Some(physical_id)) => state
                .names
                .values()
                .filter_map(|id| state.stacks.get(id))
                .find(|stack| {
                    stack
                        .resources
                        .values()
                        .any(|resource| resource.physical_id.as_deref() == Some(physical_id))
                })
                .ok_or_else(|| Error::invalid(format!("Stack for {physical_id} does not exist")))?,
            (None, None) => {
                return Err(Error::invalid(
                    "Either StackName or PhysicalResourceId must be specified",
                ));
            }
        };
        let found: Vec<Value> = stack
            .resources
            .values()
            .filter(|resource| logical_id.is_none_or(|id| resource.logical_id == id))
            .take(PAGE)
            .map(|resource| described(stack, resource, "Timestamp"))
            .collect();
        if found.is_empty()
            && let Some(id) = logical_id
        {
            let message = format!("Resource {id} does not exist for stack {}", stack.head.name);
            return Err(Error::invalid(message));
        }
        Ok(json!({ "StackResources": found }).into())
    })
}

pub fn list(service: &CloudFormation, call: &Call) -> Result<Reply> {
    let name = required(call, "StackName")?;
    service.engine.read(|state| {
        let stack = state.find(name).ok_or_else(|| Error::no_stack(name))?;
        let mut all: Vec<&Resource> = stack.resources.values().collect();
        all.sort_by(|left, right| left.logical_id.cmp(&right.logical_id));
        let key = |resource: &&Resource| resource.logical_id.clone();
        let (found, next) = page(all, key, text(call, "NextToken"), PAGE)?;
        let found: Vec<Value> = found
            .into_iter()
            .map(|resource| {
                json!({
                    "LogicalResourceId": resource.logical_id,
                    "PhysicalResourceId": resource.physical_id,
                    "ResourceType": resource.kind,
                    "LastUpdatedTimestamp": resource.at.iso8601(),
                    "ResourceStatus": resource.status.as_str(),
                    "ResourceStatusReason": resource.reason,
                    "DriftInformation": {"StackResourceDriftStatus": "NOT_CHECKED"},
                })
            })
            .collect();
        Ok(json!({ "StackResourceSummaries": found, "NextToken": next }).into())
    })
}

pub fn exports(service: &CloudFormation, call: &Call) -> Result<Reply> {
    service.engine.read(|state| {
        let mut all: Vec<(&Stack, &Output)> = state.exports().collect();
        all.sort_by(|left, right| left.1.export.cmp(&right.1.export));
        let key = |(_, output): &(&Stack, &Output)| output.export.clone().unwrap_or_default();
        let (found, next) = page(all, key, text(call, "NextToken"), PAGE)?;
        let found: Vec<Value> = found
            .into_iter()
            .map(|(stack, output)| {
                json!({
                    "ExportingStackId": stack.head.id,
                    "Name": output.export,
                    "Value": output.value,
                })
            })
            .collect();
        Ok(json!({ "Exports": found, "NextToken": next }).into())
    })
}

pub fn imports(service: &CloudFormation, call: &Call) -> Result<Reply> {
    let name = required(call, "ExportName")?;
    service.engine.read(|state| {
        if state.export(name).is_none() {
            return Err(Error::invalid(format!("Export '{name}' does not exist.")));
        }
        let users: Vec<&str> = state.importers(name).collect();
        if users.is_empty() {
            return Err(Error::invalid(format!("Export '{name}' is not imported by any stack.")));
        }
        let key = |user: &&str| (*user).to_owned();
        let (found, next) = page(users, key, text(call, "NextToken"), PAGE)?;
        Ok(json!({ "Imports": found, "NextToken": next }).into())
    })
}

fn described(stack: &Stack, resource: &Resource, time: &str) -> Value {
    json!({
        "StackName": stack.head.name,
        "StackId": stack.head.id,
        "LogicalResourceId": resource.logical_id,
        "PhysicalResourceId": resource.physical_id,
        "ResourceType": resource.kind,
        time: resource.at.iso8601(),
        "ResourceStatus": resource.status.as_str(),
        "ResourceStatusReason": resource.reason,
        "DriftInformation": {"StackResourceDriftStatus": "NOT_CHECKED"},
    })
}

/// How many are on a page.
const PAGE: usize = 100;
