//! Jobs and job templates: that they have a document, and one that can be read.
//!
//! A document is judged as JSON only. What devices make of it is for them to say, and
//! documents behind links are not read.

use serde_json::Value;

use crate::value::{Given, branches, choices, given, is_dynamic};
use crate::{Code, Findings, ResourceSubject, Rule, Subject, Types};

/// The rule.
pub(super) struct Jobs;

impl Rule for Jobs {
    fn codes(&self) -> Vec<&'static Code> {
        vec![&JOB_DOCUMENT]
    }

    fn types(&self) -> Types {
        Types::Only(&["AWS::IoT::Job", "AWS::IoT::JobTemplate"])
    }

    fn resource(
        &self,
        resource: &ResourceSubject<'_>,
        _: &Subject<'_>,
        findings: &mut Findings<'_>,
    ) {
        let is_job = resource.resource.kind == "AWS::IoT::Job";
        let sources = if is_job {
            ["Document", "DocumentSource", "JobTemplateArn"]
        } else {
            ["Document", "DocumentSource", "JobArn"]
        };
        let properties = &resource.resource.properties;
        if sources.iter().all(|name| given(properties, name) == Given::No) {
            findings.add(
                &JOB_DOCUMENT,
                resource.properties,
                format!("the job has no document; expected one of {}", choices(sources)),
            );
        }
        let Some(document) = properties.get("Document") else { return };
        branches(document, &resource.properties.key("Document"), &mut |value, trail| {
            let Value::String(text) = value else { return };
            if is_dynamic(text) {
                return;
            }
            // With parameters, a document is JSON only after they are filled in.
            let is_json = serde_json::from_str::<Value>(text);
            if let Err(error) = is_json
                && !text.contains("${")
            {
                findings.add(&JOB_DOCUMENT, trail, format!("the job document is no JSON: {error}"));
            }
            if text.len() > LONGEST {
                findings.add(
                    &JOB_DOCUMENT,
                    trail,
                    format!("the job document has {} bytes; AWS IoT accepts {LONGEST}", text.len()),
                );
            }
        });
    }
}

const LONGEST: usize = 32_768;

static JOB_DOCUMENT: Code = Code::error(
    "job-document",
    "A job tells devices what to do in its document, which is JSON of at most 32,768 bytes. The \
     schema does not demand one, but the service does: as text, as a link to S3, or from another \
     job or template.",
);

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use serde_json::{Value, json};

    fn template(extra: Value) -> iotstack_assembly::Diagnostics {
        let mut properties = json!({"JobTemplateId": "t", "Description": "d"});
        if let (Some(properties), Value::Object(extra)) = (properties.as_object_mut(), extra) {
            properties.extend(extra);
        }
        resource("AWS::IoT::JobTemplate", properties)
    }

    #[test]
    fn accepts_each_source() {
        clean(&template(json!({"Document": "{\"operation\": \"update\"}"})));
        clean(&template(json!({"Document": "{\"n\": ${aws:iot:parameter:n}}"})));
        clean(&template(json!({"DocumentSource": "https://bucket.s3.amazonaws.com/job.json"})));
        clean(&template(json!({"Document": {"Fn::Sub": "{}"}})));
    }

    #[test]
    fn finds_a_missing_or_broken_document() {
        assert_eq!(
            only(&template(json!({}))),
            "job-document Resources/A/Properties: the job has no document; expected one of \
             `Document`, `DocumentSource`, `JobArn`"
        );
        has_codes(&template(json!({"Document": "{operation}"})), &["job-document"]);
        has_codes(
            &template(json!({"Document": format!("\"{}\"", "x".repeat(32_767))})),
            &["job-document"],
        );
    }
}
