//! Event source mappings: queues whose messages a function gets.
//!
//! A task polls each queue as a client of SQS, hands a batch to the function and
//! deletes what it took; what fails comes back when its visibility ends. One batch
//! runs at a time. Streams and filter criteria are refused by name, and the
//! function's role is not asked whether it may read the queue.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use iotstack_local_kernel::{Call, Cloud, Commit, Fault, Reply, Timestamp, id, loose, page};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::{conflict, invalid, not_found};
use crate::name::FunctionName;
use crate::service::Lambda;

/// A mapping.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Mapping {
    pub(crate) id: String,
    /// The function's ARN, with the qualifier if it was given one.
    function: String,
    source: String,
    batch: u32,
    window_seconds: u32,
    enabled: bool,
    reports_failures: bool,
    modified: Timestamp,
}

impl Mapping {
    /// Takes over what a request says.
    fn apply(&mut self, lambda: &Lambda, input: &Map<String, Value>) -> Result<(), Fault> {
        if let Some(function) = loose::text(input, "FunctionName")? {
            let name = FunctionName::parse(&function, None)?;
            lambda.plan(&name)?;
            self.function = name.arn(&lambda.account);
        }
        if !loose::object(input, "FilterCriteria")?.is_empty() {
            return Err(invalid("the local cloud does not offer FilterCriteria"));
        }
        let fifo = self.source.ends_with(".fifo");
        let largest = if fifo { 10 } else { 10_000 };
        if let Some(batch) = loose::integer(input, "BatchSize")? {
            self.batch = within("BatchSize", batch, 1, largest)?;
        }
        if let Some(window) = loose::integer(input, "MaximumBatchingWindowInSeconds")? {
            self.window_seconds = within("MaximumBatchingWindowInSeconds", window, 0, 300)?;
        }
        if let Some(enabled) = loose::flag(input, "Enabled")? {
            self.enabled = enabled;
        }
        if input.contains_key("FunctionResponseTypes") {
            let types = loose::texts(input, "FunctionResponseTypes")?;
            self.reports_failures = types.iter().any(|kind| kind == "ReportBatchItemFailures");
        }
        self.modified = lambda.now();
        Ok(())
    }

    fn shown(&self, state: &str) -> Value {
        let types: &[&str] = if self.reports_failures { &["ReportBatchItemFailures"] } else { &[] };
        json!({
            "UUID": self.id,
            "BatchSize": self.batch,
            "MaximumBatchingWindowInSeconds": self.window_seconds,
            "EventSourceArn": self.source,
            "FunctionArn": self.function,
            "LastModified": self.modified.fractional_seconds(),
            "State": state,
            "StateTransitionReason": "USER_INITIATED",
            "FunctionResponseTypes": types,
        })
    }

    fn state(&self) -> &'static str {
        if self.enabled { "Enabled" } else { "Disabled" }
    }
}

impl Lambda {
    pub(crate) fn create_mapping(self: &Arc<Self>, call: &Call) -> Result<(Reply, Commit), Fault> {
        let (mapping, commit) = self.make_mapping(&call.input)?;
        Ok((Reply::from(mapping.shown(mapping.state())).status(202), commit))
    }

    /// Makes a mapping and begins to poll.
    pub(crate) fn make_mapping(
        self: &Arc<Self>,
        input: &Map<String, Value>,
    ) -> Result<(Mapping, Commit), Fault> {
        let source = loose::required(input, "EventSourceArn")?;
        if !source.starts_with("arn:") || source.split(':').nth(2) != Some("sqs") {
            return Err(invalid(format!(
                "event source `{source}` must be the ARN of a queue; the local cloud has no streams for functions"
            )));
        }
        loose::required(input, "FunctionName")?;
        let mut mapping = Mapping {
            id: id::uuid(),
            function: String::new(),
            source,
            batch: 10,
            window_seconds: 0,
            enabled: true,
            reports_failures: false,
            modified: self.now(),
        };
        mapping.apply(self, input)?;
        let mut all = self.mappings();
        let same =
            |known: &&Mapping| known.source == mapping.source && known.function == mapping.function;
        if let Some(known) = all.values().find(same) {
            return Err(conflict(format!(
                "an event source mapping of `{}` to `{}` exists already with the UUID {}",
                known.source, known.function, known.id
            )));
        }
        let mut batch = self.store.batch();
        batch.put(MAPPINGS, mapping.id.as_str(), &mapping);
        all.insert(mapping.id.clone(), mapping.clone());
        // Handed in under the lock, so that changes are stored in their order.
        let commit = self.store.commit(batch);
        drop(all);
        self.poll(mapping.clone());
        Ok((mapping, commit))
    }

    pub(crate) fn get_mapping(&self, call: Call) -> Result<Reply, Fault> {
        let id = call.text("UUID")?;
        let all = self.mappings();
        let mapping = all.get(id).ok_or_else(unknown)?;
        Ok(mapping.shown(mapping.state()).into())
    }

    pub(crate) fn update_mapping(self: &Arc<Self>, call: &Call) -> Result<(Reply, Commit), Fault> {
        let (mapping, commit) = self.change_mapping(call.text("UUID")?, &call.input)?;
        Ok((Reply::from(mapping.shown(mapping.state())).status(202), commit))
    }

    /// Changes a mapping; it is polled anew.
    pub(crate) fn change_mapping(
        self: &Arc<Self>,
        id: &str,
        input: &Map<String, Value>,
    ) -> Result<(Mapping, Commit), Fault> {
        let mut all = self.mappings();
        let known = all.get_mut(id).ok_or_else(unknown)?;
        let mut mapping = known.clone();
        mapping.apply(self, input)?;
        *known = mapping.clone();
        let mut batch = self.store.batch();
        batch.put(MAPPINGS, id, &mapping);
        let commit = self.store.commit(batch);
        drop(all);
        self.poll(mapping.clone());
        Ok((mapping, commit))
    }

    pub(crate) fn delete_mapping(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let (mapping, commit) = self.remove_mapping(call.text("UUID")?)?;
        Ok((Reply::from(mapping.shown("Deleting")).status(202), commit))
    }

    /// Removes a mapping; its task ends by itself.
    pub(crate) fn remove_mapping(&self, id: &str) -> Result<(Mapping, Commit), Fault> {
        let mut all = self.mappings();
        let mapping = all.remove(id).ok_or_else(unknown)?;
        let mut batch = self.store.batch();
        batch.remove(MAPPINGS, id);
        Ok((mapping, self.store.commit(batch)))
    }

    pub(crate) fn list_mappings(&self, call: Call) -> Result<Reply, Fault> {
        let source = call.optional_text("EventSourceArn")?;
        let function = call
            .optional_text("FunctionName")?
            .map(|name| FunctionName::parse(name, None).map(|name| name.arn(&self.account)))
            .transpose()?;
        let all = self.mappings();
        let fitting = all.values().filter(|mapping| {
            source.is_none_or(|source| mapping.source == source)
                && function.as_ref().is_none_or(|function| mapping.function == *function)
        });
        let marker = call.optional_text("Marker")?;
        let (found, next) = page::page(fitting, |mapping| mapping.id.clone(), marker, 100)?;
        let shown: Vec<Value> =
            found.into_iter().map(|mapping| mapping.shown(mapping.state())).collect();
        Ok(json!({"EventSourceMappings": shown, "NextMarker": next}).into())
    }

    /// Begins to poll for a mapping, until it changes or goes.
    pub(crate) fn poll(self: &Arc<Self>, mapping: Mapping) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if mapping.enabled {
            runtime.spawn(poll(Arc::downgrade(self), mapping));
        }
    }

    /// Whether a mapping is still as its task knows it.
    fn stands(&self, mapping: &Mapping) -> bool {
        self.mappings().get(&mapping.id) == Some(mapping)
    }
}

async fn poll(lambda: Weak<Lambda>, mapping: Mapping) {
    let mut pause = Duration::from_millis(100);
    loop {
        let Some(alive) = lambda.upgrade().filter(|lambda| lambda.stands(&mapping)) else { return };
        let Ok(cloud) = alive.cloud() else { return };
        match one_batch(&alive, &cloud, &mapping).await {
            Ok(()) => pause = Duration::from_millis(100),
            Err(error) => {
                tracing::warn!(source = %mapping.source, %error, "a queue is not handed to its function");
                drop((alive, cloud));
                // The machine's time, as a queue that is missing may come soon.
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(10));
            }
        }
    }
}

/// Takes one batch from the queue through the function.
async fn one_batch(lambda: &Arc<Lambda>, cloud: &Cloud, mapping: &Mapping) -> Result<(), Fault> {
    let mut records: Vec<Value> = Vec::new();
    let wanted = usize::try_from(mapping.batch).unwrap_or(1);
    // A queue gives ten at a time; larger batches take what is there at once.
    while records.len() < wanted {
        let first = records.is_empty();
        let input = json!({
            "QueueUrl": mapping.source,
            "MaxNumberOfMessages": (wanted - records.len()).min(10),
            "WaitTimeSeconds": if first { 20 } else { 0 },
            "AttributeNames": ["All"],
            "MessageAttributeNames": ["All"],
        });
        let answer = sqs(cloud, "ReceiveMessage", input).await?;
        let found = answer["Messages"].as_array().cloned().unwrap_or_default();
        if found.is_empty() {
            break;
        }
        records.extend(found.iter().map(|message| record(message, mapping, lambda)));
    }
    if records.is_empty() || !lambda.stands(mapping) {
        // What was taken for a mapping that is gone comes back by itself.
        return Ok(());
    }
    let name = FunctionName::parse(&mapping.function, None)?;
    let payload = Bytes::from(json!({"Records": records}).to_string());
    let plan = lambda.plan(&name)?;
    let outcome = lambda.clone().run(plan, id::uuid(), payload, None, false).await?;
    if outcome.error.is_some() {
        return Ok(());
    }
    let failed: Vec<String> = match mapping.reports_failures {
        false => Vec::new(),
        true => serde_json::from_slice::<Value>(&outcome.payload)
            .unwrap_or_default()["batchItemFailures"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|failure| Some(failure["itemIdentifier"].as_str()?.to_owned()))
            .collect(),
    };
    let done: Vec<&Value> = records
        .iter()
        .filter(|record| !failed.iter().any(|id| record["messageId"] == id.as_str()))
        .collect();
    for chunk in done.chunks(10) {
        let entries: Vec<Value> = chunk
            .iter()
            .enumerate()
            .map(|(place, record)| {
                json!({"Id": place.to_string(), "ReceiptHandle": record["receiptHandle"]})
            })
            .collect();
        let input = json!({"QueueUrl": mapping.source, "Entries": entries});
        sqs(cloud, "DeleteMessageBatch", input).await?;
    }
    Ok(())
}

async fn sqs(cloud: &Cloud, operation: &str, input: Value) -> Result<Value, Fault> {
    let at = cloud.clock.now();
    let reply = cloud.services.call("sqs", operation, input, Bytes::new(), at).await?;
    Ok(reply.members().cloned().unwrap_or_default())
}

/// A message as functions know it.
fn record(message: &Value, mapping: &Mapping, lambda: &Lambda) -> Value {
    let attributes: Map<String, Value> = message["MessageAttributes"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, attribute)| {
            let shown = json!({
                "dataType": attribute["DataType"],
                "stringValue": attribute.get("StringValue"),
                "binaryValue": attribute.get("BinaryValue"),
            });
            (name.clone(), shown)
        })
        .collect();
    json!({
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "messageAttributes": attributes,
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": mapping.source,
        "awsRegion": lambda.account.region,
    })
}

fn within(member: &str, value: i64, least: i64, most: i64) -> Result<u32, Fault> {
    match u32::try_from(value) {
        Ok(found) if (least..=most).contains(&value) => Ok(found),
        _ => Err(invalid(format!("{member} must be {least} to {most}, not {value}"))),
    }
}

fn unknown() -> Fault {
    not_found("The resource you requested does not exist.")
}

/// Where mappings are stored.
pub(crate) const MAPPINGS: &str = "lambda-event-sources";
