//! Registry events: what the control plane publishes about its own changes.
//!
//! Each kind is off until UpdateEventConfigurations switches it on. The messages
//! are published after the change is made; like all events of IoT they may be
//! seen in any order.

use std::sync::Arc;

use iotstack_local_kernel::id;
use serde_json::{Value, json};

use crate::core::Tx;
use crate::state::{Group, State, Thing, ThingType};

/// The kinds of events of IoT.
pub const KINDS: [&str; 11] = [
    "CA_CERTIFICATE",
    "CERTIFICATE",
    "JOB",
    "JOB_EXECUTION",
    "POLICY",
    "THING",
    "THING_GROUP",
    "THING_GROUP_HIERARCHY",
    "THING_GROUP_MEMBERSHIP",
    "THING_TYPE",
    "THING_TYPE_ASSOCIATION",
];

/// Whether events of a kind are on.
pub fn enabled(state: &State, kind: &str) -> bool {
    state.settings.events.enabled.get(kind).copied().unwrap_or(false)
}

/// A thing was created, updated or deleted.
pub fn thing(tx: &mut Tx<'_>, thing: &Thing, operation: &str) {
    publish(tx, "THING", operation, |_| {
        let topic = format!("thing/{}/{}", thing.name, operation.to_lowercase());
        let payload = json!({
            "thingId": thing.id,
            "thingName": &*thing.name,
            "versionNumber": thing.version,
            "thingTypeName": thing.thing_type.as_deref(),
            "billingGroupName": thing.billing_group.as_deref(),
            "attributes": thing.attributes,
        });
        (topic, payload)
    });
}

/// A thing type was created, updated, deprecated or deleted.
pub fn thing_type(tx: &mut Tx<'_>, found: &ThingType, operation: &str) {
    publish(tx, "THING_TYPE", operation, |_| {
        let topic = format!("thingType/{}/{}", found.name, operation.to_lowercase());
        let payload = json!({
            "thingTypeId": found.id,
            "thingTypeName": &*found.name,
            "isDeprecated": found.deprecated.is_some(),
            "deprecationDate": found.deprecated.map(|at| at.millis()),
            "searchableAttributes": found.searchable,
            "description": found.description,
        });
        (topic, payload)
    });
}

/// A thing got a type or lost it.
pub fn type_association(tx: &mut Tx<'_>, thing: &Thing, thing_type: &str, operation: &str) {
    publish(tx, "THING_TYPE_ASSOCIATION", operation, |_| {
        let topic = format!(
            "thingTypeAssociation/thing/{}/thingType/{thing_type}/{}",
            thing.name,
            operation.to_lowercase()
        );
        let payload = json!({
            "thingId": thing.id,
            "thingName": &*thing.name,
            "thingTypeName": thing_type,
        });
        (topic, payload)
    });
}

/// A group was created, updated or deleted.
pub fn group(tx: &mut Tx<'_>, group: &Group, operation: &str) {
    publish(tx, "THING_GROUP", operation, |tx| {
        let topic = format!("thingGroup/{}/{}", group.name, operation.to_lowercase());
        let parent = group.parent.as_ref().and_then(|parent| tx.state.groups.get(parent));
        let roots: Vec<Value> = tx
            .state
            .ancestors(group)
            .iter()
            .map(|ancestor| {
                let arn = tx.arn(format_args!("thinggroup/{}", ancestor.name));
                json!({"groupArn": arn, "groupId": ancestor.id})
            })
            .collect();
        let payload = json!({
            "thingGroupId": group.id,
            "thingGroupName": &*group.name,
            "versionNumber": group.version,
            "parentGroupName": group.parent.as_deref(),
            "parentGroupId": parent.map(|parent| &parent.id),
            "description": group.description,
            "rootToParentThingGroups": roots,
            "attributes": group.attributes,
            "queryString": group.dynamic.as_ref().map(|dynamic| &dynamic.query),
        });
        (topic, payload)
    });
}

/// A thing joined or left a group.
pub fn membership(tx: &mut Tx<'_>, thing: &Arc<str>, group: &Arc<str>, member: bool) {
    let operation = if member { "ADDED" } else { "REMOVED" };
    publish(tx, "THING_GROUP_MEMBERSHIP", operation, |tx| {
        let topic = format!(
            "thingGroupMembership/thingGroup/{group}/thing/{thing}/{}",
            operation.to_lowercase()
        );
        let payload = json!({
            "groupArn": tx.arn(format_args!("thinggroup/{group}")),
            "groupId": tx.state.groups.get(group).map(|group| &group.id),
            "thingArn": tx.arn(format_args!("thing/{thing}")),
            "thingId": tx.state.things.get(thing).map(|thing| &thing.id),
            "membershipId": id::uuid(),
        });
        (topic, payload)
    });
}

/// A group got a parent or lost it.
pub fn hierarchy(tx: &mut Tx<'_>, child: &Group, operation: &str) {
    let Some(parent) = child.parent.clone() else { return };
    publish(tx, "THING_GROUP_HIERARCHY", operation, |tx| {
        let topic = format!(
            "thingGroupHierarchy/thingGroup/{parent}/childThingGroup/{}/{}",
            child.name,
            operation.to_lowercase()
        );
        let payload = json!({
            "thingGroupId": tx.state.groups.get(&parent).map(|parent| &parent.id),
            "thingGroupName": &*parent,
            "childGroupId": child.id,
            "childGroupName": &*child.name,
        });
        (topic, payload)
    });
}

/// Publishes an event if its kind is on; nothing is made of it otherwise.
fn publish(
    tx: &mut Tx<'_>,
    kind: &str,
    operation: &str,
    make: impl FnOnce(&Tx<'_>) -> (String, Value),
) {
    if !enabled(tx.state, kind) {
        return;
    }
    let (topic, payload) = make(tx);
    let mut event = json!({
        "eventType": format!("{kind}_EVENT"),
        "eventId": id::uuid(),
        "timestamp": tx.now.millis(),
        "operation": operation,
        "accountId": tx.account.id,
    });
    if let (Value::Object(event), Value::Object(payload)) = (&mut event, payload) {
        event.extend(payload);
    }
    tx.publish(format!("$aws/events/{topic}"), &event);
}
