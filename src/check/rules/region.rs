//! Types that the stack's region does not have.
//!
//! Judged only where the stack has a fixed region. Regions grow: the facts have a
//! date, which the advice tells.

use crate::{Code, Findings, ResourceSubject, Rule, Subject, Types};

/// The rule.
pub(super) struct Regions;

impl Rule for Regions {
    fn codes(&self) -> Vec<&'static Code> {
        vec![&NOT_IN_REGION]
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
        let (Some(facts), Some(region)) = (resource.facts, subject.context.region()) else {
            return;
        };
        if facts.exists_in(region) {
            return;
        }
        let elsewhere: Vec<&str> = facts.regions().take(6).collect();
        findings.advise(
            &NOT_IN_REGION,
            &resource.place.key("Type"),
            format!("{} does not exist in {region}", facts.name),
            format!(
                "as of {} it exists in {}{}",
                iotstack_schema::schema_date(),
                elsewhere.join(", "),
                if facts.regions().count() > elsewhere.len() { " and others" } else { "" }
            ),
        );
    }
}

static NOT_IN_REGION: Code = Code::error(
    "not-in-region",
    "CloudFormation does not offer this resource type in the region of the stack's environment, \
     even where the service itself is there. Choose another region, or make the resource with a \
     custom resource.",
);

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use serde_json::{Value, json};

    fn job() -> Value {
        json!({"Resources": {"A": {"Type": "AWS::IoT::Job", "Properties": {
            "JobId": "j", "Targets": ["arn:aws:iot:x:1:thing/t"], "Document": "{}"}}}})
    }

    #[test]
    fn a_job_exists_in_few_regions() {
        clean(&findings_in("eu-central-1", job()));
        assert_eq!(
            only(&findings_in("eu-west-1", job())),
            "not-in-region Resources/A/Type: AWS::IoT::Job does not exist in eu-west-1"
        );
    }

    #[test]
    fn nothing_is_said_about_unknown_regions() {
        clean(&findings(job()));
        clean(&findings_in("moon-central-1", job()));
    }
}
