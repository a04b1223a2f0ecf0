//! Outputs: that each has a value, and that no two are exported under one name.
//!
//! Exports of other stacks are not known here, so only names inside one template are
//! compared.

use std::collections::HashMap;

use iotstack_assembly::intrinsic::{Function, Trail};
use serde_json::{Map, Value};

use crate::value::{choices, shown};
use crate::{Code, Findings, Rule, Subject};

/// The rule.
pub(super) struct Outputs;

impl Rule for Outputs {
    fn codes(&self) -> Vec<&'static Code> {
        vec![&INVALID_OUTPUT, &DUPLICATE_EXPORT]
    }

    fn template(&self, subject: &Subject<'_>, findings: &mut Findings<'_>) {
        let mut exports: HashMap<String, &str> = HashMap::new();
        for (name, output) in &subject.template.outputs {
            if name.starts_with("Fn::") || subject.has_macros() {
                continue;
            }
            let trail = Trail::Root.key("Outputs");
            let trail = trail.key(name);
            let Some(map) = output.as_object() else {
                findings.add(
                    &INVALID_OUTPUT,
                    &trail,
                    format!("found {}; expected an object with `Value`", shown(output)),
                );
                continue;
            };
            judge(name, map, &trail, findings);
            if let Some(export) = export_name(map) {
                let trail = trail.key("Export");
                if let Some(first) = exports.insert(export.to_string(), name)
                    && !map.contains_key("Condition")
                {
                    findings.add(
                        &DUPLICATE_EXPORT,
                        &trail.key("Name"),
                        format!(
                            "outputs `{first}` and `{name}` are exported under one name, {}",
                            shown(export)
                        ),
                    );
                }
            }
        }
    }
}

fn judge(name: &str, map: &Map<String, Value>, trail: &Trail<'_>, findings: &mut Findings<'_>) {
    for key in map.keys() {
        if !KEYS.contains(&key.as_str()) && !key.starts_with("Fn::") {
            let help = iotstack_schema::nearest(key, KEYS.iter().copied())
                .map(|near| format!("did you mean `{near}`?"));
            findings
                .add(
                    &INVALID_OUTPUT,
                    &trail.key(key),
                    format!("an output has no attribute `{key}`"),
                )
                .help = help.or(Some(format!("expected one of {}", choices(KEYS))));
        }
    }
    match map.get("Value") {
        None => {
            findings.add(&INVALID_OUTPUT, trail, format!("output `{name}` has no `Value`"));
        }
        Some(value @ Value::Array(_)) => {
            findings.advise(
                &INVALID_OUTPUT,
                &trail.key("Value"),
                format!("found {}; an output's value is text", shown(value)),
                "`Fn::Join` makes text of a list",
            );
        }
        Some(value @ Value::Object(_)) if Function::of(value).is_none() => {
            findings.add(
                &INVALID_OUTPUT,
                &trail.key("Value"),
                format!("found {}; an output's value is text", shown(value)),
            );
        }
        Some(_) => {}
    }
    if let Some(export) = map.get("Export")
        && export.get("Name").is_none()
        && Function::of(export).is_none()
    {
        findings.add(
            &INVALID_OUTPUT,
            &trail.key("Export"),
            format!("output `{name}` is exported without a `Name`"),
        );
    }
}

/// The export's name, as far as it can be compared: two equal functions give one name.
fn export_name(map: &Map<String, Value>) -> Option<&Value> {
    map.get("Export")?.get("Name")
}

const KEYS: &[&str] = &["Value", "Description", "Export", "Condition"];

static INVALID_OUTPUT: Code = Code::error(
    "invalid-output",
    "An output has a `Value`, which is text, and may have a `Description`, a `Condition` and an \
     `Export` with a `Name`.",
);

static DUPLICATE_EXPORT: Code = Code::error(
    "duplicate-export",
    "Exports are known by their name in the whole account and region, so every name can be given \
     once. Put the stack's name into it.",
);

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use serde_json::{Value, json};

    fn outputs(outputs: Value) -> iotstack_assembly::Diagnostics {
        findings(json!({"Resources": {"A": {"Type": "AWS::SNS::Topic"}}, "Outputs": outputs}))
    }

    #[test]
    fn accepts_complete_outputs() {
        clean(&outputs(json!({
            "A": {"Value": {"Ref": "A"}, "Description": "d",
                "Export": {"Name": {"Fn::Sub": "${AWS::StackName}-a"}}},
            "B": {"Value": 5, "Export": {"Name": {"Fn::Sub": "${AWS::StackName}-b"}}}
        })));
    }

    #[test]
    fn finds_missing_values_and_lists() {
        has_codes(
            &outputs(json!({
                "A": {"Description": "d"}, "B": {"Value": ["a"]}, "C": {"Value": "x", "Exprt": {}},
                "D": {"Value": "x", "Export": {}}
            })),
            &["invalid-output"; 4],
        );
    }

    #[test]
    fn finds_one_name_for_two_exports() {
        let found = outputs(json!({
            "A": {"Value": "1", "Export": {"Name": "shared"}},
            "B": {"Value": "2", "Export": {"Name": "shared"}}
        }));
        assert_eq!(
            only(&found),
            "duplicate-export Outputs/B/Export/Name: outputs `A` and `B` are exported under one \
             name, the text `shared`"
        );
    }
}
