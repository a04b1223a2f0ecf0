//! Thing groups: static or dynamic, and not both. Policies are not attached to groups
//! by their attachment type.
//!
//! Both are refused only when the resource is made. Membership of things is not judged.

use crate::value::{Given, branches, given};
use crate::{Code, Findings, ResourceSubject, Rule, Subject, Types};

/// The rule.
pub(super) struct Groups;

impl Rule for Groups {
    fn codes(&self) -> Vec<&'static Code> {
        vec![&DYNAMIC_GROUP, &GROUP_POLICY]
    }

    fn types(&self) -> Types {
        Types::Only(&["AWS::IoT::ThingGroup", "AWS::IoT::PolicyPrincipalAttachment"])
    }

    fn resource(
        &self,
        resource: &ResourceSubject<'_>,
        _: &Subject<'_>,
        findings: &mut Findings<'_>,
    ) {
        let properties = &resource.resource.properties;
        if resource.resource.kind == "AWS::IoT::ThingGroup" {
            let is_dynamic = given(properties, "QueryString") == Given::Yes;
            if is_dynamic && given(properties, "ParentGroupName") == Given::Yes {
                findings.advise(
                    &DYNAMIC_GROUP,
                    &resource.properties.key("ParentGroupName"),
                    "a dynamic group, one with a `QueryString`, has no parent",
                    "leave one of the two away",
                );
            }
            return;
        }
        let Some(principal) = properties.get("Principal") else { return };
        branches(principal, &resource.properties.key("Principal"), &mut |value, trail| {
            if value.as_str().is_some_and(|arn| arn.contains(":thinggroup/")) {
                findings.advise(
                    &GROUP_POLICY,
                    trail,
                    "this type attaches policies to certificates and Cognito identities, not to \
                     thing groups",
                    "attach the policy with a custom resource that calls AttachPolicy",
                );
            }
        });
    }
}

static DYNAMIC_GROUP: Code = Code::error(
    "dynamic-group",
    "A thing group with a query is dynamic: things join and leave it by themselves. Dynamic groups \
     stand outside the hierarchy and have no parent.",
);

static GROUP_POLICY: Code = Code::error(
    "group-policy",
    "`AWS::IoT::PolicyPrincipalAttachment` uses an older call of AWS IoT that knows certificates \
     and Cognito identities only.",
);

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use serde_json::json;

    #[test]
    fn accepts_either_kind() {
        clean(&resource("AWS::IoT::ThingGroup", json!({"QueryString": "thingName:a*"})));
        clean(&resource("AWS::IoT::ThingGroup", json!({"ParentGroupName": "all"})));
    }

    #[test]
    fn a_dynamic_group_has_no_parent() {
        let found = resource(
            "AWS::IoT::ThingGroup",
            json!({"QueryString": "thingName:a*", "ParentGroupName": "all"}),
        );
        has_codes(&found, &["dynamic-group"]);
    }

    #[test]
    fn a_group_is_no_principal() {
        let attached = |arn: &str| {
            resource(
                "AWS::IoT::PolicyPrincipalAttachment",
                json!({"PolicyName": "p", "Principal": arn}),
            )
        };
        clean(&attached("arn:aws:iot:eu-west-1:123456789012:cert/abc"));
        has_codes(
            &attached("arn:aws:iot:eu-west-1:123456789012:thinggroup/all"),
            &["group-policy"],
        );
    }
}
