//! Resource policies of queues and topics: may a service send here?
//!
//! Only what a sending service is judged by is understood: its name, the action,
//! and conditions on its source. A condition that is not understood does not
//! hold, so that nothing is allowed by mistake.

use serde_json::Value;

/// A service that sends on behalf of a resource.
pub(crate) struct Sender<'a> {
    /// Such as `sns.amazonaws.com`.
    pub(crate) service: &'a str,
    /// Such as `sqs:SendMessage`.
    pub(crate) action: &'a str,
    /// The ARN of the resource that sends.
    pub(crate) source: &'a str,
    /// The account of that resource.
    pub(crate) account: &'a str,
}

/// Whether a policy lets a service send.
pub(crate) fn permits(policy: Option<&str>, sender: &Sender<'_>) -> bool {
    let Some(policy) = policy.and_then(|text| serde_json::from_str::<Value>(text).ok()) else {
        return false;
    };
    let statements = match &policy["Statement"] {
        Value::Array(statements) => statements.as_slice(),
        single => std::slice::from_ref(single),
    };
    let applies = |effect: &str| {
        statements.iter().any(|statement| statement["Effect"] == effect && fits(statement, sender))
    };
    applies("Allow") && !applies("Deny")
}

/// Whether a text is a policy that can be kept.
pub(crate) fn is_policy(text: &str) -> bool {
    serde_json::from_str::<Value>(text)
        .is_ok_and(|policy| policy["Statement"].is_array() || policy["Statement"].is_object())
}

fn fits(statement: &Value, sender: &Sender<'_>) -> bool {
    let action = each(&statement["Action"]).any(|action| {
        like(&action.to_ascii_lowercase(), &sender.action.to_ascii_lowercase())
            // Old documents write the service in capitals or leave it out.
            || action == "*"
    });
    let principal = match &statement["Principal"] {
        Value::String(all) => all == "*",
        members => {
            each(&members["Service"]).any(|service| service == sender.service || service == "*")
                || each(&members["AWS"]).any(|arn| arn == "*")
        }
    };
    action && principal && holds(&statement["Condition"], sender)
}

fn holds(condition: &Value, sender: &Sender<'_>) -> bool {
    let Value::Object(operators) = condition else { return condition.is_null() };
    operators.iter().all(|(operator, keys)| {
        let Value::Object(keys) = keys else { return false };
        keys.iter().all(|(key, wanted)| {
            let value = match key.to_ascii_lowercase().as_str() {
                "aws:sourcearn" => sender.source,
                "aws:sourceaccount" => sender.account,
                // What stays inside of the cloud counts as encrypted.
                "aws:securetransport" => "true",
                _ => return false,
            };
            match operator.as_str() {
                "StringEquals" | "ArnEquals" if !has_wildcard(wanted) => {
                    each(wanted).any(|wanted| wanted == value)
                }
                "ArnLike" | "StringLike" | "ArnEquals" => {
                    each(wanted).any(|wanted| like(&wanted, value))
                }
                "StringNotEquals" => !each(wanted).any(|wanted| wanted == value),
                "StringEqualsIgnoreCase" | "Bool" => {
                    each(wanted).any(|wanted| wanted.eq_ignore_ascii_case(value))
                }
                _ => false,
            }
        })
    })
}

fn has_wildcard(wanted: &Value) -> bool {
    each(wanted).any(|wanted| wanted.contains(['*', '?']))
}

/// The texts of a value that may be one text or a list.
fn each(value: &Value) -> impl Iterator<Item = String> + '_ {
    let items = match value {
        Value::Array(items) => items.as_slice(),
        Value::Null => &[],
        single => std::slice::from_ref(single),
    };
    items.iter().map(|item| match item {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    })
}

/// Whether a text fits a pattern with `*` and `?`.
pub(crate) fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut of) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while of < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, of));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[of] => {
                at += 1;
                of += 1;
            }
            _ => match &mut star {
                Some((place, taken)) => {
                    *taken += 1;
                    at = *place + 1;
                    of = *taken;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
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
            source: "arn:aws:events:us-east-1:123456789012:rule/r",
            account: "123456789012",
        };
        let allow = |principal: Value, condition: Value| json!({"Effect": "Allow", "Principal": principal, "Action": "sns:Publish", "Resource": "*", "Condition": condition});
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
            (vec![], false),
        ] {
            let policy = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
            assert_eq!(permits(Some(&policy), &sender), permitted, "{policy}");
        }
        assert!(!permits(None, &sender));
    }
}
