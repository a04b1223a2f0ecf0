//! Roles that are named where their ARN is needed.
//!
//! `Ref` on a role returns its name, and most services want the ARN. The schemas call
//! both text. Judged are properties whose own name says that they hold a role's ARN.

use iotstack_assembly::intrinsic::{Function, Trail, attribute_of};
use serde_json::Value;

use crate::value::branches;
use crate::{Code, Findings, ResourceSubject, Rule, Subject, Types};

/// The rule.
pub(super) struct RoleReferences;

impl Rule for RoleReferences {
    fn codes(&self) -> Vec<&'static Code> {
        vec![&ROLE_REFERENCE]
    }

    fn types(&self) -> Types {
        Types::All
    }

    fn resource(
        &self,
        resource: &ResourceSubject<'_>,
        subject: &Subject<'_>,
        findings: &mut Findings<'_>,
    ) {
        let kind = resource.resource.kind.as_str();
        // What a custom resource calls a role's ARN is its own business.
        if resource.facts.is_none() || !kind.starts_with("AWS::") || kind == CUSTOM {
            return;
        }
        let is_function = kind == "AWS::Lambda::Function";
        for (name, value) in &resource.resource.properties {
            let trail = resource.properties.key(name);
            if is_function && name == "Role" {
                judge(value, &trail, subject, findings);
            }
            walk(name, value, &trail, subject, findings);
        }
    }
}

fn walk(
    name: &str,
    value: &Value,
    trail: &Trail<'_>,
    subject: &Subject<'_>,
    findings: &mut Findings<'_>,
) {
    if name.ends_with("RoleArn") || name.ends_with("RoleARN") {
        return judge(value, trail, subject, findings);
    }
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk("", item, &trail.item(index), subject, findings);
            }
        }
        Value::Object(map) => {
            for (name, item) in map {
                walk(name, item, &trail.key(name), subject, findings);
            }
        }
        _ => {}
    }
}

fn judge(value: &Value, trail: &Trail<'_>, subject: &Subject<'_>, findings: &mut Findings<'_>) {
    branches(value, trail, &mut |value, trail| {
        let Some(other) = subject.referred(value) else { return };
        let kind = other.kind.as_str();
        let function = Function::of(value);
        let asks_for_arn = function.is_some_and(|function| {
            attribute_of(function.argument).is_some_and(|(_, attribute)| attribute == "Arn")
                && function.name == "Fn::GetAtt"
        });
        if kind == "AWS::IAM::Role" && !asks_for_arn {
            findings.advise(
                &ROLE_REFERENCE,
                trail,
                "found another property of a role; expected its ARN",
                "use `Fn::GetAtt` with `Arn`; `Ref` returns a role's name",
            );
        } else if kind != "AWS::IAM::Role" && NO_ROLES.contains(&kind) {
            findings.add(
                &ROLE_REFERENCE,
                trail,
                format!("found a reference to {kind}; expected a role"),
            );
        }
    });
}

const CUSTOM: &str = "AWS::CloudFormation::CustomResource";

/// Types that people mix up with a role. Others may hand a role's ARN on.
const NO_ROLES: &[&str] = &[
    "AWS::DynamoDB::Table",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Policy",
    "AWS::IoT::RoleAlias",
    "AWS::IoT::Thing",
    "AWS::KMS::Key",
    "AWS::Lambda::Function",
    "AWS::S3::Bucket",
    "AWS::SNS::Topic",
    "AWS::SQS::Queue",
];

static ROLE_REFERENCE: Code = Code::error(
    "role-reference",
    "The property holds the ARN of a role. `Ref` on a role returns its name, which the service \
     refuses; `Fn::GetAtt` with `Arn` returns the ARN.",
);

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use serde_json::{Value, json};

    fn alias(role: Value) -> iotstack_assembly::Diagnostics {
        findings(json!({"Resources": {
            "A": {"Type": "AWS::IoT::RoleAlias", "Properties": {"RoleArn": role}},
            "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}}},
            "Bucket": {"Type": "AWS::S3::Bucket"}
        }}))
    }

    #[test]
    fn accepts_the_arn() {
        clean(&alias(json!({"Fn::GetAtt": ["Role", "Arn"]})));
        clean(&alias(json!({"Fn::GetAtt": "Role.Arn"})));
    }

    #[test]
    fn finds_a_name_and_a_bucket() {
        let found = alias(json!({"Ref": "Role"}));
        assert_eq!(
            only(&found),
            "role-reference Resources/A/Properties/RoleArn: \
             found another property of a role; expected its ARN"
        );
        has_codes(&alias(json!({"Fn::GetAtt": ["Bucket", "Arn"]})), &["role-reference"]);
    }
}
