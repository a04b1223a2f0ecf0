//! Conditions: that those used exist, and that they decide by parameters only.
//!
//! Conditions are decided before any resource exists, so they cannot ask for one.

use iotstack_assembly::intrinsic::{Trail, each_reference};
use serde_json::Value;

use crate::{Code, Findings, ResourceSubject, Rule, Subject, Types};

/// The rule.
pub(super) struct Conditions;

impl Rule for Conditions {
    fn codes(&self) -> Vec<&'static Code> {
        vec![&UNKNOWN_CONDITION, &CONDITION_ON_RESOURCE]
    }

    fn types(&self) -> Types {
        Types::All
    }

    fn template(&self, subject: &Subject<'_>, findings: &mut Findings<'_>) {
        let template = subject.template;
        for (name, value) in &template.conditions {
            let trail = Trail::Root.key("Conditions");
            let trail = trail.key(name);
            called(value, &trail, subject, findings);
            each_reference(value, &trail, &mut |target, trail| {
                if let Some(id) = target.id().filter(|id| template.resources.contains_key(*id)) {
                    findings.advise(
                        &CONDITION_ON_RESOURCE,
                        trail,
                        format!("condition `{name}` asks for the resource `{id}`"),
                        "conditions are decided before resources exist; use a parameter",
                    );
                }
            });
        }
        for (name, output) in &template.outputs {
            let trail = Trail::Root.key("Outputs");
            let trail = trail.key(name);
            if let Some(condition) = output.get("Condition").and_then(Value::as_str) {
                exists(condition, &trail.key("Condition"), subject, findings);
            }
        }
    }

    fn resource(
        &self,
        resource: &ResourceSubject<'_>,
        subject: &Subject<'_>,
        findings: &mut Findings<'_>,
    ) {
        if let Some(condition) = &resource.resource.condition {
            exists(condition, &resource.place.key("Condition"), subject, findings);
        }
    }
}

/// Judges conditions that are called by `{"Condition": …}` in another condition.
fn called(value: &Value, trail: &Trail<'_>, subject: &Subject<'_>, findings: &mut Findings<'_>) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                called(item, &trail.item(index), subject, findings);
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                match item {
                    Value::String(name) if key == "Condition" && map.len() == 1 => {
                        exists(name, &trail.key(key), subject, findings);
                    }
                    _ => called(item, &trail.key(key), subject, findings),
                }
            }
        }
        _ => {}
    }
}

/// Judges the name of a condition. The rule about references calls this for `Fn::If`.
pub(super) fn exists(
    name: &str,
    trail: &Trail<'_>,
    subject: &Subject<'_>,
    findings: &mut Findings<'_>,
) {
    let conditions = &subject.template.conditions;
    if conditions.contains_key(name) || subject.is_open() {
        return;
    }
    let help = iotstack_schema::nearest(name, conditions.keys().map(String::as_str))
        .map(|near| format!("did you mean `{near}`?"));
    findings
        .add(&UNKNOWN_CONDITION, trail, format!("the template has no condition `{name}`"))
        .help = help;
}

static UNKNOWN_CONDITION: Code = Code::error(
    "unknown-condition",
    "A resource, an output, `Fn::If` or another condition names a condition that the section \
     `Conditions` does not have.",
);

static CONDITION_ON_RESOURCE: Code = Code::error(
    "condition-on-resource",
    "CloudFormation decides all conditions before it makes the first resource, so a condition can \
     ask for parameters, mappings and other conditions, and for nothing else.",
);

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use serde_json::json;

    #[test]
    fn accepts_conditions_that_exist() {
        clean(&findings(json!({
            "Parameters": {"Stage": {"Type": "String"}},
            "Conditions": {"IsProd": {"Fn::Equals": [{"Ref": "Stage"}, "prod"]},
                "NotProd": {"Fn::Not": [{"Condition": "IsProd"}]}},
            "Resources": {"A": {"Type": "AWS::SNS::Topic", "Condition": "NotProd",
                "Properties": {"TopicName": {"Fn::If": ["IsProd", "a", "b"]}}}}
        })));
    }

    #[test]
    fn finds_unknown_conditions_everywhere() {
        let found = findings(json!({
            "Conditions": {"IsProd": {"Fn::Not": [{"Condition": "IsDev"}]}},
            "Resources": {"A": {"Type": "AWS::SNS::Topic", "Condition": "IsProt",
                "Properties": {"TopicName": {"Fn::If": ["Is", "a", "b"]}}}},
            "Outputs": {"O": {"Value": "x", "Condition": "IsProd"}, "P": {"Value": "x", "Condition": "No"}}
        }));
        has_codes(&found, &["unknown-condition"; 4]);
    }

    #[test]
    fn finds_a_condition_that_asks_for_a_resource() {
        let found = findings(json!({
            "Conditions": {"C": {"Fn::Equals": [{"Fn::GetAtt": ["A", "TopicName"]}, "x"]}},
            "Resources": {"A": {"Type": "AWS::SNS::Topic"}, "B": {"Type": "AWS::SNS::Topic", "Condition": "C"}}
        }));
        has_codes(&found, &["condition-on-resource"]);
    }
}
