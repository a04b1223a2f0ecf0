//! Comparing values, and showing them in one line.
//!
//! CloudFormation takes `5` and `"5"`, `true` and `"true"` for the same, so these are
//! no difference. Objects are compared key by key, lists item by item where they have
//! the same length; a function call is one value.

use serde_json::{Map, Value};

use crate::intrinsic::Function;

/// Receives the path and both values of one difference.
type Report<'a> = dyn FnMut(&[String], Option<&Value>, Option<&Value>) + 'a;

/// Reports every difference between two maps, as deep as both have the same form.
pub(super) fn compare_maps(
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    report: &mut Report<'_>,
) {
    compare_keys(old, new, &mut Vec::new(), report);
}

/// Whether CloudFormation takes two values for the same.
pub(super) fn same(old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            old.len() == new.len()
                && old.iter().all(|(key, old)| new.get(key).is_some_and(|new| same(old, new)))
        }
        (Value::Array(old), Value::Array(new)) => {
            old.len() == new.len() && old.iter().zip(new).all(|(old, new)| same(old, new))
        }
        _ => match (scalar(old), scalar(new)) {
            (Some(old), Some(new)) => old == new,
            _ => old == new,
        },
    }
}

/// A value in one line: functions as `${Name}` or `${Name.Attribute}` where they can
/// be shown so, other values as text or JSON.
pub fn describe_value(value: &Value) -> String {
    if let Some(function) = Function::of(value) {
        return describe_function(function).unwrap_or_else(|| value.to_string());
    }
    match value {
        Value::String(text) => text.clone(),
        other => with_described(other).to_string(),
    }
}

/// The value with the functions inside it as text, where they can be shown so.
fn with_described(value: &Value) -> Value {
    if let Some(text) = Function::of(value).and_then(describe_function) {
        return Value::String(text);
    }
    match value {
        Value::Object(map) => {
            map.iter().map(|(key, value)| (key.clone(), with_described(value))).collect()
        }
        Value::Array(items) => items.iter().map(with_described).collect(),
        other => other.clone(),
    }
}

fn describe_function(function: Function<'_>) -> Option<String> {
    match (function.name, function.argument) {
        ("Ref", Value::String(name)) => Some(format!("${{{name}}}")),
        ("Fn::GetAtt", argument) => crate::intrinsic::attribute_of(argument)
            .map(|(id, attribute)| format!("${{{id}.{attribute}}}")),
        ("Fn::Sub", Value::String(text)) => Some(text.clone()),
        ("Fn::Join", Value::Array(parts)) => match parts.as_slice() {
            [Value::String(between), Value::Array(items)] => {
                Some(items.iter().map(describe_value).collect::<Vec<_>>().join(between))
            }
            _ => None,
        },
        ("Fn::ImportValue", name) => Some(format!("${{import {}}}", describe_value(name))),
        _ => None,
    }
}

fn compare_keys(
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    path: &mut Vec<String>,
    report: &mut Report<'_>,
) {
    let added = new.keys().filter(|key| !old.contains_key(*key));
    for key in old.keys().chain(added) {
        path.push(key.clone());
        compare(old.get(key), new.get(key), path, report);
        path.pop();
    }
}

fn compare(
    old: Option<&Value>,
    new: Option<&Value>,
    path: &mut Vec<String>,
    report: &mut Report<'_>,
) {
    let (Some(before), Some(after)) = (old, new) else {
        return report(path, old, new);
    };
    if same(before, after) {
        return;
    }
    match (before, after) {
        _ if is_call(before) || is_call(after) => report(path, old, new),
        (Value::Object(before), Value::Object(after)) => {
            compare_keys(before, after, path, report);
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (index, (before, after)) in before.iter().zip(after).enumerate() {
                path.push(index.to_string());
                compare(Some(before), Some(after), path, report);
                path.pop();
            }
        }
        _ => report(path, old, new),
    }
}

fn is_call(value: &Value) -> bool {
    Function::of(value).is_some()
}

/// The text that CloudFormation makes of a scalar.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) => Some(match number.as_f64() {
            // `1` and `1.0` are one number.
            Some(float) if float.fract() == 0.0 && float.abs() < 9e15 => format!("{float:.0}"),
            _ => number.to_string(),
        }),
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}
