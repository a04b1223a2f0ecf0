//! Null in a template.
//!
//! CloudFormation refuses a template that holds null anywhere. In YAML it is what a
//! key without a value means, which is easily overlooked.

use iotstack_assembly::intrinsic::Trail;
use serde_json::Value;

use crate::{Code, Findings, ResourceSubject, Rule, Subject, Types};

/// The rule.
pub(super) struct NullValues;

impl Rule for NullValues {
    fn codes(&self) -> Vec<&'static Code> {
        vec![&NULL_VALUE]
    }

    fn types(&self) -> Types {
        Types::All
    }

    fn template(&self, subject: &Subject<'_>, findings: &mut Findings<'_>) {
        let template = subject.template;
        for (section, values) in [
            ("Parameters", &template.parameters),
            ("Mappings", &template.mappings),
            ("Conditions", &template.conditions),
            ("Outputs", &template.outputs),
        ] {
            for (name, value) in values {
                walk(value, &Trail::Root.key(section).key(name), findings);
            }
        }
    }

    fn resource(
        &self,
        resource: &ResourceSubject<'_>,
        _: &Subject<'_>,
        findings: &mut Findings<'_>,
    ) {
        for (name, value) in &resource.resource.properties {
            walk(value, &resource.properties.key(name), findings);
        }
    }
}

fn walk(value: &Value, trail: &Trail<'_>, findings: &mut Findings<'_>) {
    match value {
        Value::Null => findings.advise(
            &NULL_VALUE,
            trail,
            "found null, which CloudFormation refuses everywhere",
            "give a value, leave the key away, or use `{\"Ref\": \"AWS::NoValue\"}`",
        ),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(item, &trail.item(index), findings);
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                walk(item, &trail.key(key), findings);
            }
        }
        _ => {}
    }
}

static NULL_VALUE: Code = Code::error(
    "null-value",
    "CloudFormation refuses null in a template. In YAML, a key with nothing behind it is null. \
     To leave a property away under a condition, give it `AWS::NoValue`.",
);

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use serde_json::json;

    #[test]
    fn finds_null_at_any_depth() {
        let found = resource("AWS::SNS::Topic", json!({"Tags": [{"Key": "a", "Value": null}]}));
        assert_eq!(
            only(&found),
            "null-value Resources/A/Properties/Tags/0/Value: \
             found null, which CloudFormation refuses everywhere"
        );
    }

    #[test]
    fn accepts_no_value() {
        clean(&resource("AWS::SNS::Topic", json!({"TopicName": {"Ref": "AWS::NoValue"}})));
    }
}
