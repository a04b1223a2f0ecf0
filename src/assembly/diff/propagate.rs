//! Replacements that cause others.
//!
//! When a resource is replaced, its name and ARN change, and with them every property
//! that refers to it. Where such a property cannot be changed in place, its resource
//! is replaced too, and so on. The text of these properties is the same in both
//! templates, so comparing them finds nothing.

use super::{Impact, PropertyChange, Replacement, ReplacementFacts, ResourceChange};
use crate::Template;
use crate::intrinsic::{Trail, each_reference};

/// Adds the changes that replaced resources cause in those that refer to them.
pub(super) fn through_references(
    changes: &mut Vec<ResourceChange>,
    old: &Template,
    new: &Template,
    facts: &dyn ReplacementFacts,
) {
    let mut todo: Vec<(String, Impact)> = changes
        .iter()
        .filter(|change| matches!(change.impact, Impact::Replace | Impact::MayReplace))
        .map(|change| (change.logical_id.clone(), change.impact))
        .collect();
    while let Some((cause, impact)) = todo.pop() {
        for (id, resource) in &new.resources {
            let stays = old.resources.get(id).is_some_and(|old| old.kind == resource.kind);
            if !stays || *id == cause {
                continue;
            }
            let mut paths: Vec<Vec<String>> = Vec::new();
            for (key, value) in &resource.properties {
                each_reference(value, &Trail::Root.key(key), &mut |target, trail| {
                    if target.id() == Some(&cause) {
                        paths.push(without_functions(trail.to_path()));
                    }
                });
            }
            for path in paths {
                if let Some(worse) = add(changes, (id, resource, old), path, &cause, impact, facts)
                {
                    todo.push((id.clone(), worse));
                }
            }
        }
    }
}

/// Adds one caused change; says the resource's impact if that became worse.
fn add(
    changes: &mut Vec<ResourceChange>,
    (id, resource, old): (&str, &crate::Resource, &Template),
    path: Vec<String>,
    cause: &str,
    impact: Impact,
    facts: &dyn ReplacementFacts,
) -> Option<Impact> {
    let keys: Vec<&str> = path.iter().map(String::as_str).collect();
    let replacement = match facts.replacement(&resource.kind, &keys) {
        Replacement::Always if impact == Impact::MayReplace => Replacement::Conditional,
        other => other,
    };
    // A change that does no more than an update in place is not worth telling: most
    // references to a replaced resource are of that kind, and CloudFormation makes them.
    if replacement == Replacement::Never {
        return None;
    }
    let place = match changes.iter().position(|change| change.logical_id == id) {
        Some(place) => place,
        None => {
            let before = old.resources.get(id);
            changes.push(ResourceChange::new(id, before, Some(resource), Impact::Update));
            changes.len() - 1
        }
    };
    let change = &mut changes[place];
    if change.properties.iter().any(|known| known.path == path) {
        return None;
    }
    let value = at(&resource.properties, &path);
    change.properties.push(PropertyChange {
        path,
        old: value.cloned(),
        new: value.cloned(),
        replacement,
        caused_by: Some(cause.to_owned()),
    });
    let before = change.impact;
    change.weigh();
    (change.impact > before).then_some(change.impact)
}

/// The property's own path: what lies inside a function call is not part of it.
fn without_functions(mut path: Vec<String>) -> Vec<String> {
    let function = path.iter().position(|key| key == "Ref" || key.starts_with("Fn::"));
    path.truncate(function.unwrap_or(path.len()));
    path
}

fn at<'a>(
    properties: &'a serde_json::Map<String, serde_json::Value>,
    path: &[String],
) -> Option<&'a serde_json::Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(properties.get(first)?, |value, key| match value {
        serde_json::Value::Array(items) => items.get(key.parse::<usize>().ok()?),
        other => other.get(key),
    })
}
