//! Looking at values that may be functions.
//!
//! `Fn::If` stands for both of its branches and `AWS::NoValue` for an absent value;
//! any other function is a value that is not known here.

use iotstack_assembly::intrinsic::{Function, Trail};
use serde_json::{Map, Value};

/// Calls `look` for every value that may stand at this place: the value itself, or the
/// branches of its conditions. Absent values are left out.
pub(crate) fn branches<'v>(
    value: &'v Value,
    trail: &Trail<'_>,
    look: &mut dyn FnMut(&'v Value, &Trail<'_>),
) {
    match Function::of(value) {
        Some(Function { name: "Fn::If", argument: Value::Array(parts) }) => {
            let inner = trail.key("Fn::If");
            for (index, part) in parts.iter().enumerate().skip(1) {
                branches(part, &inner.item(index), look);
            }
        }
        Some(_) if is_no_value(value) => {}
        _ => look(value, trail),
    }
}

/// Whether a value stands for an absent one.
pub(crate) fn is_no_value(value: &Value) -> bool {
    value.get("Ref").and_then(Value::as_str) == Some("AWS::NoValue")
}

/// Whether a key is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Given {
    /// It is absent.
    No,
    /// That depends on a condition.
    Maybe,
    /// It is given.
    Yes,
}

/// Whether a key of an object is given.
pub(crate) fn given(map: &Map<String, Value>, key: &str) -> Given {
    map.get(key).map_or(Given::No, presence)
}

/// Whether a value is present.
pub(crate) fn presence(value: &Value) -> Given {
    match Function::of(value) {
        Some(Function { name: "Fn::If", argument: Value::Array(parts) }) => {
            let mut found = parts.iter().skip(1).map(presence);
            let first = found.next().unwrap_or(Given::Maybe);
            if found.all(|other| other == first) { first } else { Given::Maybe }
        }
        Some(_) if is_no_value(value) => Given::No,
        _ => Given::Yes,
    }
}

/// Whether a literal means true, in the ways CloudFormation takes.
pub(crate) fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(value) => *value,
        Value::String(text) => text.eq_ignore_ascii_case("true"),
        _ => false,
    }
}

/// Whether text holds a reference that CloudFormation resolves while deploying, so its
/// content is not known.
pub(crate) fn is_dynamic(text: &str) -> bool {
    text.contains("{{resolve:")
}

/// A value in few words, for messages.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if text.chars().count() > 60 => {
            format!("the text `{}…`", text.chars().take(60).collect::<String>())
        }
        other => iotstack_assembly::template::describe(other),
    }
}

/// ` or `-joined words in backquotes, shortened where there are many.
pub(crate) fn choices<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{}`", word.as_ref())).collect();
    match words.len() {
        0..=12 => words.join(", "),
        count => format!("{} and {} more", words[..12].join(", "), count - 12),
    }
}
