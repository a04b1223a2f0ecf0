//! Resource policies of queues and topics: may a service send here?
//!
//! A service is judged by its name and by the resource on whose behalf it sends.
//! That is all there is to know of such a request, so a condition on anything
//! else finds its key absent. Who calls the API is judged by the gateway.

use std::sync::{Arc, OnceLock};

use iotstack_local_kernel::Fault;
use iotstack_local_kernel::policy::{Context, Policy, Question, Verdict};
use serde_json::{Map, Value};

/// A service that sends on behalf of a resource.
pub(crate) struct Sender<'a> {
    /// Such as `sns.amazonaws.com`.
    pub(crate) service: &'a str,
    /// Such as `sqs:SendMessage`.
    pub(crate) action: &'a str,
    /// The ARN of the queue or the topic.
    pub(crate) target: &'a str,
    /// The ARN of the resource that sends.
    pub(crate) source: &'a str,
    /// The account of that resource.
    pub(crate) account: &'a str,
}

/// A policy that was read at its first question, to be kept beside its text. A
/// change of the text needs a new one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Guard(OnceLock<Option<Arc<Policy>>>);

impl Guard {
    /// Whether the policy lets a service send. Without one only the owner may.
    pub(crate) fn permits(&self, policy: Option<&String>, sender: &Sender<'_>) -> bool {
        let read = || Policy::parse_resource(policy?).ok().map(Arc::new);
        let Some(policy) = self.0.get_or_init(read) else { return false };
        let context = Context::default()
            .with("aws:SourceArn", sender.source)
            .with("aws:SourceAccount", sender.account)
            .with("aws:PrincipalIsAWSService", "true")
            .with("aws:PrincipalServiceName", sender.service)
            // What stays inside of the cloud counts as encrypted.
            .with("aws:SecureTransport", "true")
            .complete();
        let question = Question {
            principal: Some(("Service", sender.service)),
            action: sender.action,
            resource: sender.target,
            context: &context,
        };
        policy.verdict(&question) == Verdict::Allow
    }
}

/// The policy that a template writes as a document or as a text.
pub(crate) fn of_template(input: &Map<String, Value>) -> Result<String, Fault> {
    match input.get("PolicyDocument") {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(document @ Value::Object(_)) => Ok(document.to_string()),
        _ => Err(Fault::invalid_input("PolicyDocument is required")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_service_needs_a_statement_that_fits() {
        let sender = Sender {
            service: "events.amazonaws.com",
            action: "sns:Publish",
            target: "arn:aws:sns:us-east-1:123456789012:alarms",
            source: "arn:aws:events:us-east-1:123456789012:rule/r",
            account: "123456789012",
        };
        let allow = |principal: Value, condition: Value| {
            let mut statement = json!({
                "Effect": "Allow", "Principal": principal, "Action": "sns:Publish", "Resource": "*",
            });
            if !condition.is_null() {
                statement["Condition"] = condition;
            }
            statement
        };
        let elsewhere = json!({
            "Effect": "Allow", "Principal": "*", "Action": "sns:Publish",
            "Resource": "arn:aws:sns:us-east-1:123456789012:others",
        });
        let events = json!({"Service": "events.amazonaws.com"});
        let tls = json!({
            "Effect": "Deny", "Principal": "*", "Action": "sns:Publish", "Resource": "*",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        });
        let deny = json!({"Effect": "Deny", "Principal": "*", "Action": "SNS:*", "Resource": "*"});
        for (statements, permitted) in [
            (vec![allow(events.clone(), Value::Null)], true),
            (vec![allow(events.clone(), Value::Null), tls], true),
            (vec![allow(events.clone(), Value::Null), deny], false),
            (vec![allow(json!({"Service": "s3.amazonaws.com"}), Value::Null)], false),
            (
                vec![allow(
                    events.clone(),
                    json!({"ArnLike": {"aws:SourceArn": "arn:aws:events:*:*:rule/*"}}),
                )],
                true,
            ),
            (
                vec![allow(
                    events.clone(),
                    json!({"ArnLike": {"aws:SourceArn": "arn:aws:iot:*:*:rule/*"}}),
                )],
                false,
            ),
            (
                vec![allow(
                    events.clone(),
                    json!({"StringEquals": {"aws:SourceAccount": "123456789012"}}),
                )],
                true,
            ),
            (vec![allow(events, json!({"StringEquals": {"aws:PrincipalOrgID": "o"}}))], false),
            (vec![elsewhere], false),
            (vec![], false),
        ] {
            let policy = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
            assert_eq!(Guard::default().permits(Some(&policy), &sender), permitted, "{policy}");
        }
        assert!(!Guard::default().permits(None, &sender));
    }
}
