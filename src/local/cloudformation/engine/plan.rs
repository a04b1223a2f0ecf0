//! What a definition would change in a stack as it stands.
//!
//! Resources are looked at in the order of their dependencies, by the planner
//! beside this file. Here is what a plan consists of, and the questions that a
//! plan and its execution both ask: the order, the outputs, attributes of what
//! exists, differences of properties.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use iotstack_assembly::diff::{self, PropertyChange};
use iotstack_assembly::template::is_custom;
use iotstack_assembly::{Resource as Declared, Template};
use iotstack_check::SchemaFacts;
use iotstack_local_kernel::Account;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Prepared;
use super::planner::Planner;
use crate::state::{Definition, Output, Resource};
use crate::{Error, Result};

/// What would change.
#[derive(Debug, Default)]
pub struct Plan {
    /// What happens to resources: new ones and changed ones in the order of the
    /// template, then those that go.
    pub changes: Vec<PlannedChange>,
    /// Whether an output, a tag of the stack or what it tells about itself changes.
    pub changes_stack: bool,
}

/// What happens to one resource.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PlannedChange {
    /// `Add`, `Modify` or `Remove`.
    pub action: String,
    /// The logical id.
    pub logical_id: String,
    /// The name in the account, if it has one.
    pub physical_id: Option<String>,
    /// The type.
    pub kind: String,
    /// `True`, `False` or `Conditional`, for a change.
    pub replacement: Option<String>,
    /// What happens to what is there now.
    pub policy_action: Option<String>,
    /// `Properties`, `Tags`, `Metadata`, …
    pub scope: Vec<String>,
    /// What changes inside, and why.
    pub details: Vec<Detail>,
    /// The resource before, as JSON.
    pub before: Option<String>,
    /// The resource afterwards, as JSON.
    pub after: Option<String>,
}

/// One change inside a resource.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Detail {
    /// What kind of attribute: `Properties`, `Tags`, …
    pub attribute: String,
    /// The property at the top.
    pub name: Option<String>,
    /// The place below the resource.
    pub path: Option<String>,
    /// `Always`, `Conditionally` or `Never`.
    pub recreation: String,
    /// The value before.
    pub before: Option<String>,
    /// The value afterwards.
    pub after: Option<String>,
    /// `Add`, `Modify` or `Remove`.
    pub change: String,
    /// Whether it is sure already (`Static`) or decided while deploying (`Dynamic`).
    pub evaluation: String,
    /// What causes it, such as `DirectModification`.
    pub source: String,
    /// The name of the cause: a parameter, a resource, an attribute.
    pub cause: Option<String>,
}

/// A stack as it stands, for comparison.
#[derive(Debug, Default)]
pub struct Present {
    /// Its resources.
    pub resources: IndexMap<String, Resource>,
    /// What it was made from.
    pub definition: Option<std::sync::Arc<Definition>>,
    /// Its outputs.
    pub outputs: Vec<Output>,
    /// The exports of all other stacks: the value, and the stack's name.
    pub exports: BTreeMap<String, (String, String)>,
    /// Nested stacks whose template changed behind the same URL.
    pub nested_changes: BTreeSet<String>,
}

/// Compares a definition with a stack as it stands.
///
/// # Errors
/// What no deployment of it could get over.
pub fn plan(
    prepared: &Prepared,
    present: &Present,
    account: &Account,
    (name, id): (&str, &str),
) -> Result<Plan> {
    refuse_changed_types(prepared, present)?;
    let mut planner = Planner::new(prepared, present, account, (name, id));
    let mut found: BTreeMap<&str, PlannedChange> = BTreeMap::new();
    for logical_id in order(prepared) {
        if let Some(change) = planner.resource(logical_id)? {
            found.insert(logical_id, change);
        }
    }
    let mut changes: Vec<PlannedChange> =
        prepared.needs.keys().filter_map(|id| found.remove(id.as_str())).collect();
    for resource in present.resources.values().filter(|resource| resource.status.exists()) {
        if !prepared.needs.contains_key(&resource.logical_id) {
            changes.push(planner.removed(resource));
        }
    }
    let outputs = planner.outputs()?;
    let changes_stack = outputs != present.outputs
        || present.definition.as_ref().is_some_and(|definition| {
            definition.tags != prepared.definition.tags
                || definition.notification_arns != prepared.definition.notification_arns
        });
    Ok(Plan { changes, changes_stack })
}

/// The resources of a template, each after those that it needs.
pub fn order(prepared: &Prepared) -> Vec<&str> {
    let mut done: BTreeSet<&str> = BTreeSet::new();
    let mut order = Vec::with_capacity(prepared.needs.len());
    let mut walk: Vec<(&str, usize)> = Vec::new();
    for start in prepared.needs.keys() {
        if done.insert(start) {
            walk.push((start, 0));
        }
        while let Some((id, next)) = walk.last_mut() {
            match prepared.needs.get(*id).and_then(|needs| needs.get(*next)) {
                Some(needed) => {
                    *next += 1;
                    if done.insert(needed) {
                        walk.push((needed, 0));
                    }
                }
                None => {
                    order.push(*id);
                    walk.pop();
                }
            }
        }
    }
    order
}

/// The outputs of a template.
///
/// # Errors
/// An output that is no text, or asks for what there is not.
pub fn outputs(
    prepared: &Prepared,
    scope: &super::evaluate::Scope<'_>,
) -> Result<Vec<Output>, String> {
    let mut found = Vec::new();
    for (name, output) in &prepared.template.outputs {
        if let Some(condition) = output.get("Condition").and_then(Value::as_str)
            && prepared.conditions.get(condition) != Some(&true)
        {
            continue;
        }
        let value = output.get("Value").unwrap_or(&Value::Null);
        let value = scope.text(value, &format!("output {name}"))?;
        let description = output.get("Description").and_then(Value::as_str).map(str::to_owned);
        let export = match output.get("Export").and_then(|export| export.get("Name")) {
            Some(name) => Some(scope.text(name, "the name of an export")?),
            None => None,
        };
        found.push(Output { name: name.clone(), value, description, export });
    }
    Ok(found)
}

/// What `Fn::GetAtt` gives for a resource that exists.
///
/// # Errors
/// That there is no such attribute.
pub fn attribute_of(resource: &Resource, attribute: &str) -> Result<Value, String> {
    if let Some(value) = resource.attributes.get(attribute) {
        return Ok(value.clone());
    }
    // An attribute may lie inside another one, or be a property that was set.
    let first = attribute.split('.').next().unwrap_or(attribute);
    let inside = |root: Option<&Value>| {
        let mut value = root?;
        for key in attribute.split('.').skip(1) {
            value = value.get(key)?;
        }
        Some(value.clone())
    };
    inside(resource.attributes.get(first))
        .or_else(|| inside(resource.properties.get(first)))
        .ok_or_else(|| {
            if is_custom(&resource.kind) {
                format!(
                    "CustomResource attribute error: Vendor response doesn't contain {attribute} attribute in object {}",
                    resource.physical_id.as_deref().unwrap_or_default()
                )
            } else {
                format!(
                    "Requested attribute {attribute} does not exist for {} ({})",
                    resource.logical_id, resource.kind
                )
            }
        })
}

/// The differences between two sets of properties, each with what it does.
pub fn compare(kind: &str, old: &Value, new: &Value) -> Vec<PropertyChange> {
    if old == new {
        return Vec::new();
    }
    let template = |properties: &Value| {
        let mut template = Template::default();
        let properties = properties.as_object().cloned().unwrap_or_default();
        template.resources.insert("R".to_owned(), Declared { properties, ..Declared::new(kind) });
        template
    };
    let found = diff::diff(&template(old), &template(new), &SchemaFacts);
    found.resources.into_iter().flat_map(|change| change.properties).collect()
}

fn refuse_changed_types(prepared: &Prepared, present: &Present) -> Result<()> {
    let changed: Vec<&str> = prepared
        .needs
        .keys()
        .filter(|id| {
            let before = present.resources.get(*id).filter(|before| before.status.exists());
            before.is_some_and(|before| before.kind != prepared.template.resources[*id].kind)
        })
        .map(String::as_str)
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "Update of resource type is not permitted. The new template modifies resource type of the following resources: [{}]",
        changed.join(", ")
    )))
}

/// A resource's metadata as JSON.
pub fn metadata_of(declared: &Declared) -> Option<String> {
    (!declared.metadata.is_empty()).then(|| Value::Object(declared.metadata.clone()).to_string())
}
