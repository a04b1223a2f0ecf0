//! References to resources whose condition does not hold.
//!
//! A new stack is refused for them before anything is made of it; the plan of
//! an update finds them by itself. What `Fn::If` does not choose is not asked for.

use std::collections::BTreeSet;

use iotstack_assembly::intrinsic::{Function, Trail, each_reference};
use iotstack_local_kernel::Account;
use serde_json::{Map, Value};

use super::Prepared;
use super::evaluate::{Nothing, Scope};
use crate::{Error, Result};

/// Refuses a template that asks for what its conditions leave out.
///
/// # Errors
/// What is asked for, and in which part of the template.
pub fn refuse(prepared: &Prepared, account: &Account, stack: &str) -> Result<()> {
    let template = &prepared.template;
    if template.resources.len() == prepared.needs.len() {
        return Ok(());
    }
    let scope = prepared.scope(account, stack, stack, &Nothing);
    let resources = prepared.needs.keys().filter_map(|id| template.resources.get(id));
    let resources = resources.flat_map(|resource| resource.properties.values());
    look(prepared, &scope, "Resources", resources)?;
    let outputs = template.outputs.values().filter(|output| {
        let condition = output.get("Condition").and_then(Value::as_str);
        condition.is_none_or(|name| prepared.conditions.get(name) == Some(&true))
    });
    let values = outputs.flat_map(|output| [output.get("Value"), output.get("Export")]);
    look(prepared, &scope, "Outputs", values.flatten())
}

fn look<'v>(
    prepared: &Prepared,
    scope: &Scope<'_>,
    section: &str,
    values: impl Iterator<Item = &'v Value>,
) -> Result<()> {
    let mut absent = BTreeSet::new();
    for value in values {
        each_reference(&chosen(value, scope), &Trail::Root, &mut |target, _| {
            let is_left_out = |id: &&str| {
                prepared.template.resources.contains_key(*id) && !prepared.needs.contains_key(*id)
            };
            absent.extend(target.id().filter(is_left_out).map(str::to_owned));
        });
    }
    if absent.is_empty() {
        return Ok(());
    }
    let names = absent.into_iter().collect::<Vec<_>>().join(", ");
    Err(Error::invalid(format!(
        "Unresolved resource dependencies [{names}] in the {section} block of the template"
    )))
}

/// The value with what `Fn::If` chooses in its place.
fn chosen(value: &Value, scope: &Scope<'_>) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|item| chosen(item, scope)).collect(),
        Value::Object(map) => {
            if let Some(Function { name: "Fn::If", argument }) = Function::of_map(map)
                && let Some([Value::String(name), then, otherwise]) =
                    argument.as_array().map(Vec::as_slice)
                && let Some(holds) = scope.conditions.get(name)
            {
                return chosen(if *holds { then } else { otherwise }, scope);
            }
            let inside = map.iter().map(|(key, item)| (key.clone(), chosen(item, scope)));
            Value::Object(inside.collect::<Map<_, _>>())
        }
        scalar => scalar.clone(),
    }
}
