//! Resource types that do not exist.
//!
//! Custom resources, modules and types of others than AWS are anybody's to define, and
//! are left alone. So are the types of macros.

use crate::{Code, Findings, ResourceSubject, Rule, Subject, Types};

/// The rule.
pub(super) struct ResourceTypes;

impl Rule for ResourceTypes {
    fn codes(&self) -> Vec<&'static Code> {
        vec![&UNKNOWN_TYPE]
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
        if resource.facts.is_some() || subject.has_macros() || is_foreign(kind) {
            return;
        }
        let near = iotstack_schema::nearest_resource_types(kind);
        let help = match near.as_slice() {
            [] => format!(
                "the facts are of {}; a newer type is not known here",
                iotstack_schema::schema_date()
            ),
            [first, ..] => format!("did you mean `{first}`?"),
        };
        findings.advise(
            &UNKNOWN_TYPE,
            &resource.place.key("Type"),
            format!("there is no resource type `{kind}`"),
            help,
        );
    }
}

/// Whether somebody else than AWS may have defined a type.
fn is_foreign(kind: &str) -> bool {
    // `AWS::CDK::Metadata` is understood by CloudFormation and published nowhere.
    kind == "AWS::CDK::Metadata"
        || kind.starts_with("Custom::")
        || kind.ends_with("::MODULE")
        || kind.starts_with("AWS::Serverless::")
        || (!kind.starts_with("AWS::") && kind.split("::").count() == 3)
}

static UNKNOWN_TYPE: Code = Code::error(
    "unknown-type",
    "AWS has no resource type of this name. Names are case-sensitive: `AWS::IoT::Thing`, not \
     `AWS::IOT::Thing`. Types of your own have names such as `Custom::Anything` or \
     `Company::Service::Thing`.",
);

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use serde_json::json;

    #[test]
    fn accepts_types_of_others() {
        for kind in ["Custom::X", "Acme::Factory::Pump", "Acme::Factory::Pump::MODULE"] {
            clean(&resource(kind, json!({"ServiceToken": "x"})));
        }
        clean(&resource("AWS::CDK::Metadata", json!({})));
    }

    #[test]
    fn suggests_the_type_that_was_meant() {
        let found = resource("AWS::IOT::Things", json!({}));
        assert_eq!(
            only(&found),
            "unknown-type Resources/A/Type: there is no resource type `AWS::IOT::Things`"
        );
        assert_eq!(
            found.iter().next().unwrap().help.as_deref(),
            Some("did you mean `AWS::IoT::Thing`?")
        );
    }

    #[test]
    fn refuses_a_word_that_is_no_type() {
        has_codes(&resource("Thing", json!({})), &["unknown-type"]);
    }
}
