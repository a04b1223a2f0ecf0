//! `AWS::KMS::Key` and `AWS::KMS::Alias`.
//!
//! A key that leaves a stack waits for its end, as everywhere.

use std::sync::Arc;

use iotstack_local_kernel::{
    Cloud, Commit, Fault, Immediate, ResourceFault, ResourceRequest, ResourceState, loose,
};
use serde_json::{Map, Value};

use super::Kms;
use super::key::{NewKey, State, check_policy, rotation_days};
use crate::wire::add_tags;

/// Registers the handlers.
pub(crate) fn register(cloud: &Cloud, kms: &Arc<Kms>) {
    Immediate {
        service: kms.clone(),
        type_name: "AWS::KMS::Key",
        create: create_key,
        update: update_key,
        delete: delete_key,
    }
    .register(cloud);
    Immediate {
        service: kms.clone(),
        type_name: "AWS::KMS::Alias",
        create: create_alias,
        update: update_alias,
        delete: delete_alias,
    }
    .register(cloud);
}

type Made = Result<(ResourceState, Commit), ResourceFault>;

fn create_key(kms: &Kms, request: &ResourceRequest) -> Made {
    let members = request.members()?;
    let wanted = NewKey {
        policy: policy(&members)?,
        tags: request.tags()?.into_iter().collect(),
        ..NewKey::read(&without_tags(&members))?
    };
    let (key, commit) = kms.add(wanted)?;
    // Only what differs from a new key is written once more.
    let commit = match (loose::flag(&members, "Enabled")?, rotation(&members)?) {
        (None | Some(true), None) => commit,
        (enabled, days) => {
            let ((), later) = kms.edit(&key.id, |key| {
                key.rotation_days = days;
                if enabled == Some(false) {
                    key.state = State::Disabled;
                }
                Ok(())
            })?;
            later
        }
    };
    Ok((ResourceState::new(&key.id).with("Arn", key.arn).with("KeyId", key.id.as_str()), commit))
}

fn update_key(kms: &Kms, request: &ResourceRequest) -> Made {
    let id = request.physical_id()?;
    let members = request.members()?;
    NewKey::read(&without_tags(&members)).map_err(|_| ResourceFault::Replace)?;
    let policy = policy(&members)?;
    if let Some(policy) = &policy {
        check_policy(policy)?;
    }
    let description = loose::text(&members, "Description")?.unwrap_or_default();
    let enabled = loose::flag(&members, "Enabled")?.unwrap_or(true);
    let days = rotation(&members)?;
    let tags = request.tags()?.into_iter().collect();
    let (arn, commit) = kms.edit(id, |key| {
        key.description = description;
        key.policy = policy.unwrap_or(key.policy.clone());
        key.rotation_days = days;
        key.state = if enabled { State::Enabled } else { State::Disabled };
        key.tags.clear();
        add_tags(&mut key.tags, tags)?;
        Ok(key.arn.clone())
    })?;
    Ok((ResourceState::new(id).with("Arn", arn).with("KeyId", id), commit))
}

fn delete_key(kms: &Kms, request: &ResourceRequest) -> Result<Commit, ResourceFault> {
    let id = request.physical_id()?;
    let days = loose::integer(&request.members()?, "PendingWindowInDays")?.unwrap_or(30);
    let key = kms.named(id)?;
    if let State::PendingDeletion { .. } = key.state {
        return Err(ResourceFault::failed("NotFound", "the key is about to be deleted already"));
    }
    let (_, commit) = kms.schedule(id, days)?;
    Ok(commit)
}

fn create_alias(kms: &Kms, request: &ResourceRequest) -> Made {
    let members = request.members()?;
    let name = loose::required(&members, "AliasName")?;
    let commit = kms.add_alias(&name, &loose::required(&members, "TargetKeyId")?)?;
    Ok((ResourceState::new(name), commit))
}

fn update_alias(kms: &Kms, request: &ResourceRequest) -> Made {
    let members = request.members()?;
    let name = request.physical_id()?;
    if loose::required(&members, "AliasName")? != name {
        return Err(ResourceFault::Replace);
    }
    let commit = kms.move_alias(name, &loose::required(&members, "TargetKeyId")?)?;
    Ok((ResourceState::new(name), commit))
}

fn delete_alias(kms: &Kms, request: &ResourceRequest) -> Result<Commit, ResourceFault> {
    Ok(kms.drop_alias(request.physical_id()?)?)
}

fn policy(members: &Map<String, Value>) -> Result<Option<String>, Fault> {
    match members.get("KeyPolicy") {
        Some(document @ Value::Object(_)) => Ok(Some(document.to_string())),
        _ => loose::text(members, "KeyPolicy"),
    }
}

/// Every how many days the key shall be said to rotate.
fn rotation(members: &Map<String, Value>) -> Result<Option<i64>, Fault> {
    let on = loose::flag(members, "EnableKeyRotation")?.unwrap_or(false);
    let days = rotation_days(members)?;
    Ok(on.then_some(days))
}

/// Templates name the members of tags otherwise than the API does.
fn without_tags(members: &Map<String, Value>) -> Map<String, Value> {
    let mut members = members.clone();
    members.remove("Tags");
    members
}
