//! The attributes of queues: which there are, what they accept, what they begin with.
//!
//! Attributes are texts, as on the wire; they are judged when they are set and read
//! as numbers where they are needed.

use std::collections::BTreeMap;

use iotstack_local_kernel::Fault;
use iotstack_local_kernel::policy::Policy;
use serde_json::Value;

use super::queue::FIFO;
use super::{fault, invalid, name_of};

/// Attributes that were set.
pub(super) type Attributes = BTreeMap<String, String>;

/// Where messages go that were received too often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Redrive {
    pub(super) target: String,
    pub(super) most_receives: u32,
}

/// Judges attributes; an empty text takes one away again. Dead letters go to a queue that
/// `is_queue` knows and that is of the same kind.
pub(super) fn judge(
    attributes: &Attributes,
    fifo: bool,
    is_queue: impl Fn(&str) -> bool,
) -> Result<(), Fault> {
    for (name, value) in attributes {
        let refuse = |wanted: &str| {
            let message = format!("attribute {name} must be {wanted}, not `{value}`");
            fault("InvalidAttributeValue", 400, message)
        };
        let known = NUMBERS.iter().find(|(known, ..)| known == name);
        if let Some((_, range, _)) = known {
            let is_fit = value.parse().is_ok_and(|value: u32| range.contains(&value));
            if !is_fit {
                return Err(refuse(&format!("{} to {}", range.start(), range.end())));
            }
            continue;
        }
        let value = value.as_str();
        let flag = matches!(value, "true" | "false");
        let (is_fit, wanted) = match name.as_str() {
            "FifoQueue" => (fifo && value == "true", "true, and for FIFO queues alone"),
            "ContentBasedDeduplication" => {
                (fifo && flag, "true or false, and for FIFO queues alone")
            }
            "SqsManagedSseEnabled" => (flag, "true or false"),
            "DeduplicationScope" => (
                fifo && matches!(value, "queue" | "messageGroup"),
                "queue or messageGroup, and for FIFO queues alone",
            ),
            "FifoThroughputLimit" => (
                fifo && matches!(value, "perQueue" | "perMessageGroupId"),
                "perQueue or perMessageGroupId, and for FIFO queues alone",
            ),
            "Policy" if value.is_empty() => (true, ""),
            "Policy" => match Policy::parse_resource(value) {
                Ok(_) => (true, ""),
                Err(problem) => return Err(refuse(&format!("a policy ({problem})"))),
            },
            "RedrivePolicy" => (
                value.is_empty() || redrive(value).is_some(),
                "an object with deadLetterTargetArn and a maxReceiveCount of 1 to 1000",
            ),
            "RedriveAllowPolicy" => (
                value.is_empty()
                    || serde_json::from_str::<Value>(value).is_ok_and(|v| v.is_object()),
                "a JSON object",
            ),
            "KmsMasterKeyId" => (true, ""),
            _ => {
                return Err(unknown(name));
            }
        };
        if !is_fit {
            return Err(refuse(wanted));
        }
    }
    match attributes.get("RedrivePolicy").and_then(|policy| redrive(policy)) {
        Some(Redrive { target, .. }) if !is_queue(&target) => Err(invalid(format!(
            "RedrivePolicy names `{target}` in deadLetterTargetArn, and there is no such queue"
        ))),
        Some(Redrive { target, .. }) if target.ends_with(FIFO) != fifo => Err(invalid(format!(
            "RedrivePolicy names `{target}` in deadLetterTargetArn: dead letters of FIFO queues \
             go to FIFO queues, those of standard queues to standard queues"
        ))),
        _ => Ok(()),
    }
}

pub(super) fn unknown(name: &str) -> Fault {
    fault("InvalidAttributeName", 400, format!("Unknown Attribute {name}."))
}

/// Writes the count of a redrive policy as the number that it is.
pub(super) fn normalize(attributes: &mut Attributes) {
    let Some(text) = attributes.get_mut("RedrivePolicy") else { return };
    let Ok(mut policy) = serde_json::from_str::<Value>(text) else { return };
    let count = policy["maxReceiveCount"].as_str().and_then(|count| count.parse::<u32>().ok());
    if let Some(count) = count {
        policy["maxReceiveCount"] = count.into();
        *text = policy.to_string();
    }
}

/// A number among the attributes, or what it is without being set.
pub(super) fn number(attributes: &Attributes, name: &str) -> u32 {
    let default = NUMBERS.iter().find(|(known, ..)| *known == name).map_or(0, |(.., value)| *value);
    attributes.get(name).and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// The dead-letter queue that a policy names.
pub(super) fn redrive(policy: &str) -> Option<Redrive> {
    let policy: Value = serde_json::from_str(policy).ok()?;
    let target = policy["deadLetterTargetArn"].as_str()?;
    let most = match &policy["maxReceiveCount"] {
        Value::Number(number) => number.as_u64()?,
        Value::String(text) => text.parse().ok()?,
        _ => return None,
    };
    let most_receives = u32::try_from(most).ok().filter(|most| (1..=1000).contains(most))?;
    Some(Redrive { target: name_of(target).to_owned(), most_receives })
}

/// What GetQueueAttributes shows of attributes that were never set.
pub(super) fn defaults(fifo: bool) -> Attributes {
    let mut found: Attributes = NUMBERS
        .iter()
        .filter(|(name, ..)| *name != "KmsDataKeyReusePeriodSeconds")
        .map(|(name, _, value)| ((*name).to_owned(), value.to_string()))
        .collect();
    found.insert("SqsManagedSseEnabled".to_owned(), "true".to_owned());
    if fifo {
        for (name, value) in [
            ("FifoQueue", "true"),
            ("ContentBasedDeduplication", "false"),
            ("DeduplicationScope", "queue"),
            ("FifoThroughputLimit", "perQueue"),
        ] {
            found.insert(name.to_owned(), value.to_owned());
        }
    }
    found
}

type Number = (&'static str, std::ops::RangeInclusive<u32>, u32);

const NUMBERS: &[Number] = &[
    ("DelaySeconds", 0..=900, 0),
    ("KmsDataKeyReusePeriodSeconds", 60..=86_400, 300),
    ("MaximumMessageSize", 1024..=1_048_576, 1_048_576),
    ("MessageRetentionPeriod", 60..=1_209_600, 345_600),
    ("ReceiveMessageWaitTimeSeconds", 0..=20, 0),
    ("VisibilityTimeout", 0..=43_200, 30),
];
