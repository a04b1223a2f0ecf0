//! What a target gets of an event: all of it, a part, a text, or a template.
//!
//! Everything about it is read and judged when a target is put, so that an event cannot
//! fail on a wrong template.

use std::collections::BTreeMap;

use iotstack_local_kernel::{Fault, loose};
use serde_json::{Map, Value, json};

use super::invalid;

/// How a target wants its events.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Input {
    Whole,
    Constant(String),
    Path(Vec<Step>),
    Template { paths: BTreeMap<String, Vec<Step>>, template: String },
}

/// One step into an event.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    Member(String),
    Index(usize),
}

/// What a template may say about the rule and the event.
pub(super) struct Origin<'a> {
    pub(super) rule_arn: &'a str,
    pub(super) rule_name: &'a str,
}

impl Input {
    /// Reads how a target wants its events.
    pub(super) fn read(target: &Map<String, Value>) -> Result<Self, Fault> {
        let constant = loose::text(target, "Input")?;
        let path = loose::text(target, "InputPath")?;
        let transformer = loose::object(target, "InputTransformer")?;
        let given = usize::from(constant.is_some())
            + usize::from(path.is_some())
            + usize::from(!transformer.is_empty());
        if given > 1 {
            return Err(invalid("Input, InputPath and InputTransformer exclude each other"));
        }
        if let Some(text) = constant {
            if serde_json::from_str::<serde::de::IgnoredAny>(&text).is_err() {
                return Err(invalid(format!("Input `{text}` must be JSON")));
            }
            return Ok(Input::Constant(text));
        }
        if let Some(path) = path {
            return Ok(Input::Path(steps(&path)?));
        }
        if transformer.is_empty() {
            return Ok(Input::Whole);
        }
        let mut paths = BTreeMap::new();
        for (name, path) in loose::pairs(&transformer, "InputPathsMap", ("Key", "Value"))? {
            if name.starts_with("aws.") {
                return Err(invalid(format!("variable `{name}` must not begin with `aws.`")));
            }
            paths.insert(name, steps(&path)?);
        }
        if paths.len() > 100 {
            return Err(invalid("InputPathsMap must have at most 100 variables"));
        }
        let template = loose::required(&transformer, "InputTemplate")?;
        if template.len() > 8192 {
            return Err(invalid("InputTemplate must have at most 8192 characters"));
        }
        for name in variables(&template) {
            if !paths.contains_key(name) && !KNOWN.contains(&name) {
                return Err(invalid(format!(
                    "InputTemplate uses `<{name}>`, which InputPathsMap does not have"
                )));
            }
        }
        Ok(Input::Template { paths, template })
    }

    /// What the target gets; nothing if the event has not what it wants.
    pub(super) fn of(&self, event: &Value, origin: &Origin<'_>) -> Option<String> {
        match self {
            Input::Whole => Some(event.to_string()),
            Input::Constant(text) => Some(text.clone()),
            Input::Path(path) => find(event, path).map(Value::to_string),
            Input::Template { paths, template } => Some(fill(template, paths, event, origin)),
        }
    }
}

/// Fills a template. Inside of a quoted text a value is put as text, outside as JSON.
fn fill(
    template: &str,
    paths: &BTreeMap<String, Vec<Step>>,
    event: &Value,
    origin: &Origin<'_>,
) -> String {
    let value = |name: &str| -> Option<Value> {
        match name {
            "aws.events.rule-arn" => Some(json!(origin.rule_arn)),
            "aws.events.rule-name" => Some(json!(origin.rule_name)),
            "aws.events.event.ingestion-time" => event.get("time").cloned(),
            "aws.events.event" | "aws.events.event.json" => Some(event.clone()),
            _ => find(event, paths.get(name)?).cloned(),
        }
    };
    let mut filled = String::with_capacity(template.len());
    let (mut rest, mut quoted) = (template, false);
    while let Some(place) = rest.find(['"', '\\', '<']) {
        let (before, found) = rest.split_at(place);
        filled.push_str(before);
        let first = found.as_bytes()[0];
        match first {
            b'"' => {
                quoted = !quoted;
                filled.push('"');
                rest = &found[1..];
            }
            b'\\' => {
                // A backslash and what it protects stay together.
                let length = 1 + found[1..].chars().next().map_or(0, char::len_utf8);
                filled.push_str(&found[..length]);
                rest = &found[length..];
            }
            _ => {
                let Some((name, after)) = variable(found) else {
                    filled.push('<');
                    rest = &found[1..];
                    continue;
                };
                match value(name) {
                    None => {}
                    Some(Value::String(text)) if quoted => {
                        let json = json!(text).to_string();
                        filled.push_str(&json[1..json.len() - 1]);
                    }
                    Some(other) if quoted => {
                        let json = json!(other.to_string()).to_string();
                        filled.push_str(&json[1..json.len() - 1]);
                    }
                    Some(other) => filled.push_str(&other.to_string()),
                }
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    filled
}

/// The names of variables in a template.
fn variables(template: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = template;
    while let Some(place) = rest.find('<') {
        match variable(&rest[place..]) {
            Some((name, after)) => {
                found.push(name);
                rest = after;
            }
            None => rest = &rest[place + 1..],
        }
    }
    found
}

/// `<name>` at the beginning of a text.
fn variable(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.strip_prefix('<')?.split_once('>')?;
    let is_word = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (!name.is_empty() && name.chars().all(is_word)).then_some((name, after))
}

/// Reads `$.detail.items[0].name`.
fn steps(path: &str) -> Result<Vec<Step>, Fault> {
    let refuse = || invalid(format!("path `{path}` must be like `$.detail.items[0].name`"));
    let mut rest = path.strip_prefix('$').ok_or_else(refuse)?;
    let mut found = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (name, next) = after.split_at(end);
            if name.is_empty() {
                return Err(refuse());
            }
            found.push(Step::Member(name.to_owned()));
            rest = next;
        } else {
            let after = rest.strip_prefix('[').ok_or_else(refuse)?;
            let (inner, next) = after.split_once(']').ok_or_else(refuse)?;
            let name = inner.trim_matches(['\'', '"']);
            found.push(match inner.parse() {
                Ok(index) => Step::Index(index),
                Err(_) if name.len() < inner.len() => Step::Member(name.to_owned()),
                Err(_) => return Err(refuse()),
            });
            rest = next;
        }
    }
    Ok(found)
}

fn find<'a>(event: &'a Value, path: &[Step]) -> Option<&'a Value> {
    path.iter().try_fold(event, |value, step| match step {
        Step::Member(name) => value.get(name),
        Step::Index(index) => value.get(index),
    })
}

const KNOWN: &[&str] = &[
    "aws.events.rule-arn",
    "aws.events.rule-name",
    "aws.events.event.ingestion-time",
    "aws.events.event",
    "aws.events.event.json",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn made(target: Value, event: &Value) -> Option<String> {
        let input = Input::read(target.as_object().unwrap()).unwrap();
        input.of(event, &Origin { rule_arn: "arn:r", rule_name: "r" })
    }

    #[test]
    fn targets_get_what_they_want() {
        let event = json!({"time": "now", "detail": {"job": "j \"1\"", "n": 7, "list": ["a"]}});
        let paths = json!({"job": "$.detail.job", "n": "$.detail.n", "none": "$.detail.none", "d": "$.detail"});
        let template = |template: &str| {
            made(
                json!({"InputTransformer": {"InputPathsMap": paths, "InputTemplate": template}}),
                &event,
            )
            .unwrap()
        };
        assert_eq!(template("\"<job> is <n>\""), "\"j \\\"1\\\" is 7\"");
        assert_eq!(
            template("{\"job\": <job>, \"n\": <n>}"),
            "{\"job\": \"j \\\"1\\\"\", \"n\": 7}"
        );
        assert_eq!(template("\"<none>.\""), "\".\"");
        assert_eq!(template("\"<aws.events.rule-name> a < b\""), "\"r a < b\"");
        assert_eq!(template("<d>"), event["detail"].to_string());
        assert_eq!(made(json!({"InputPath": "$.detail.list[0]"}), &event).unwrap(), "\"a\"");
        assert_eq!(made(json!({"InputPath": "$.none"}), &event), None);
        assert_eq!(made(json!({"Input": "[1]"}), &event).unwrap(), "[1]");
        assert_eq!(made(json!({}), &event).unwrap(), event.to_string());
    }

    #[test]
    fn wrong_inputs_are_refused() {
        for target in [
            json!({"Input": "no json"}),
            json!({"Input": "1", "InputPath": "$"}),
            json!({"InputPath": "detail"}),
            json!({"InputTransformer": {"InputTemplate": "<missing>"}}),
            json!({"InputTransformer": {"InputPathsMap": {"a": "$.b[x]"}, "InputTemplate": "<a>"}}),
        ] {
            assert!(Input::read(target.as_object().unwrap()).is_err(), "{target}");
        }
    }
}
