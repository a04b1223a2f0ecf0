//! Publishing, one message or ten at a time.

use std::collections::BTreeSet;
use std::sync::Arc;

use iotstack_local_kernel::{Call, Fault, Reply, loose};
use serde_json::{Map, Value, json};

use super::delivery::Publication;
use super::{Topics, invalid, no_topic};
use crate::queues::message::attributes;

impl Topics {
    pub(super) async fn publish_call(self: Arc<Self>, call: Call) -> Result<Reply, Fault> {
        if loose::text(&call.input, "PhoneNumber")?.is_some() {
            return Err(invalid("the local cloud sends no text messages"));
        }
        let arn = match loose::text(&call.input, "TopicArn")? {
            Some(arn) => arn,
            None => loose::required(&call.input, "TargetArn")
                .map_err(|_| invalid("give a TopicArn or a TargetArn"))?,
        };
        let published = self.publish_message(&arn, read(&call.input)?).await?;
        Ok(json!({"MessageId": published.id, "SequenceNumber": published.sequence}).into())
    }

    pub(super) async fn publish_batch(self: Arc<Self>, call: Call) -> Result<Reply, Fault> {
        let arn = loose::required(&call.input, "TopicArn")?;
        let entries = loose::list(&call.input, "PublishBatchRequestEntries")?;
        let refuse = |code: &str, message: &str| Err(Fault::new(code, 400, message));
        if entries.is_empty() {
            return refuse("EmptyBatchRequest", "The batch request doesn't contain any entries.");
        }
        if entries.len() > 10 {
            let message = "The batch request contains more entries than permissible.";
            return refuse("TooManyEntriesInBatchRequest", message);
        }
        let topic = self.state().topics.get(&arn).cloned().ok_or_else(no_topic)?;
        let mut ids = BTreeSet::new();
        let mut publications: Vec<(String, Result<Publication, Fault>)> = Vec::new();
        for entry in entries {
            let Value::Object(entry) = entry else {
                return Err(invalid("an entry must be an object"));
            };
            let id = loose::required(&entry, "Id")?;
            let is_fit = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if id.len() > 80 || !id.chars().all(is_fit) {
                let message = "The Id of a batch entry in a batch request doesn't abide by the specification.";
                return refuse("InvalidBatchEntryId", message);
            }
            if !ids.insert(id.clone()) {
                let message = "Two or more batch entries in the request have the same Id.";
                return refuse("BatchEntryIdsNotDistinct", message);
            }
            let publication = read(&entry);
            // What a FIFO topic lacks fails the whole batch, and nothing of it is sent.
            if let Ok(publication) = &publication {
                publication.judge_order(&topic)?;
            }
            publications.push((id, publication));
        }
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        for (id, publication) in publications {
            let outcome = match publication {
                Ok(publication) => self.publish_message(&arn, publication).await,
                Err(fault) => Err(fault),
            };
            match outcome {
                Ok(published) => done.push(json!({
                    "Id": id, "MessageId": published.id, "SequenceNumber": published.sequence,
                })),
                Err(fault) => failed.push(json!({
                    "Id": id, "Code": fault.code, "Message": fault.message,
                    "SenderFault": fault.status < 500,
                })),
            }
        }
        Ok(json!({"Successful": done, "Failed": failed}).into())
    }
}

/// A message of a request, or of an entry of a batch.
fn read(input: &Map<String, Value>) -> Result<Publication, Fault> {
    let per_protocol = match loose::text(input, "MessageStructure")?.as_deref() {
        None | Some("") => false,
        Some("json") => true,
        Some(other) => {
            return Err(invalid(format!("MessageStructure must be json, not `{other}`")));
        }
    };
    let attributes = attributes(input, "MessageAttributes")
        .map_err(|fault| Fault::new("ParameterValueInvalid", 400, fault.message))?;
    Ok(Publication {
        message: loose::text(input, "Message")?.unwrap_or_default(),
        subject: loose::text(input, "Subject")?,
        per_protocol,
        attributes,
        group: loose::text(input, "MessageGroupId")?,
        deduplication: loose::text(input, "MessageDeduplicationId")?,
    })
}
