//! SQS as it was spoken to before it knew JSON: forms in, XML out.
//!
//! Older SDKs still do. Only the names differ: a form writes lists and maps flat and
//! in the singular (`Attribute.1.Name`), and so does the XML of an answer. Each is
//! brought to the names of today at the door, and back.

use iotstack_local_kernel::wire::query::flat;
use serde_json::{Map, Value, json};

/// The members of a form under their names of today.
pub(super) fn read_form(members: Map<String, Value>) -> Map<String, Value> {
    let mut found = Map::new();
    for (name, value) in members {
        let (name, value) = match name.as_str() {
            "Attribute" => ("Attributes", map(value)),
            "MessageAttribute" => ("MessageAttributes", value),
            "MessageSystemAttribute" => ("MessageSystemAttributes", value),
            "AttributeName" => ("AttributeNames", value),
            "MessageAttributeName" => ("MessageAttributeNames", value),
            "MessageSystemAttributeName" => ("MessageSystemAttributeNames", value),
            "TagKey" => ("TagKeys", value),
            "Tag" => {
                // CreateQueue and TagQueue spell it differently in JSON.
                found.insert("tags".to_owned(), value.clone());
                ("Tags", value)
            }
            "SendMessageBatchRequestEntry"
            | "DeleteMessageBatchRequestEntry"
            | "ChangeMessageVisibilityBatchRequestEntry" => ("Entries", entries(value)),
            other => (other, value),
        };
        found.insert(name.to_owned(), value);
    }
    found
}

/// The members of an answer under the names of its XML.
pub(super) fn show_xml(operation: &str, members: Value) -> Value {
    let Value::Object(members) = members else { return members };
    let mut found = Map::new();
    for (name, value) in members {
        let (name, value) = match (name.as_str(), value) {
            ("Attributes", value) => ("Attribute".to_owned(), pairs(value, ("Name", "Value"))),
            ("MessageAttributes", value) => {
                ("MessageAttribute".to_owned(), pairs(value, ("Name", "Value")))
            }
            ("Tags", value) => ("Tag".to_owned(), pairs(value, ("Key", "Value"))),
            ("QueueUrls" | "queueUrls", Value::Array(urls)) => ("QueueUrl".to_owned(), flat(urls)),
            ("Successful", Value::Array(done)) => (format!("{operation}ResultEntry"), flat(done)),
            ("Failed", Value::Array(failed)) => ("BatchResultErrorEntry".to_owned(), flat(failed)),
            ("Messages", Value::Array(messages)) => {
                let shown = messages.into_iter().map(|message| show_xml(operation, message));
                ("Message".to_owned(), flat(shown))
            }
            (name, value) => (name.to_owned(), value),
        };
        found.insert(name, value);
    }
    Value::Object(found)
}

/// A list of names with values as the map that it means.
fn map(list: Value) -> Value {
    let Value::Array(items) = list else { return list };
    let pair = |mut item: Value| match item["Name"].take() {
        Value::String(name) => (name, item["Value"].take()),
        // Refused by whoever reads the map, as no name is empty.
        _ => (String::new(), item),
    };
    Value::Object(items.into_iter().map(pair).collect())
}

fn entries(list: Value) -> Value {
    let Value::Array(items) = list else { return list };
    let entry = |item| match item {
        Value::Object(members) => Value::Object(read_form(members)),
        other => other,
    };
    items.into_iter().map(entry).collect()
}

/// A map as the list of pairs that it was.
fn pairs(map: Value, (key, value): (&str, &str)) -> Value {
    let Value::Object(members) = map else { return map };
    flat(members.into_iter().map(|(name, member)| json!({ key: name, value: member })))
}

/// The code that an error had, where that differs.
pub(super) fn former_code(code: &str) -> Option<&'static str> {
    Some(match code {
        "BatchEntryIdsNotDistinct" => "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
        "BatchRequestTooLong" => "AWS.SimpleQueueService.BatchRequestTooLong",
        "EmptyBatchRequest" => "AWS.SimpleQueueService.EmptyBatchRequest",
        "InvalidBatchEntryId" => "AWS.SimpleQueueService.InvalidBatchEntryId",
        "MessageNotInflight" => "AWS.SimpleQueueService.MessageNotInflight",
        "PurgeQueueInProgress" => "AWS.SimpleQueueService.PurgeQueueInProgress",
        "QueueDoesNotExist" => "AWS.SimpleQueueService.NonExistentQueue",
        "QueueNameExists" => "QueueAlreadyExists",
        "TooManyEntriesInBatchRequest" => "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
        _ => return None,
    })
}
