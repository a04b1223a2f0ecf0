//! Types of which an account has one.
//!
//! Two of them in a template overwrite each other, or the second is refused.

use std::collections::HashMap;

use iotstack_assembly::intrinsic::Trail;

use crate::{Code, Findings, Rule, Subject};

/// The rule.
pub(super) struct Singletons;

impl Rule for Singletons {
    fn codes(&self) -> Vec<&'static Code> {
        vec![&SINGLETON]
    }

    fn template(&self, subject: &Subject<'_>, findings: &mut Findings<'_>) {
        let mut first: HashMap<&str, &str> = HashMap::new();
        for (id, resource) in &subject.template.resources {
            let kind = resource.kind.as_str();
            // Of two under conditions, most likely only one exists.
            if !kind.starts_with("AWS::IoT::")
                || !TYPES.contains(&kind)
                || resource.condition.is_some()
            {
                continue;
            }
            if let Some(first) = first.insert(kind, id) {
                let trail = Trail::Root.key("Resources");
                findings.add(
                    &SINGLETON,
                    &trail.key(id),
                    format!("`{first}` and `{id}` are both {kind}, of which an account has one"),
                );
            }
        }
    }
}

const TYPES: &[&str] = &[
    "AWS::IoT::AccountAuditConfiguration",
    "AWS::IoT::EncryptionConfiguration",
    "AWS::IoT::Logging",
];

static SINGLETON: Code = Code::error(
    "account-wide",
    "Some settings of AWS IoT exist once per account and region. Keep them in one resource of one \
     stack.",
);

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use serde_json::{Value, json};

    fn logging() -> Value {
        json!({"Type": "AWS::IoT::Logging", "Properties": {"AccountId": {"Ref": "AWS::AccountId"},
            "DefaultLogLevel": "INFO", "RoleArn": "arn:aws:iam::123456789012:role/logging"}})
    }

    #[test]
    fn one_is_accepted() {
        clean(&findings(json!({"Resources": {"A": logging()}})));
    }

    #[test]
    fn two_are_not() {
        let found = findings(json!({"Resources": {"A": logging(), "B": logging()}}));
        assert!(found.iter().any(|found| found.code == "account-wide"), "{:#?}", lines(&found));
    }
}
