//! Batches: up to ten entries in one request, each for itself.
//!
//! An entry that is refused does not hold up the others. What is wrong with the
//! batch itself (no entries, too many, ids twice) refuses all of it.

use iotstack_local_kernel::{Call, Commit, Fault, Reply, loose};
use serde_json::{Map, Value, json};

use super::{Queues, fault, invalid};

impl Queues {
    /// Runs the entries of a batch, each for itself.
    pub(super) fn batch(
        &self,
        entries: Vec<Entry>,
        run: impl Fn(&Map<String, Value>) -> Result<(Map<String, Value>, Commit), Fault>,
    ) -> Result<(Reply, Commit), Fault> {
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        let mut last = None;
        for (id, entry) in entries {
            match run(&entry) {
                Ok((mut shown, commit)) => {
                    shown.insert("Id".to_owned(), json!(id));
                    done.push(Value::Object(shown));
                    // Batches are stored in order: the last one stands for all.
                    last = Some(commit);
                }
                Err(fault) if fault.code == "QueueDoesNotExist" => return Err(fault),
                Err(mut fault) => {
                    if fault.is_invalid_input() {
                        fault.code = "InvalidParameterValue".to_owned();
                    }
                    let sender = fault.status < 500;
                    failed.push(json!({
                        "Id": id, "Code": fault.code, "Message": fault.message, "SenderFault": sender,
                    }));
                }
            }
        }
        let commit = last.unwrap_or_else(|| self.store.commit(self.store.batch()));
        Ok((json!({"Successful": done, "Failed": failed}).into(), commit))
    }
}

/// An entry of a batch with its id.
pub(super) type Entry = (String, Map<String, Value>);

/// The entries of a batch with their ids.
pub(super) fn entries(call: &Call) -> Result<Vec<Entry>, Fault> {
    let refuse = |code: &str, message: String| Err(fault(code, 400, message));
    let items = loose::list(&call.input, "Entries")?;
    if items.is_empty() {
        let message =
            format!("There should be at least one {}RequestEntry in the request.", call.operation);
        return refuse("EmptyBatchRequest", message);
    }
    if items.len() > 10 {
        let message =
            format!("Maximum number of entries per request are 10. You have sent {}.", items.len());
        return refuse("TooManyEntriesInBatchRequest", message);
    }
    let mut found: Vec<Entry> = Vec::new();
    for item in items {
        let Value::Object(entry) = item else {
            return Err(invalid("an entry must be an object"));
        };
        let id = loose::text(&entry, "Id")?.unwrap_or_default();
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if id.is_empty() || id.len() > 80 || !id.bytes().all(is_word) {
            return refuse(
                "InvalidBatchEntryId",
                "A batch entry id can only contain alphanumeric characters, hyphens and \
                 underscores. It can be at most 80 letters long."
                    .to_owned(),
            );
        }
        if found.iter().any(|(known, _)| *known == id) {
            return refuse("BatchEntryIdsNotDistinct", format!("Id {id} repeated."));
        }
        found.push((id, entry));
    }
    Ok(found)
}
