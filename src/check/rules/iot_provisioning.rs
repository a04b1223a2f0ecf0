//! Fleet provisioning templates: size and outline of their body.
//!
//! The body is a template of AWS IoT's own, as text. Functions in it are resolved when
//! a device is provisioned; nothing of it belongs to the stack.

use serde_json::Value;

use crate::value::{branches, is_dynamic};
use crate::{Code, Findings, ResourceSubject, Rule, Subject, Types};

/// The rule.
pub(super) struct Provisioning;

impl Rule for Provisioning {
    fn codes(&self) -> Vec<&'static Code> {
        vec![&PROVISIONING_BODY]
    }

    fn types(&self) -> Types {
        Types::Only(&["AWS::IoT::ProvisioningTemplate"])
    }

    fn resource(
        &self,
        resource: &ResourceSubject<'_>,
        _: &Subject<'_>,
        findings: &mut Findings<'_>,
    ) {
        let Some(body) = resource.property("TemplateBody") else { return };
        branches(body, &resource.properties.key("TemplateBody"), &mut |value, trail| {
            let Value::String(text) = value else { return };
            if is_dynamic(text) {
                return;
            }
            if text.len() > LARGEST {
                findings.add(
                    &PROVISIONING_BODY,
                    trail,
                    format!(
                        "the template body has {} bytes; AWS IoT accepts {LARGEST}",
                        text.len()
                    ),
                );
            }
            match serde_json::from_str::<Value>(text) {
                Err(error) => {
                    findings.add(
                        &PROVISIONING_BODY,
                        trail,
                        format!("the template body is no JSON: {error}"),
                    );
                }
                Ok(body) if !body.get("Resources").is_some_and(Value::is_object) => {
                    findings.add(
                        &PROVISIONING_BODY,
                        trail,
                        "the template body has no `Resources`, so it provisions nothing",
                    );
                }
                Ok(_) => {}
            }
        });
    }
}

const LARGEST: usize = 10_240;

static PROVISIONING_BODY: Code = Code::error(
    "provisioning-body",
    "The body of a provisioning template is JSON text of at most 10,240 bytes with `Parameters` \
     and `Resources` of its own.",
);

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use serde_json::{Value, json};

    fn template(body: Value) -> iotstack_assembly::Diagnostics {
        resource(
            "AWS::IoT::ProvisioningTemplate",
            json!({"ProvisioningRoleArn": "arn:aws:iam::123456789012:role/p", "TemplateBody": body}),
        )
    }

    #[test]
    fn leaves_the_functions_of_the_body_alone() {
        clean(&template(json!(
            "{\"Parameters\": {\"Serial\": {\"Type\": \"String\"}}, \"Resources\": {\"thing\": \
             {\"Type\": \"AWS::IoT::Thing\", \"Properties\": {\"ThingName\": {\"Ref\": \"Serial\"}}}}}"
        )));
    }

    #[test]
    fn finds_a_body_that_is_too_large_or_broken() {
        has_codes(&template(json!("{}")), &["provisioning-body"]);
        has_codes(&template(json!("{Resources")), &["provisioning-body"]);
        let large = format!("{{\"Resources\": {{}}, \"x\": \"{}\"}}", "x".repeat(10_240));
        let found = template(json!(large));
        assert!(found.iter().any(|found| found.code == "provisioning-body"));
    }
}
