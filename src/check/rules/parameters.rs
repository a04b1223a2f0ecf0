//! Parameters: their types, and defaults that keep their own rules.
//!
//! CloudFormation judges a default only when nobody gives a value, so a wrong one is
//! found late. Values that come from SSM are judged when they are read, not here.

use iotstack_assembly::intrinsic::Trail;
use serde_json::{Map, Value};

use crate::value::choices;
use crate::{Code, Findings, Rule, Subject, pattern};

/// The rule.
pub(super) struct Parameters;

impl Rule for Parameters {
    fn codes(&self) -> Vec<&'static Code> {
        vec![&INVALID_PARAMETER, &INVALID_DEFAULT]
    }

    fn template(&self, subject: &Subject<'_>, findings: &mut Findings<'_>) {
        for (name, value) in &subject.template.parameters {
            // A transform may make parameters.
            if name.starts_with("Fn::") || subject.has_macros() {
                continue;
            }
            let trail = Trail::Root.key("Parameters");
            let trail = trail.key(name);
            match value.as_object() {
                Some(map) => parameter(name, map, &trail, findings),
                None => {
                    findings.add(
                        &INVALID_PARAMETER,
                        &trail,
                        format!("parameter `{name}` is no object; expected `Type` and more"),
                    );
                }
            }
        }
    }
}

fn parameter(name: &str, map: &Map<String, Value>, trail: &Trail<'_>, findings: &mut Findings<'_>) {
    for key in map.keys().filter(|key| !KEYS.contains(&key.as_str())) {
        let help = iotstack_schema::nearest(key, KEYS.iter().copied())
            .map(|near| format!("did you mean `{near}`?"));
        findings
            .add(
                &INVALID_PARAMETER,
                &trail.key(key),
                format!("a parameter has no attribute `{key}`"),
            )
            .help = help.or(Some(format!("expected one of {}", choices(KEYS))));
    }
    let Some(kind) = map.get("Type").and_then(Value::as_str) else {
        findings.add(
            &INVALID_PARAMETER,
            trail,
            format!("parameter `{name}` has no `Type`; most are `String`"),
        );
        return;
    };
    if !is_type(kind) {
        let help = iotstack_schema::nearest(kind, TYPES.iter().copied())
            .map(|near| format!("did you mean `{near}`?"));
        findings
            .add(
                &INVALID_PARAMETER,
                &trail.key("Type"),
                format!("there is no parameter type `{kind}`"),
            )
            .help = help.or(Some(format!("expected one of {}", choices(TYPES))));
        return;
    }
    if let Some(default) = map.get("Default")
        && let Some(message) = misfit(kind, map, default)
    {
        findings.add(&INVALID_DEFAULT, &trail.key("Default"), message);
    }
}

/// Why a default does not keep its parameter's rules.
fn misfit(kind: &str, map: &Map<String, Value>, default: &Value) -> Option<String> {
    let text = match default {
        Value::String(text) => text.clone(),
        Value::Number(_) | Value::Bool(_) => default.to_string(),
        Value::Null => return None,
        _ => return Some("the default is no text; expected text, with commas for a list".into()),
    };
    // The default of an SSM parameter is the name of one, not its value.
    if kind.starts_with("AWS::SSM::") {
        return None;
    }
    let is_list = kind == "CommaDelimitedList" || kind.starts_with("List<");
    let values: Vec<&str> =
        if is_list { text.split(',').map(str::trim).collect() } else { vec![&text] };
    values.into_iter().find_map(|value| misfit_value(kind, is_list, map, value))
}

fn misfit_value(
    kind: &str,
    is_list: bool,
    map: &Map<String, Value>,
    value: &str,
) -> Option<String> {
    let number = value.trim().parse::<f64>().ok();
    if kind.contains("Number") && number.is_none() {
        return Some(format!("default `{value}` is no number"));
    }
    if let Some(Value::Array(allowed)) = map.get("AllowedValues") {
        let words: Vec<String> = allowed
            .iter()
            .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            .collect();
        let is_same = |word: &String| {
            word == value || (number.is_some() && word.parse::<f64>().ok() == number)
        };
        if !words.iter().any(is_same) {
            return Some(format!("default `{value}` is none of {}", choices(words)));
        }
    }
    let bound = |name: &str| match map.get(name)? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    // CloudFormation applies these to the items of lists in ways that differ by type.
    if is_list {
        return None;
    }
    if let Some(allowed) = map.get("AllowedPattern").and_then(Value::as_str)
        && pattern::fits_whole(allowed, value) == Some(false)
    {
        return Some(format!("default `{value}` does not fit the pattern `{allowed}`"));
    }
    let length = value.chars().count() as f64;
    if let Some(min) = bound("MinLength").filter(|min| length < *min) {
        return Some(format!("default `{value}` has {length} characters; expected {min} at least"));
    }
    if let Some(max) = bound("MaxLength").filter(|max| length > *max) {
        return Some(format!("default `{value}` has {length} characters; expected {max} at most"));
    }
    let number = number?;
    if let Some(min) = bound("MinValue").filter(|min| number < *min) {
        return Some(format!("default {number} is too small; expected {min} at least"));
    }
    if let Some(max) = bound("MaxValue").filter(|max| number > *max) {
        return Some(format!("default {number} is too large; expected {max} at most"));
    }
    None
}

/// Whether CloudFormation knows a type. Types of EC2 and others are too many, and grow;
/// their form is enough.
fn is_type(kind: &str) -> bool {
    let inner = kind
        .strip_prefix("AWS::SSM::Parameter::Value<")
        .and_then(|rest| rest.strip_suffix('>'))
        .unwrap_or(kind);
    let item = inner.strip_prefix("List<").and_then(|rest| rest.strip_suffix('>'));
    match item {
        Some(item) => item == "Number" || item == "String" || item.starts_with("AWS::"),
        None => TYPES.contains(&inner) || (inner.starts_with("AWS::") && !inner.contains('<')),
    }
}

const TYPES: &[&str] = &["String", "Number", "List<Number>", "CommaDelimitedList"];

const KEYS: &[&str] = &[
    "Type",
    "Default",
    "Description",
    "AllowedPattern",
    "AllowedValues",
    "ConstraintDescription",
    "MaxLength",
    "MaxValue",
    "MinLength",
    "MinValue",
    "NoEcho",
];

static INVALID_PARAMETER: Code = Code::error(
    "invalid-parameter",
    "A parameter needs a type that CloudFormation knows, and has a fixed set of attributes beside \
     it. Its type is `String`, `Number`, a list of them, an AWS type such as `AWS::EC2::VPC::Id`, \
     or one that is read from SSM.",
);

static INVALID_DEFAULT: Code = Code::error(
    "invalid-default",
    "The parameter's default breaks the parameter's own rules, so a deployment without an \
     explicit value is refused.",
);

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use serde_json::{Value, json};

    fn parameter(parameter: Value) -> iotstack_assembly::Diagnostics {
        findings(json!({
            "Parameters": {"P": parameter},
            "Resources": {"A": {"Type": "AWS::SNS::Topic",
                "Metadata": {"used": {"Ref": "P"}}}}
        }))
    }

    #[test]
    fn accepts_defaults_that_keep_the_rules() {
        for value in [
            json!({"Type": "String", "Default": "dev", "AllowedValues": ["dev", "prod"]}),
            json!({"Type": "Number", "Default": 5, "MinValue": 1, "MaxValue": "10"}),
            json!({"Type": "Number", "Default": "1.0", "AllowedValues": [1, 2]}),
            json!({"Type": "CommaDelimitedList", "Default": "a, b", "AllowedValues": ["a", "b"]}),
            json!({"Type": "String", "Default": "a1", "AllowedPattern": "[a-z]+[0-9]", "MaxLength": 2}),
            json!({"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/a/b", "AllowedPattern": "x"}),
            json!({"Type": "List<AWS::EC2::Subnet::Id>", "NoEcho": true}),
            json!({"Type": "AWS::SSM::Parameter::Value<List<String>>", "Default": "/x"}),
        ] {
            clean(&parameter(value));
        }
    }

    #[test]
    fn finds_a_default_that_breaks_them() {
        for (value, message) in [
            (
                json!({"Type": "String", "Default": "test", "AllowedValues": ["dev", "prod"]}),
                "default `test` is none of `dev`, `prod`",
            ),
            (json!({"Type": "Number", "Default": "x"}), "default `x` is no number"),
            (
                json!({"Type": "Number", "Default": 11, "MaxValue": 10}),
                "default 11 is too large; expected 10 at most",
            ),
            (
                json!({"Type": "String", "Default": "ab-c", "AllowedPattern": "[a-z]+"}),
                "default `ab-c` does not fit the pattern `[a-z]+`",
            ),
            (
                json!({"Type": "String", "Default": "", "MinLength": 1}),
                "default `` has 0 characters; expected 1 at least",
            ),
        ] {
            let line = only(&parameter(value));
            assert_eq!(line, format!("invalid-default Parameters/P/Default: {message}"));
        }
    }

    #[test]
    fn finds_unknown_types_and_attributes() {
        let found = parameter(json!({"Type": "string", "Defualt": "x"}));
        has_codes(&found, &["invalid-parameter", "invalid-parameter"]);
        has_codes(&parameter(json!({"Default": "x"})), &["invalid-parameter"]);
    }
}
