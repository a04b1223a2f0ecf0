//! Deletion and replacement policies.
//!
//! Their values, and snapshots of types that have none.

use iotstack_assembly::intrinsic::Trail;

use crate::value::choices;
use crate::{Code, Findings, ResourceSubject, Rule, Subject, Types};

/// The rule.
pub(super) struct DeletionPolicies;

impl Rule for DeletionPolicies {
    fn codes(&self) -> Vec<&'static Code> {
        vec![&DELETION_POLICY]
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
        if subject.has_macros() {
            return;
        }
        let (kind, body) = (resource.resource.kind.as_str(), resource.resource);
        for (name, policy, values) in [
            ("DeletionPolicy", &body.deletion_policy, DELETION),
            ("UpdateReplacePolicy", &body.update_replace_policy, REPLACEMENT),
        ] {
            if let Some(policy) = policy {
                judge(kind, name, policy, values, &resource.place.key(name), findings);
            }
        }
    }
}

fn judge(
    kind: &str,
    name: &str,
    policy: &str,
    values: &[&str],
    trail: &Trail<'_>,
    findings: &mut Findings<'_>,
) {
    if !values.contains(&policy) {
        let help = iotstack_schema::nearest(policy, values.iter().copied())
            .map(|near| format!("did you mean `{near}`?"));
        let message =
            format!("`{policy}` is no value of `{name}`; expected one of {}", choices(values));
        findings.add(&DELETION_POLICY, trail, message).help = help;
    } else if policy == "Snapshot" && kind.starts_with("AWS::") && !WITH_SNAPSHOTS.contains(&kind) {
        findings.advise(
            &DELETION_POLICY,
            trail,
            format!("{kind} cannot make snapshots, so `{name}` cannot be `Snapshot`"),
            "use `Retain` to keep the resource",
        );
    }
}

const DELETION: &[&str] = &["Delete", "Retain", "RetainExceptOnCreate", "Snapshot"];
const REPLACEMENT: &[&str] = &["Delete", "Retain", "Snapshot"];

const WITH_SNAPSHOTS: &[&str] = &[
    "AWS::DocDB::DBCluster",
    "AWS::EC2::Volume",
    "AWS::ElastiCache::CacheCluster",
    "AWS::ElastiCache::ReplicationGroup",
    "AWS::Neptune::DBCluster",
    "AWS::RDS::DBCluster",
    "AWS::RDS::DBInstance",
    "AWS::Redshift::Cluster",
];

static DELETION_POLICY: Code = Code::error(
    "deletion-policy",
    "`DeletionPolicy` is `Delete`, `Retain`, `RetainExceptOnCreate` or `Snapshot`, and \
     `UpdateReplacePolicy` is one of the same but `RetainExceptOnCreate`. Snapshots exist for \
     volumes, databases and caches only.",
);

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use serde_json::{Value, json};

    fn topic(extra: &[(&str, Value)]) -> iotstack_assembly::Diagnostics {
        let mut topic = json!({"Type": "AWS::SNS::Topic"});
        for (name, value) in extra {
            topic[*name] = value.clone();
        }
        findings(json!({"Resources": {"A": topic}}))
    }

    #[test]
    fn accepts_every_value_where_it_belongs() {
        clean(&topic(&[("DeletionPolicy", json!("RetainExceptOnCreate"))]));
        clean(&topic(&[("UpdateReplacePolicy", json!("Retain"))]));
    }

    #[test]
    fn finds_wrong_values() {
        has_codes(&topic(&[("DeletionPolicy", json!("retain"))]), &["deletion-policy"]);
        has_codes(
            &topic(&[("UpdateReplacePolicy", json!("RetainExceptOnCreate"))]),
            &["deletion-policy"],
        );
        assert_eq!(
            only(&topic(&[("DeletionPolicy", json!("Snapshot"))])),
            "deletion-policy Resources/A/DeletionPolicy: AWS::SNS::Topic cannot make snapshots, \
             so `DeletionPolicy` cannot be `Snapshot`"
        );
    }
}
