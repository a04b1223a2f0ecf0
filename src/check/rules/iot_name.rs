//! Names in AWS IoT, which the services refuse although the schemas accept them.
//!
//! The published patterns are searched anywhere in a name, so they accept almost any.
//! Here the whole name has to fit.

use serde_json::Value;

use crate::value::{branches, is_dynamic};
use crate::{Code, Findings, ResourceSubject, Rule, Subject, Types};

/// The rule.
pub(super) struct Names;

impl Rule for Names {
    fn codes(&self) -> Vec<&'static Code> {
        vec![&IOT_NAME]
    }

    fn types(&self) -> Types {
        Types::Only(TYPES)
    }

    fn resource(
        &self,
        resource: &ResourceSubject<'_>,
        _: &Subject<'_>,
        findings: &mut Findings<'_>,
    ) {
        let kind = resource.resource.kind.as_str();
        for (_, property, characters, longest) in NAMES.iter().filter(|row| row.0 == kind) {
            let Some(value) = resource.property(property) else { continue };
            branches(value, &resource.properties.key(property), &mut |value, trail| {
                if let Value::String(name) = value
                    && let Some(expected) = misses(name, characters, *longest)
                {
                    findings.add(
                        &IOT_NAME,
                        trail,
                        format!("name `{name}` is not valid: expected {expected}"),
                    );
                }
            });
        }
    }
}

/// What a name should be, where it is not.
fn misses(name: &str, characters: &Characters, longest: usize) -> Option<String> {
    if is_dynamic(name) {
        return None;
    }
    let fits = name.bytes().all(|b| b.is_ascii_alphanumeric() || characters.0.contains(&b));
    let is_right = fits && (1..=longest).contains(&name.len());
    (!is_right).then(|| format!("1 to {longest} characters of {}", characters.1))
}

/// Characters beside letters and digits, and how to say so.
struct Characters(&'static [u8], &'static str);

const REGISTRY: Characters = Characters(b":_-", "letters, digits, `:`, `_` and `-`");
const PLAIN: Characters = Characters(b"_-", "letters, digits, `_` and `-`");
const RULE: Characters = Characters(b"_", "letters, digits and `_`");
const DOTTED: Characters = Characters(b"_.-", "letters, digits, `_`, `.` and `-`");
const ALIAS: Characters = Characters(b"=,@-_", "letters, digits, `=`, `,`, `@`, `_` and `-`");
const POLICY: Characters =
    Characters(b"+=,.@_-", "letters, digits, `+`, `=`, `,`, `.`, `@`, `_` and `-`");

/// Type, property, characters, length.
const NAMES: &[(&str, &str, Characters, usize)] = &[
    ("AWS::IoT::Thing", "ThingName", REGISTRY, 128),
    ("AWS::IoT::ThingType", "ThingTypeName", REGISTRY, 128),
    ("AWS::IoT::ThingGroup", "ThingGroupName", REGISTRY, 128),
    ("AWS::IoT::ThingGroup", "ParentGroupName", REGISTRY, 128),
    ("AWS::IoT::BillingGroup", "BillingGroupName", REGISTRY, 128),
    ("AWS::IoT::Policy", "PolicyName", POLICY, 128),
    ("AWS::IoT::TopicRule", "RuleName", RULE, 128),
    ("AWS::IoT::Job", "JobId", PLAIN, 64),
    ("AWS::IoT::JobTemplate", "JobTemplateId", PLAIN, 64),
    ("AWS::IoT::RoleAlias", "RoleAlias", ALIAS, 128),
    ("AWS::IoT::ProvisioningTemplate", "TemplateName", PLAIN, 36),
    ("AWS::IoT::FleetMetric", "MetricName", DOTTED, 128),
    ("AWS::IoT::ThingPrincipalAttachment", "ThingName", REGISTRY, 128),
];

const TYPES: &[&str] = &[
    "AWS::IoT::Thing",
    "AWS::IoT::ThingType",
    "AWS::IoT::ThingGroup",
    "AWS::IoT::BillingGroup",
    "AWS::IoT::Policy",
    "AWS::IoT::TopicRule",
    "AWS::IoT::Job",
    "AWS::IoT::JobTemplate",
    "AWS::IoT::RoleAlias",
    "AWS::IoT::ProvisioningTemplate",
    "AWS::IoT::FleetMetric",
    "AWS::IoT::ThingPrincipalAttachment",
];

static IOT_NAME: Code = Code::error(
    "iot-name",
    "AWS IoT accepts few characters in names, and not the same everywhere: things and groups take \
     colons, underscores and hyphens, rules take underscores only. The published schemas are more \
     lenient than the service.",
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;
    use serde_json::json;

    #[test]
    fn every_type_with_a_name_is_listed() {
        assert!(NAMES.iter().all(|row| TYPES.contains(&row.0)));
    }

    #[test]
    fn accepts_what_the_service_accepts() {
        clean(&resource("AWS::IoT::Thing", json!({"ThingName": "plant:line_1-pump"})));
        clean(&resource(
            "AWS::IoT::Thing",
            json!({"ThingName": {"Fn::Sub": "${AWS::StackName}-x"}}),
        ));
    }

    #[test]
    fn finds_a_space_that_the_schema_lets_through() {
        assert_eq!(
            only(&resource("AWS::IoT::Thing", json!({"ThingName": "pump 1"}))),
            "iot-name Resources/A/Properties/ThingName: name `pump 1` is not valid: \
             expected 1 to 128 characters of letters, digits, `:`, `_` and `-`"
        );
    }

    #[test]
    fn a_rule_has_no_hyphen() {
        let found = resource(
            "AWS::IoT::TopicRule",
            json!({"RuleName": "my-rule", "TopicRulePayload": {"Sql": "SELECT * FROM 'a'",
                "AwsIotSqlVersion": "2016-03-23", "Actions": []}}),
        );
        has_codes(&found, &["iot-name"]);
    }
}
