//! Messages of queues, as they are kept and as they are shown.
//!
//! A message keeps its number, which orders it in its queue, and is stored for itself.
//! The digests are those that clients compute to check what they get.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use iotstack_local_kernel::{Fault, Timestamp, id, loose};
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{fault, invalid, refused};

/// A message in a queue.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(super) number: u64,
    pub(crate) id: String,
    pub(super) body: String,
    pub(super) attributes: BTreeMap<String, Attribute>,
    pub(super) trace: Option<String>,
    pub(super) sent: Timestamp,
    pub(super) visible: Timestamp,
    pub(super) first_received: Option<Timestamp>,
    pub(super) receives: u32,
    pub(super) group: Option<String>,
    pub(super) deduplication: Option<String>,
    /// Where it came from, if it is a dead letter.
    pub(super) source: Option<String>,
}

/// An attribute of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attribute {
    pub(crate) kind: String,
    /// The text; of binary ones in base64.
    pub(crate) value: String,
    pub(crate) binary: bool,
}

/// A message on its way into a queue.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outgoing {
    pub(crate) body: String,
    pub(crate) attributes: BTreeMap<String, Attribute>,
    pub(crate) trace: Option<String>,
    pub(crate) delay_seconds: Option<u32>,
    pub(crate) group: Option<String>,
    pub(crate) deduplication: Option<String>,
}

impl Outgoing {
    /// A message without attributes.
    pub(crate) fn plain(body: &str) -> Self {
        Outgoing { body: body.to_owned(), ..Outgoing::default() }
    }

    /// A message of a request, or of an entry of a batch.
    pub(super) fn read(input: &Map<String, Value>) -> Result<Self, Fault> {
        let delay = loose::integer(input, "DelaySeconds")?
            .map(|delay| match u32::try_from(delay) {
                Ok(delay) if delay <= 900 => Ok(delay),
                _ => Err(refused("DelaySeconds", delay, "DelaySeconds must be >= 0 and <= 900.")),
            })
            .transpose()?;
        let system = attributes(input, "MessageSystemAttributes")?;
        Ok(Outgoing {
            body: loose::text(input, "MessageBody")?.unwrap_or_default(),
            attributes: attributes(input, "MessageAttributes")?,
            trace: system.get("AWSTraceHeader").map(|attribute| attribute.value.clone()),
            delay_seconds: delay,
            group: loose::text(input, "MessageGroupId")?,
            deduplication: loose::text(input, "MessageDeduplicationId")?,
        })
    }

    /// The bytes that count against the queue's limit.
    pub(super) fn size(&self) -> usize {
        let attributes: usize = self
            .attributes
            .iter()
            .map(|(name, attribute)| name.len() + attribute.kind.len() + attribute.value.len())
            .sum();
        self.body.len() + attributes
    }
}

impl Message {
    /// Its key in the store.
    pub(super) fn key(&self, queue: &str) -> String {
        format!("{queue}\0{:020}", self.number)
    }

    /// What a receiver deletes it with.
    pub(super) fn receipt(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}/{}/{}", self.number, self.id, id::hex_digits(16)))
    }

    /// What a sender is told.
    pub(super) fn sent(&self) -> Map<String, Value> {
        let mut shown = Map::new();
        shown.insert("MessageId".to_owned(), json!(self.id));
        shown.insert("MD5OfMessageBody".to_owned(), json!(md5_of(self.body.as_bytes())));
        if !self.attributes.is_empty() {
            shown.insert("MD5OfMessageAttributes".to_owned(), json!(md5_of_all(&self.attributes)));
        }
        if self.group.is_some() {
            shown.insert("SequenceNumber".to_owned(), json!(self.sequence()));
        }
        shown
    }

    /// What a receiver gets: the attributes that it asked for.
    pub(super) fn shown(&self, system: &[String], wanted: &[String], owner: &str) -> Value {
        let mut shown = json!({
            "MessageId": self.id,
            "ReceiptHandle": self.receipt(),
            "MD5OfBody": md5_of(self.body.as_bytes()),
            "Body": self.body,
        });
        let all = system.iter().any(|name| name == "All");
        let values = [
            ("SenderId", Some(owner.to_owned())),
            ("SentTimestamp", Some(self.sent.millis().to_string())),
            ("ApproximateReceiveCount", Some(self.receives.to_string())),
            (
                "ApproximateFirstReceiveTimestamp",
                self.first_received.map(|at| at.millis().to_string()),
            ),
            ("SequenceNumber", self.group.is_some().then(|| self.sequence())),
            ("MessageGroupId", self.group.clone()),
            ("MessageDeduplicationId", self.deduplication.clone()),
            ("AWSTraceHeader", self.trace.clone()),
            ("DeadLetterQueueSourceArn", self.source.clone()),
        ];
        let attributes: Map<String, Value> = values
            .into_iter()
            .filter(|(name, _)| all || system.iter().any(|wanted| wanted == name))
            .filter_map(|(name, value)| Some((name.to_owned(), json!(value?))))
            .collect();
        if !attributes.is_empty() {
            shown["Attributes"] = Value::Object(attributes);
        }
        let is_wanted = |name: &str| {
            wanted.iter().any(|wanted| match wanted.strip_suffix(".*") {
                Some(prefix) => name.starts_with(prefix),
                None => wanted == "All" || wanted == ".*" || wanted == name,
            })
        };
        let found: BTreeMap<String, Attribute> = self
            .attributes
            .iter()
            .filter(|(name, _)| is_wanted(name))
            .map(|(name, attribute)| (name.clone(), attribute.clone()))
            .collect();
        if !found.is_empty() {
            shown["MD5OfMessageAttributes"] = json!(md5_of_all(&found));
            let members: Map<String, Value> =
                found.iter().map(|(name, attribute)| (name.clone(), attribute.shown())).collect();
            shown["MessageAttributes"] = Value::Object(members);
        }
        shown
    }

    fn sequence(&self) -> String {
        format!("{:020}", self.number)
    }
}

impl Attribute {
    fn shown(&self) -> Value {
        let member = if self.binary { "BinaryValue" } else { "StringValue" };
        let mut shown = json!({"DataType": self.kind});
        shown[member] = json!(self.value);
        shown
    }
}

/// The number that a receipt stands for.
pub(super) fn number_of(receipt: &str) -> Result<(u64, String), Fault> {
    let read = || {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(receipt).ok()?).ok()?;
        let mut parts = text.split('/');
        Some((parts.next()?.parse().ok()?, parts.next()?.to_owned()))
    };
    read().ok_or_else(|| {
        let message =
            format!("The input receipt handle \"{receipt}\" is not a valid receipt handle.");
        fault("ReceiptHandleIsInvalid", 400, message)
    })
}

/// Attributes of a message, by name. Lists come from forms.
pub(crate) fn attributes(
    input: &Map<String, Value>,
    member: &str,
) -> Result<BTreeMap<String, Attribute>, Fault> {
    let pairs: Vec<(String, Value)> = match input.get(member) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Object(members)) => members.clone().into_iter().collect(),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| {
                let name = item["Name"].as_str().unwrap_or_default().to_owned();
                (name, item["Value"].clone())
            })
            .collect(),
        Some(other) => return Err(invalid(format!("{member} must be a map, not {other}"))),
    };
    if pairs.len() > 10 && member == "MessageAttributes" {
        return Err(invalid(format!("a message has at most 10 attributes, not {}", pairs.len())));
    }
    let mut found = BTreeMap::new();
    for (name, value) in pairs {
        let Value::Object(value) = value else {
            return Err(invalid(format!("attribute `{name}` must be an object")));
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        if name.is_empty() || name.len() > 256 || !name.chars().all(plain) {
            return Err(invalid(format!(
                "The message attribute name '{name}' is invalid. Attribute name can contain A-Z, \
                 a-z, 0-9, underscore (_), hyphen (-), and period (.) characters."
            )));
        }
        let kind = loose::text(&value, "DataType")?.unwrap_or_default();
        let base = kind.split('.').next().unwrap_or_default();
        if !matches!(base, "String" | "Number" | "Binary") {
            return Err(invalid(format!(
                "The message attribute '{name}' has an invalid message attribute type, the set of \
                 supported type prefixes is Binary, Number, and String."
            )));
        }
        let binary = base == "Binary";
        let text = loose::text(&value, if binary { "BinaryValue" } else { "StringValue" })?;
        let text = text.filter(|text| !text.is_empty()).ok_or_else(|| {
            invalid(format!("attribute `{name}` of type `{kind}` must have a value"))
        })?;
        let is_fit = match base {
            "Number" => text.parse::<f64>().is_ok(),
            "Binary" => STANDARD.decode(&text).is_ok(),
            _ => true,
        };
        if !is_fit {
            return Err(invalid(format!("attribute `{name}` is no {base}: `{text}`")));
        }
        found.insert(name, Attribute { kind, value: text, binary });
    }
    Ok(found)
}

fn md5_of(bytes: &[u8]) -> String {
    id::hex(&Md5::digest(bytes))
}

/// AWS's digest over all attributes, in the order of their names.
fn md5_of_all(attributes: &BTreeMap<String, Attribute>) -> String {
    let mut hash = Md5::new();
    for (name, attribute) in attributes {
        let value = if attribute.binary {
            STANDARD.decode(&attribute.value).unwrap_or_default()
        } else {
            attribute.value.clone().into_bytes()
        };
        let parts = [name.as_bytes(), attribute.kind.as_bytes(), &value];
        for (place, part) in parts.into_iter().enumerate() {
            if place == 2 {
                // One byte says whether a text or bytes follow.
                hash.update([if attribute.binary { 2 } else { 1 }]);
            }
            hash.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            hash.update(part);
        }
    }
    id::hex(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_that_clients_compute() {
        assert_eq!(md5_of(b"hello"), "5d41402abc4b2a76b9719d911017c592");
        let one = Attribute { kind: "String".to_owned(), value: "v".to_owned(), binary: false };
        let all = BTreeMap::from_iter([("n".to_owned(), one)]);
        // Length and bytes of the name, of the type, and of the value after its kind.
        let mut expected: Vec<u8> = vec![0, 0, 0, 1, b'n', 0, 0, 0, 6];
        expected.extend(b"String");
        expected.extend([1, 0, 0, 0, 1, b'v']);
        assert_eq!(md5_of_all(&all), md5_of(&expected));
    }
}
