//! Parameters, conditions and mappings that nothing uses.
//!
//! They deploy. Most often they are left over, or the place that should use them is
//! misspelled. Where macros may use them nothing is said.

use std::collections::HashSet;

use iotstack_assembly::intrinsic::{Target, Trail, each_reference};
use serde_json::Value;

use crate::{Code, Findings, Rule, Subject};

/// The rule.
pub(super) struct Unused;

impl Rule for Unused {
    fn codes(&self) -> Vec<&'static Code> {
        vec![&UNUSED_PARAMETER, &UNUSED_CONDITION, &UNUSED_MAPPING]
    }

    fn template(&self, subject: &Subject<'_>, findings: &mut Findings<'_>) {
        let template = subject.template;
        let declares_nothing = template.parameters.is_empty()
            && template.conditions.is_empty()
            && template.mappings.is_empty();
        if declares_nothing || subject.is_open() {
            return;
        }
        let uses = Uses::of(subject);
        if uses.is_everything {
            return;
        }
        for (section, code, names, used) in [
            ("Parameters", &UNUSED_PARAMETER, &template.parameters, &uses.names),
            ("Conditions", &UNUSED_CONDITION, &template.conditions, &uses.conditions),
            ("Mappings", &UNUSED_MAPPING, &template.mappings, &uses.mappings),
        ] {
            for name in names.keys().filter(|name| !name.starts_with("Fn::")) {
                if !used.contains(name.as_str()) {
                    let what = section.to_lowercase();
                    let what = what.trim_end_matches('s');
                    let trail = Trail::Root.key(section);
                    findings.add(
                        code,
                        &trail.key(name),
                        format!("nothing uses the {what} `{name}`"),
                    );
                }
            }
        }
    }
}

#[derive(Default)]
struct Uses<'a> {
    names: HashSet<&'a str>,
    conditions: HashSet<&'a str>,
    mappings: HashSet<&'a str>,
    /// Whether a name is computed, so that anything may be used.
    is_everything: bool,
}

impl<'a> Uses<'a> {
    fn of(subject: &Subject<'a>) -> Self {
        let template = subject.template;
        let mut uses = Uses::default();
        for resource in template.resources.values() {
            resource.properties.values().for_each(|value| uses.add(value));
            resource.metadata.values().for_each(|value| uses.add(value));
            resource.other.values().for_each(|value| uses.add(value));
            resource.update_policy.iter().for_each(|value| uses.add(value));
            resource.creation_policy.iter().for_each(|value| uses.add(value));
            uses.conditions.extend(resource.condition.as_deref());
        }
        template.metadata.values().for_each(|value| uses.add(value));
        template.transform.iter().for_each(|value| uses.add(value));
        template.other.values().for_each(|value| uses.add(value));
        for values in [&template.rules, &template.outputs, &template.conditions] {
            for value in values.values() {
                uses.add(value);
                uses.add_called(value);
            }
        }
        uses
    }

    fn add(&mut self, value: &'a Value) {
        each_reference(value, &Trail::Root, &mut |target, _| {
            match target {
                Target::Name(name) | Target::Attribute(name, _) => self.names.insert(name),
                Target::Condition(name) => self.conditions.insert(name),
                Target::Mapping(name) => self.mappings.insert(name),
            };
        });
        self.is_everything |= computes_a_mapping(value);
    }

    /// Adds conditions that are named by a key `Condition`, as outputs and other
    /// conditions do.
    fn add_called(&mut self, value: &'a Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.add_called(item)),
            Value::Object(map) => {
                for (key, item) in map {
                    match item {
                        Value::String(name) if key == "Condition" => {
                            self.conditions.insert(name);
                        }
                        _ => self.add_called(item),
                    }
                }
            }
            _ => {}
        }
    }
}

/// Whether a mapping's name is itself the result of a function.
fn computes_a_mapping(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(computes_a_mapping),
        Value::Object(map) => map.iter().any(|(key, item)| {
            let is_computed = key == "Fn::FindInMap"
                && item.as_array().and_then(|items| items.first()).is_some_and(Value::is_object);
            is_computed || key.starts_with("Fn::ForEach::") || computes_a_mapping(item)
        }),
        _ => false,
    }
}

static UNUSED_PARAMETER: Code = Code::warning(
    "unused-parameter",
    "Whoever deploys the stack is asked for a value that changes nothing. Remove the parameter, \
     or refer to it.",
);

static UNUSED_CONDITION: Code = Code::warning(
    "unused-condition",
    "No resource, output or function depends on this condition. Remove it, or give it to the \
     resource that should have it.",
);

static UNUSED_MAPPING: Code =
    Code::warning("unused-mapping", "No `Fn::FindInMap` looks into this mapping. Remove it.");

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use serde_json::json;

    #[test]
    fn sees_uses_of_every_kind() {
        clean(&findings(json!({
            "Parameters": {"A": {"Type": "String"}, "B": {"Type": "String"}, "V": {"Type": "String"}},
            "Rules": {"R": {"Assertions": [{"Assert": {"Fn::Equals": [{"Ref": "V"}, "1"]}}]}},
            "Mappings": {"M": {"a": {"b": "c"}}},
            "Conditions": {"C": {"Fn::Equals": [{"Ref": "A"}, "x"]}, "D": {"Fn::Not": [{"Condition": "C"}]},
                "E": {"Fn::Equals": ["a", "b"]}},
            "Resources": {"T": {"Type": "AWS::SNS::Topic", "Condition": "D", "Properties": {
                "TopicName": {"Fn::Sub": "${B}"}, "DisplayName": {"Fn::FindInMap": ["M", "a", "b"]}}}},
            "Outputs": {"O": {"Value": "x", "Condition": "E"}}
        })));
    }

    #[test]
    fn warns_of_what_nothing_uses() {
        let found = findings(json!({
            "Parameters": {"A": {"Type": "String"}},
            "Mappings": {"M": {"a": {"b": "c"}}},
            "Conditions": {"C": {"Fn::Equals": ["a", "b"]}},
            "Resources": {"T": {"Type": "AWS::SNS::Topic"}}
        }));
        has_codes(&found, &["unused-parameter", "unused-mapping", "unused-condition"]);
        assert!(!found.has_errors());
    }
}
