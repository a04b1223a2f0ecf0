//! `AWS::LanguageExtensions`: loops unrolled, before anything else is read.
//!
//! `Fn::ForEach` may stand among resources, outputs, conditions and properties,
//! and in itself. `Fn::Length`, `Fn::ToJsonString` and the default of
//! `Fn::FindInMap` are functions like others. Every other transform is refused
//! by name. Functions in `DeletionPolicy` and `UpdateReplacePolicy` are resolved
//! here too, from parameters.
//!
//! Loops in loops multiply, so what all loops of a template copy together is bounded.

use std::cell::Cell;
use std::collections::BTreeMap;

use indexmap::IndexMap;
use iotstack_assembly::Template;
use iotstack_local_kernel::Account;
use serde_json::{Map, Value};

use super::evaluate::{Nothing, Scope, StackNames};
use crate::state::Parameter;
use crate::{Error, Result};

/// The template with all loops unrolled.
///
/// # Errors
/// A transform that is not offered, a loop that is none.
pub fn unroll(
    mut template: Value,
    parameters: &IndexMap<String, Parameter>,
    account: &Account,
    stack: &str,
) -> Result<Value> {
    if !has_extensions(&template)? {
        return Ok(template);
    }
    let mappings = template.get("Mappings").and_then(Value::as_object).cloned();
    let shell =
        Template { mappings: mappings.into_iter().flatten().collect(), ..Template::default() };
    let nothing_decided = BTreeMap::new();
    let scope = Scope {
        template: &shell,
        parameters,
        conditions: &nothing_decided,
        account,
        stack: StackNames { name: stack, id: stack, notification_arns: &[] },
        known: &Nothing,
        masked: false,
    };
    let refused = |reason: String| Error::invalid(format!("Template error: {reason}"));
    let budget = Budget(Cell::new(LARGEST));
    for section in ["Conditions", "Resources", "Outputs"] {
        if let Some(Value::Object(entries)) = template.get_mut(section) {
            let before = std::mem::take(entries);
            *entries = unroll_map(before, &scope, &budget, 0).map_err(refused)?;
        }
    }
    if let Some(Value::Object(resources)) = template.get_mut("Resources") {
        for (id, resource) in resources {
            for name in ["DeletionPolicy", "UpdateReplacePolicy"] {
                let Some(value) = resource.get_mut(name).filter(|value| value.is_object()) else {
                    continue;
                };
                let place = format!("{name} of {id}");
                *value = Value::String(scope.text(value, &place).map_err(refused)?);
            }
        }
    }
    Ok(template)
}

/// The names of a template's transforms.
pub fn transforms(template: &Value) -> Vec<&str> {
    fn name(value: &Value) -> Option<&str> {
        value.get("Name").unwrap_or(value).as_str()
    }
    match template.get("Transform") {
        None => Vec::new(),
        Some(Value::Array(items)) => items.iter().filter_map(name).collect(),
        Some(one) => name(one).into_iter().collect(),
    }
}

/// Refuses transforms inside of the template, which stand anywhere, also where no function
/// would be resolved.
pub fn refuse_inner(value: &Value) -> Result<()> {
    match value {
        Value::Object(map) => {
            if let Some(called) = map.get("Fn::Transform") {
                let name = called.get("Name").and_then(Value::as_str).unwrap_or("Fn::Transform");
                return Err(not_known(name));
            }
            map.values().try_for_each(refuse_inner)
        }
        Value::Array(items) => items.iter().try_for_each(refuse_inner),
        _ => Ok(()),
    }
}

fn not_known(name: &str) -> Error {
    Error::NotOffered(format!(
        "the transform {name}; of all transforms it knows AWS::LanguageExtensions"
    ))
}

fn has_extensions(template: &Value) -> Result<bool> {
    let mut found = false;
    for name in transforms(template) {
        if name != "AWS::LanguageExtensions" {
            return Err(not_known(name));
        }
        found = true;
    }
    Ok(found)
}

fn unroll_map(
    map: Map<String, Value>,
    scope: &Scope<'_>,
    budget: &Budget,
    depth: usize,
) -> Result<Map<String, Value>, String> {
    let mut out = Map::new();
    for (key, value) in map {
        if !key.starts_with("Fn::ForEach::") {
            out.insert(key, unroll_value(value, scope, budget, depth)?);
            continue;
        }
        if depth >= DEEPEST {
            return Err(format!("loops can be nested {DEEPEST} deep, and {key} lies deeper"));
        }
        let parts = match value {
            Value::Array(parts) => parts,
            _ => return Err(format!("{key} needs a variable, a list and an object")),
        };
        let [Value::String(variable), items, Value::Object(body)] = parts.as_slice() else {
            return Err(format!("{key} needs a variable, a list and an object"));
        };
        let Some(Value::Array(items)) = scope.value(items)? else {
            return Err(format!("{key} needs a list to go through"));
        };
        for item in items {
            let item = super::functions::scalar(&item)
                .ok_or_else(|| format!("{key} goes through texts only"))?;
            let body = Replacement { variable, item: &item, budget }.map(body)?;
            for (key, value) in unroll_map(body, scope, budget, depth + 1)? {
                if out.len() >= MOST {
                    return Err(format!("{key} makes more than {MOST} entries"));
                }
                if out.insert(key.clone(), value).is_some() {
                    return Err(format!("the loop makes {key} twice"));
                }
            }
        }
    }
    Ok(out)
}

fn unroll_value(
    value: Value,
    scope: &Scope<'_>,
    budget: &Budget,
    depth: usize,
) -> Result<Value, String> {
    Ok(match value {
        Value::Object(map) => Value::Object(unroll_map(map, scope, budget, depth)?),
        Value::Array(items) => Value::Array(
            items
                .into_iter()
                .map(|item| unroll_value(item, scope, budget, depth))
                .collect::<Result<_, _>>()?,
        ),
        other => other,
    })
}

/// What the loops of a template may still copy, in bytes.
struct Budget(Cell<usize>);

impl Budget {
    fn spend(&self, bytes: usize) -> Result<(), String> {
        let left = self.0.get().checked_sub(bytes.saturating_add(COST));
        self.0.set(left.ok_or_else(|| format!("the loops make more than {LARGEST} bytes"))?);
        Ok(())
    }
}

/// An item in the place of the variable of a loop.
struct Replacement<'a> {
    variable: &'a str,
    item: &'a str,
    budget: &'a Budget,
}

impl Replacement<'_> {
    fn map(&self, map: &Map<String, Value>) -> Result<Map<String, Value>, String> {
        // An empty body is copied too, and costs as much as a value.
        self.budget.spend(0)?;
        map.iter().map(|(key, value)| Ok((self.text(key)?, self.value(value)?))).collect()
    }

    /// `${Variable}`, `&{Variable}` and `{"Ref": "Variable"}` become the item.
    fn value(&self, value: &Value) -> Result<Value, String> {
        Ok(match value {
            Value::String(text) => Value::String(self.text(text)?),
            Value::Array(items) => {
                self.budget.spend(0)?;
                Value::Array(items.iter().map(|inner| self.value(inner)).collect::<Result<_, _>>()?)
            }
            Value::Object(map) => {
                let is_reference =
                    map.len() == 1 && map.get("Ref").and_then(Value::as_str) == Some(self.variable);
                if is_reference {
                    self.budget.spend(self.item.len())?;
                    return Ok(Value::String(self.item.to_owned()));
                }
                Value::Object(self.map(map)?)
            }
            other => {
                self.budget.spend(0)?;
                other.clone()
            }
        })
    }

    fn text(&self, text: &str) -> Result<String, String> {
        if !text.contains(self.variable) {
            self.budget.spend(text.len())?;
            return Ok(text.to_owned());
        }
        // `&{…}` leaves out what may not stand in a logical id.
        let plain: String = self.item.chars().filter(char::is_ascii_alphanumeric).collect();
        let (whole, short) = (format!("${{{}}}", self.variable), format!("&{{{}}}", self.variable));
        // Spent before it is made: a long item may stand in many places.
        let replace = |text: &str, place: &str, item: &str| {
            let more = text.matches(place).count().saturating_mul(item.len());
            self.budget.spend(text.len().saturating_add(more))?;
            Ok(text.replace(place, item))
        };
        replace(&replace(text, &whole, self.item)?, &short, &plain)
    }
}

/// What the loops of a template may copy together, in bytes: many times the size of
/// a template that is accepted, and nothing for a machine.
const LARGEST: usize = 64 << 20;

/// What a value costs besides its text.
const COST: usize = 32;

/// How deep loops may be nested.
const DEEPEST: usize = 5;

/// How many entries loops may make in one object; resources are limited further.
const MOST: usize = 2000;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn unrolled(template: Value) -> Result<Value> {
        unroll(template, &IndexMap::new(), &Account::default(), "s")
    }

    #[test]
    fn unrolls_loops_in_loops() {
        let template = json!({"Transform": "AWS::LanguageExtensions", "Resources": {
            "Fn::ForEach::Sites": ["Site", ["north", "so-uth"], {
                "Fn::ForEach::Numbers": ["N", ["1", "2"], {
                    "Thing&{Site}${N}": {"Type": "AWS::IoT::Thing",
                        "Properties": {"ThingName": {"Fn::Sub": "${Site}-${N}-${AWS::Region}"},
                            "AttributePayload": {"Attributes": {"site": {"Ref": "Site"}}}}}}]}]}});
        let found = unrolled(template).unwrap();
        let resources = found["Resources"].as_object().unwrap();
        let names: Vec<&String> = resources.keys().collect();
        assert_eq!(names, ["Thingnorth1", "Thingnorth2", "Thingsouth1", "Thingsouth2"]);
        let thing = &resources["Thingsouth2"]["Properties"];
        assert_eq!(thing["ThingName"]["Fn::Sub"], "so-uth-2-${AWS::Region}");
        assert_eq!(thing["AttributePayload"]["Attributes"]["site"], "so-uth");
    }

    #[test]
    fn refuses_other_transforms_by_name() {
        let refused = unrolled(json!({"Transform": "AWS::Serverless-2016-10-31"})).unwrap_err();
        assert!(refused.to_string().contains("AWS::Serverless-2016-10-31"), "{refused}");
    }

    #[test]
    fn refuses_loops_that_multiply_without_end() {
        let items: Vec<String> = (0..1000).map(|item| item.to_string()).collect();
        let mut body = json!({});
        for level in 0..5 {
            let name = format!("Fn::ForEach::L{level}");
            body = json!({ name: [format!("V{level}"), items, body] });
        }
        let template = json!({"Transform": "AWS::LanguageExtensions", "Resources": body});
        let refused = unrolled(template).unwrap_err();
        assert!(refused.to_string().contains("the loops make more than"), "{refused}");
    }
}
