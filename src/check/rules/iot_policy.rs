//! AWS IoT policies: their size, and the outline of their document.
//!
//! AWS IoT counts characters without white space. Where a document has functions in
//! it, only its literal part is counted, so the real size is larger; a document that
//! is too large already is told, one that may become so is not.

use iotstack_assembly::intrinsic::{Function, Trail};
use serde_json::Value;

use crate::value::{branches, is_dynamic};
use crate::{Code, Findings, ResourceSubject, Rule, Subject, Types};

/// The rule.
pub(super) struct Policies;

impl Rule for Policies {
    fn codes(&self) -> Vec<&'static Code> {
        vec![&POLICY_SIZE, &POLICY_DOCUMENT]
    }

    fn types(&self) -> Types {
        Types::Only(&["AWS::IoT::Policy"])
    }

    fn resource(
        &self,
        resource: &ResourceSubject<'_>,
        _: &Subject<'_>,
        findings: &mut Findings<'_>,
    ) {
        let Some(document) = resource.property("PolicyDocument") else { return };
        branches(document, &resource.properties.key("PolicyDocument"), &mut |value, trail| {
            judge(value, trail, findings);
        });
    }
}

fn judge(value: &Value, trail: &Trail<'_>, findings: &mut Findings<'_>) {
    let size = match value {
        Value::String(text) if is_dynamic(text) => return,
        Value::String(text) => {
            match serde_json::from_str::<Value>(text) {
                Ok(document) => outline(&document, trail, findings),
                Err(error) => {
                    findings.add(
                        &POLICY_DOCUMENT,
                        trail,
                        format!("the policy document is no JSON: {error}"),
                    );
                }
            }
            visible(text)
        }
        _ if Function::of(value).is_some() => literal_size(value),
        Value::Object(_) => {
            outline(value, trail, findings);
            literal_size(value)
        }
        _ => return,
    };
    if size > LARGEST {
        findings.advise(
            &POLICY_SIZE,
            trail,
            format!(
                "the policy document has {size} characters without white space; AWS IoT accepts \
                 {LARGEST}"
            ),
            "use policy variables and wildcards, or divide it: a certificate holds ten policies",
        );
    }
}

/// Judges the parts that every policy has.
fn outline(document: &Value, trail: &Trail<'_>, findings: &mut Findings<'_>) {
    let Some(map) = document.as_object() else { return };
    if !map.contains_key("Statement") && !map.keys().any(|key| key.starts_with("Fn::")) {
        findings.add(&POLICY_DOCUMENT, trail, "the policy document has no `Statement`");
    }
    if let Some(version) = map.get("Version").and_then(Value::as_str)
        && version != "2012-10-17"
    {
        findings.add(
            &POLICY_DOCUMENT,
            trail,
            format!("the policy document has version `{version}`; expected `2012-10-17`"),
        );
    }
}

/// The characters of the literal parts of a value, as compact JSON.
fn literal_size(value: &Value) -> usize {
    match value {
        Value::Null => 4,
        Value::Bool(_) => 4,
        Value::Number(number) => number.to_string().len(),
        Value::String(text) => visible(text) + 2,
        Value::Array(items) => {
            let commas = items.len().saturating_sub(1);
            2 + commas + items.iter().map(literal_size).sum::<usize>()
        }
        Value::Object(map) => match Function::of(value) {
            Some(function) => function_size(function),
            None => {
                let commas = map.len().saturating_sub(1);
                let entries: usize =
                    map.iter().map(|(key, value)| visible(key) + 3 + literal_size(value)).sum();
                2 + commas + entries
            }
        },
    }
}

/// The characters that a function returns at least.
fn function_size(function: Function<'_>) -> usize {
    match (function.name, function.argument) {
        ("Fn::Join", Value::Array(parts)) => match parts.as_slice() {
            [_, Value::Array(items)] => {
                items.iter().filter_map(Value::as_str).map(visible).sum::<usize>()
            }
            _ => 0,
        },
        ("Fn::Sub", argument) => {
            let text = argument.as_array().and_then(|parts| parts.first()).unwrap_or(argument);
            outside_variables(text.as_str().unwrap_or_default())
        }
        ("Fn::If", Value::Array(parts)) => {
            parts.iter().skip(1).map(literal_size).min().unwrap_or_default()
        }
        _ => 0,
    }
}

/// Visible characters outside `${…}`. What `${!…}` leaves there is counted.
fn outside_variables(text: &str) -> usize {
    let mut parts = text.split("${");
    let before = parts.next().map_or(0, visible);
    before
        + parts
            .map(|part| match part.split_once('}') {
                Some((name, after)) if name.starts_with('!') => visible(name) + 2 + visible(after),
                Some((_, after)) => visible(after),
                None => visible(part),
            })
            .sum::<usize>()
}

fn visible(text: &str) -> usize {
    text.chars().filter(|character| !character.is_whitespace()).count()
}

const LARGEST: usize = 2_048;

static POLICY_SIZE: Code = Code::error(
    "policy-size",
    "An AWS IoT policy has at most 2,048 characters, not counting white space. Policy variables \
     such as `${iot:Connection.Thing.ThingName}` make one policy fit all devices.",
);

static POLICY_DOCUMENT: Code = Code::error(
    "policy-document",
    "A policy document is JSON with a `Version`, which is 2012-10-17, and a `Statement`.",
);

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use serde_json::{Value, json};

    fn policy(document: Value) -> iotstack_assembly::Diagnostics {
        resource("AWS::IoT::Policy", json!({ "PolicyDocument": document }))
    }

    fn with_topics(count: usize) -> Value {
        let topics: Vec<Value> = (0..count)
            .map(|n| {
                json!({"Fn::Sub":
                    format!("arn:${{AWS::Partition}}:iot:${{AWS::Region}}:topic/aaaaaaaaaaaaaaaaaaaa/{n:04}")})
            })
            .collect();
        json!({"Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "iot:Publish", "Resource": topics}]})
    }

    #[test]
    fn accepts_a_small_policy_in_each_form() {
        clean(&policy(with_topics(3)));
        clean(&policy(json!("{\"Version\": \"2012-10-17\", \"Statement\": []}")));
        clean(&policy(json!({"Fn::Sub": "{\"Statement\": []}"})));
    }

    #[test]
    fn counts_no_white_space() {
        let spaces = " ".repeat(3_000);
        clean(&policy(json!(format!("{{\"Statement\": []{spaces}}}"))));
    }

    #[test]
    fn counts_the_literal_part_of_functions() {
        has_codes(&policy(with_topics(60)), &["policy-size"]);
    }

    #[test]
    fn finds_a_broken_document() {
        has_codes(&policy(json!("{")), &["policy-document"]);
        has_codes(&policy(json!({"Statements": []})), &["policy-document"]);
        has_codes(&policy(json!({"Version": "2012-10-18", "Statement": []})), &["policy-document"]);
    }
}
