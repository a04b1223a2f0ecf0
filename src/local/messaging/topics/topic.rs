//! Topics and subscriptions, as they are kept, and what their attributes accept.
//!
//! What an attribute, a protocol or an endpoint may be is judged here, before a topic
//! or a subscription changes.

use std::collections::BTreeMap;

use iotstack_local_kernel::Fault;
use iotstack_local_kernel::policy::Policy;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::invalid;
use crate::pattern::Pattern;
use crate::policy::Guard;

/// A topic.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Topic {
    pub(super) arn: String,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) tags: BTreeMap<String, String>,
    /// Counts messages, for those in order.
    pub(super) sequence: u64,
    /// What the policy says, for as long as it is the same.
    #[serde(skip)]
    pub(super) guard: Guard,
}

/// A subscription.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Subscription {
    pub(super) arn: String,
    pub(super) topic: String,
    pub(super) protocol: String,
    pub(super) endpoint: String,
    pub(super) attributes: BTreeMap<String, String>,
    /// Set until the endpoint has confirmed.
    pub(super) token: Option<String>,
}

impl Topic {
    pub(super) fn is_fifo(&self) -> bool {
        self.arn.ends_with(FIFO)
    }

    pub(super) fn is_set(&self, attribute: &str) -> bool {
        self.attributes.get(attribute).is_some_and(|value| value == "true")
    }
}

impl Subscription {
    pub(super) fn is_raw(&self) -> bool {
        self.attributes.get("RawMessageDelivery").is_some_and(|value| value == "true")
    }

    /// Whether a message fits its filter policy. Numbers of `attributes` are [`rounded`].
    pub(super) fn wants(&self, attributes: &Value, body: &str) -> bool {
        let Some(policy) = self.attributes.get("FilterPolicy") else { return true };
        let Ok(policy) = serde_json::from_str(policy) else { return true };
        let Ok(pattern) = Pattern::of(&rounded(policy)) else { return true };
        if !is_of_body(&self.attributes) {
            return pattern.fits(attributes);
        }
        serde_json::from_str(body).is_ok_and(|body: Value| pattern.fits(&rounded(body)))
    }
}

/// Judges the name of a topic.
pub(super) fn judge_name(name: &str) -> Result<(), Fault> {
    let plain = name.strip_suffix(FIFO).unwrap_or(name);
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if plain.is_empty() || name.len() > 256 || !plain.bytes().all(is_word) {
        return Err(invalid(format!(
            "topic name `{name}` must be 1 to 256 letters, digits, hyphens and underscores"
        )));
    }
    Ok(())
}

/// Judges an attribute of a topic.
pub(super) fn judge_topic(name: &str, value: &str, fifo: bool) -> Result<(), Fault> {
    if name == "Policy" {
        return Policy::parse_resource(value)
            .map(drop)
            .map_err(|problem| invalid(format!("attribute Policy is no policy: {problem}")));
    }
    let is_fit = match name {
        "DisplayName" => value.chars().count() <= 100,
        "DeliveryPolicy" => value.is_empty() || serde_json::from_str::<Value>(value).is_ok(),
        "KmsMasterKeyId" => true,
        "FifoTopic" => (value == "true") == fifo,
        "ContentBasedDeduplication" => fifo && matches!(value, "true" | "false"),
        "FifoThroughputScope" => fifo && matches!(value, "Topic" | "MessageGroup"),
        "SignatureVersion" => matches!(value, "1" | "2"),
        "TracingConfig" => matches!(value, "PassThrough" | "Active"),
        _ if name.contains("FeedbackRoleArn") || name.contains("FeedbackSampleRate") => true,
        _ => return Err(invalid(format!("topics have no attribute {name}"))),
    };
    if is_fit { Ok(()) } else { Err(invalid(format!("attribute {name} does not take `{value}`"))) }
}

/// Judges an attribute of a subscription.
pub(super) fn judge_subscription(name: &str, value: &str) -> Result<(), Fault> {
    match name {
        "RawMessageDelivery" if matches!(value, "true" | "false") => Ok(()),
        "FilterPolicyScope" if matches!(value, "MessageAttributes" | "MessageBody") => Ok(()),
        "FilterPolicy" if value.is_empty() || value == "{}" => Ok(()),
        "FilterPolicy" => Pattern::parse(value)
            .map(drop)
            .map_err(|problem| invalid(format!("FilterPolicy: {problem}"))),
        "RedrivePolicy" if value.is_empty() => Ok(()),
        "RedrivePolicy" => {
            let policy: Value = serde_json::from_str(value).unwrap_or_default();
            match policy["deadLetterTargetArn"].as_str() {
                Some(arn) if arn.contains(":sqs:") => Ok(()),
                _ => Err(invalid("RedrivePolicy must name a queue in deadLetterTargetArn")),
            }
        }
        "DeliveryPolicy" => Ok(()),
        "RawMessageDelivery" | "FilterPolicyScope" => {
            Err(invalid(format!("attribute {name} does not take `{value}`")))
        }
        "SubscriptionRoleArn" => Err(invalid("the local cloud has no delivery streams")),
        _ => Err(invalid(format!("subscriptions have no attribute {name}"))),
    }
}

/// Judges the filter policy that a subscription would have, by its scope.
pub(super) fn judge_filter(attributes: &BTreeMap<String, String>) -> Result<(), Fault> {
    let policy = attributes.get("FilterPolicy").map(|policy| serde_json::from_str(policy));
    let Some(Ok(Value::Object(policy))) = policy else { return Ok(()) };
    if !is_of_body(attributes) && policy.values().any(Value::is_object) {
        return Err(invalid(
            "Invalid parameter: Filter policy scope MessageAttributes does not support nested \
             filter policy",
        ));
    }
    let refuse = |what: &str| Err(invalid(format!("Invalid parameter: FilterPolicy: {what}")));
    if policy.len() > MOST_KEYS {
        return refuse("Filter policy can not have more than 5 keys");
    }
    if combinations(&policy, 1) > MOST_COMBINATIONS {
        return refuse("Filter policy is too complex");
    }
    Ok(())
}

/// How complex AWS takes a filter policy for: values, by how deep they lie, multiplied.
fn combinations(members: &Map<String, Value>, depth: usize) -> usize {
    let of_member = |(name, value): (&String, &Value)| match value {
        Value::Object(below) => combinations(below, depth + 1),
        Value::Array(items) if name == "$or" => {
            items.iter().filter_map(Value::as_object).map(|item| combinations(item, depth)).sum()
        }
        Value::Array(items) => items.len() * depth,
        _ => 1,
    };
    members.iter().map(of_member).fold(1, usize::saturating_mul)
}

fn is_of_body(attributes: &BTreeMap<String, String>) -> bool {
    attributes.get("FilterPolicyScope").is_some_and(|scope| scope == "MessageBody")
}

/// Numbers count with five digits after the point, in policies and in messages.
pub(super) fn rounded(mut value: Value) -> Value {
    match &mut value {
        Value::Number(number) => {
            let exact = number.as_f64().filter(|number| number.fract() != 0.0);
            if let Some(exact) = exact {
                value = json!((exact * 1e5).round() / 1e5);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = rounded(item.take())),
        Value::Object(members) => {
            members.values_mut().for_each(|member| *member = rounded(member.take()));
        }
        _ => {}
    }
    value
}

/// Judges the tags that a topic would have.
pub(super) fn judge_tags(tags: &BTreeMap<String, String>) -> Result<(), Fault> {
    if tags.len() > MOST_TAGS {
        let message = "Could not complete request: tag quota of per resource exceeded";
        return Err(Fault::new("TagLimitExceeded", 400, message));
    }
    Ok(())
}

/// The delivery policy of a topic, with what it does not say.
pub(super) fn effective_delivery(policy: Option<&String>) -> String {
    let mut effective = json!({"http": {
        "defaultHealthyRetryPolicy": {
            "minDelayTarget": 20,
            "maxDelayTarget": 20,
            "numRetries": 3,
            "numMaxDelayRetries": 0,
            "numNoDelayRetries": 0,
            "numMinDelayRetries": 0,
            "backoffFunction": "linear",
        },
        "disableSubscriptionOverrides": false,
        "defaultRequestPolicy": {"headerContentType": "text/plain; charset=UTF-8"},
    }});
    let policy = policy.and_then(|policy| serde_json::from_str(policy).ok());
    overlay(&mut effective, policy.unwrap_or(Value::Null));
    effective.to_string()
}

fn overlay(below: &mut Value, above: Value) {
    match (below, above) {
        (_, Value::Null) => {}
        (Value::Object(below), Value::Object(above)) => {
            for (name, value) in above {
                overlay(below.entry(name).or_insert(Value::Null), value);
            }
        }
        (below, above) => *below = above,
    }
}

/// Judges protocol and endpoint of a subscription.
pub(super) fn judge_endpoint(protocol: &str, endpoint: &str, fifo: bool) -> Result<(), Fault> {
    let is_arn_of =
        |service: &str| endpoint.starts_with("arn:") && endpoint.split(':').nth(2) == Some(service);
    let is_fit = match protocol {
        "sqs" => is_arn_of("sqs"),
        "lambda" => is_arn_of("lambda"),
        "http" => return super::http_endpoint::judge(endpoint),
        "https" => {
            return Err(invalid("the local cloud delivers to http endpoints of this machine only"));
        }
        "email" | "email-json" => endpoint.split_once('@').is_some_and(|(name, host)| {
            !name.is_empty() && host.contains('.') && !endpoint.contains(char::is_whitespace)
        }),
        "sms" => endpoint.trim_start_matches('+').bytes().all(|byte| byte.is_ascii_digit()),
        "application" | "firehose" => {
            return Err(invalid(format!("the local cloud does not deliver to `{protocol}`")));
        }
        _ => return Err(invalid(format!("there is no protocol `{protocol}`"))),
    };
    if !is_fit && protocol == "sqs" {
        return Err(invalid("Invalid parameter: SQS endpoint ARN"));
    }
    if !is_fit {
        return Err(invalid(format!("endpoint `{endpoint}` does not fit protocol `{protocol}`")));
    }
    if fifo && protocol != "sqs" {
        return Err(invalid(format!("protocol is `{protocol}`: FIFO topics deliver to sqs only")));
    }
    if !fifo && protocol == "sqs" && endpoint.ends_with(FIFO) {
        return Err(invalid(
            "Invalid parameter: Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be \
             subscribed to standard SNS topics",
        ));
    }
    Ok(())
}

/// How the names of FIFO topics end.
pub(super) const FIFO: &str = ".fifo";

const MOST_TAGS: usize = 50;
const MOST_KEYS: usize = 5;
const MOST_COMBINATIONS: usize = 150;
