//! The operations of SQS.
//!
//! Each takes the lock, changes the queue, hands the change to the store and waits for
//! it outside of the lock. Receiving waits for a message or for its time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use iotstack_local_kernel::{Call, Commit, Fault, Reply, loose, page};
use serde_json::{Map, Value, json};

use super::attribute::{Attributes, defaults, judge, normalize, unknown};
use super::batch::entries;
use super::message::{Message, Outgoing};
use super::queue::{FIFO, Queue, Received};
use super::{MESSAGES, OTHER_KIND, QUEUES, Queues, fault, invalid, name_of, no_queue, refused};
use crate::policy::Guard;

impl Queues {
    pub(super) fn create_queue(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let name = call.text("QueueName")?;
        let attributes = texts(&call.input, "Attributes")?;
        let tags = texts(&call.input, "tags")?;
        let commit = self.make(name, attributes, tags)?;
        Ok((json!({"QueueUrl": self.url(name)?}).into(), commit))
    }

    /// Makes a queue; the same one twice is one.
    pub(super) fn make(
        &self,
        name: &str,
        mut attributes: Attributes,
        tags: BTreeMap<String, String>,
    ) -> Result<Commit, Fault> {
        let fifo = name.ends_with(FIFO);
        let plain = name.strip_suffix(FIFO).unwrap_or(name);
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if plain.is_empty() || name.len() > 80 || !plain.bytes().all(is_word) {
            return Err(invalid(
                "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in \
                 length",
            ));
        }
        if !fifo && attributes.get("FifoQueue").is_some_and(|value| value == "true") {
            return Err(invalid(
                "The name of a FIFO queue can only include alphanumeric characters, hyphens, or \
                 underscores, must end with .fifo suffix and be 1 to 80 in length.",
            ));
        }
        check_tags(name, &tags)?;
        if !fifo && attributes.get("FifoQueue").is_some_and(|value| value == "false") {
            attributes.remove("FifoQueue");
        }
        if fifo && !attributes.contains_key("FifoQueue") {
            return Err(invalid(format!(
                "queue `{name}` ends with .fifo and needs FifoQueue=true"
            )));
        }
        let mut all = self.all();
        judge(&attributes, fifo, |queue| all.contains_key(queue))?;
        normalize(&mut attributes);
        attributes.retain(|_, value| !value.is_empty());
        if let Some(known) = all.get(name) {
            let value = |set: &Attributes, name: &String| {
                set.get(name).cloned().or_else(|| defaults(fifo).remove(name))
            };
            let mut there = known.attributes.clone();
            normalize(&mut there);
            let differs =
                attributes.keys().find(|name| value(&attributes, name) != value(&there, name));
            return match differs {
                None => Ok(self.store.commit(self.store.batch())),
                Some(attribute) => Err(fault(
                    "QueueNameExists",
                    400,
                    format!("queue `{name}` exists already with another {attribute}"),
                )),
            };
        }
        let mut queue = Queue::new(name, attributes, self.clock.now());
        queue.tags = tags;
        let mut batch = self.store.batch();
        batch.put(QUEUES, name, &queue);
        all.insert(name.to_owned(), queue);
        Ok(self.store.commit(batch))
    }

    pub(super) fn delete_queue(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        Ok((Reply::empty(), self.remove(name_of(call.text("QueueUrl")?))?))
    }

    /// Removes a queue with its messages.
    pub(super) fn remove(&self, name: &str) -> Result<Commit, Fault> {
        let mut all = self.all();
        let mut queue = all.remove(name).ok_or_else(no_queue)?;
        let mut batch = self.store.batch();
        batch.remove(QUEUES, name);
        for message in queue.empty() {
            batch.remove(MESSAGES, message.key(name));
        }
        // Those who wait find that it is gone.
        queue.arrived.notify_waiters();
        Ok(self.store.commit(batch))
    }

    pub(super) fn get_queue_url(&self, call: Call) -> Result<Reply, Fault> {
        let name = call.text("QueueName")?;
        if !self.all().contains_key(name) {
            return Err(no_queue());
        }
        Ok(json!({"QueueUrl": self.url(name)?}).into())
    }

    pub(super) fn list_queues(&self, call: Call) -> Result<Reply, Fault> {
        let prefix = call.optional_text("QueueNamePrefix")?.unwrap_or_default();
        let limit = most(&call, "MaxResults", 1000, 1000)?;
        let names: Vec<String> =
            self.all().keys().filter(|name| name.starts_with(prefix)).cloned().collect();
        let token = call.optional_text("NextToken")?;
        let (found, next) = page::page(names, Clone::clone, token, limit)?;
        let urls = found.iter().map(|name| self.url(name)).collect::<Result<Vec<_>, _>>()?;
        let mut shown = json!({"QueueUrls": urls});
        // Without MaxResults AWS gives no token.
        if call.input.contains_key("MaxResults") && next.is_some() {
            shown["NextToken"] = json!(next);
        }
        Ok(shown.into())
    }

    pub(super) fn get_attributes(&self, call: Call) -> Result<Reply, Fault> {
        let wanted = loose::texts(&call.input, "AttributeNames")?;
        let name = name_of(call.text("QueueUrl")?);
        let all = self.all();
        let queue = all.get(name).ok_or_else(no_queue)?;
        let mut shown = defaults(queue.is_fifo());
        shown.extend(queue.attributes.clone());
        if shown.contains_key("KmsMasterKeyId") {
            shown.insert("SqsManagedSseEnabled".to_owned(), "false".to_owned());
        }
        let counts = queue.counts(call.at);
        for (name, value) in [
            ("QueueArn", self.arn(name)),
            ("ApproximateNumberOfMessages", counts.visible.to_string()),
            ("ApproximateNumberOfMessagesDelayed", counts.delayed.to_string()),
            ("ApproximateNumberOfMessagesNotVisible", counts.in_flight.to_string()),
            ("CreatedTimestamp", queue.created.seconds().to_string()),
            ("LastModifiedTimestamp", queue.modified.seconds().to_string()),
        ] {
            shown.insert(name.to_owned(), value);
        }
        if !wanted.iter().any(|name| name == "All") {
            let known = [
                "Policy",
                "RedrivePolicy",
                "RedriveAllowPolicy",
                "KmsMasterKeyId",
                "FifoQueue",
                "KmsDataKeyReusePeriodSeconds",
                "ContentBasedDeduplication",
                "DeduplicationScope",
                "FifoThroughputLimit",
            ];
            if let Some(other) = wanted
                .iter()
                .find(|name| !shown.contains_key(*name) && !known.contains(&name.as_str()))
            {
                return Err(unknown(other));
            }
            shown.retain(|name, _| wanted.contains(name));
        }
        Ok(if shown.is_empty() { Reply::empty() } else { json!({"Attributes": shown}).into() })
    }

    pub(super) fn set_attributes(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let attributes = texts(&call.input, "Attributes")?;
        let commit = self.configure(name_of(call.text("QueueUrl")?), attributes, None)?;
        Ok((Reply::empty(), commit))
    }

    /// Changes attributes, and tags if there are any.
    pub(super) fn configure(
        &self,
        name: &str,
        mut attributes: Attributes,
        tags: Option<BTreeMap<String, String>>,
    ) -> Result<Commit, Fault> {
        self.judge(name, &attributes)?;
        if let Some(tags) = &tags {
            check_tags(name, tags)?;
        }
        normalize(&mut attributes);
        self.change(name, |queue| {
            queue.attributes.extend(attributes);
            queue.attributes.retain(|_, value| !value.is_empty());
            if let Some(tags) = tags {
                queue.tags = tags;
            }
            Ok(())
        })
    }

    /// Judges attributes for a queue that is there.
    pub(super) fn judge(&self, name: &str, attributes: &Attributes) -> Result<(), Fault> {
        let all = self.all();
        let queue = all.get(name).ok_or_else(no_queue)?;
        judge(attributes, queue.is_fifo(), |queue| all.contains_key(queue))
    }

    /// Changes a queue and stores it.
    pub(super) fn change(
        &self,
        name: &str,
        change: impl FnOnce(&mut Queue) -> Result<(), Fault>,
    ) -> Result<Commit, Fault> {
        let mut all = self.all();
        let queue = all.get_mut(name).ok_or_else(no_queue)?;
        change(queue)?;
        queue.guard = Guard::default();
        queue.modified = self.clock.now();
        let mut batch = self.store.batch();
        batch.put(QUEUES, name, &*queue);
        Ok(self.store.commit(batch))
    }

    pub(super) fn send_message(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let (message, commit) = self.accept(call.text("QueueUrl")?, &call.input)?;
        Ok((Value::Object(message.sent()).into(), commit))
    }

    /// Puts a client's message into a queue. Topics may also tell standard queues when two
    /// messages are the same; clients may not.
    fn accept(&self, queue: &str, input: &Map<String, Value>) -> Result<(Message, Commit), Fault> {
        let outgoing = Outgoing::read(input)?;
        if let Some(mark) = &outgoing.deduplication
            && !name_of(queue).ends_with(FIFO)
        {
            return Err(refused("MessageDeduplicationId", mark, OTHER_KIND));
        }
        self.put(queue, outgoing)
    }

    pub(super) fn send_batch(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let queue = call.text("QueueUrl")?.to_owned();
        let entries = entries(&call)?;
        if !self.all().contains_key(name_of(&queue)) {
            return Err(no_queue());
        }
        let size: usize = entries
            .iter()
            .map(|(_, entry)| Outgoing::read(entry).map_or(0, |outgoing| outgoing.size()))
            .sum();
        if size > LARGEST_BATCH {
            let message = format!(
                "Batch requests cannot be longer than {LARGEST_BATCH} bytes. You have sent {size} \
                 bytes."
            );
            return Err(fault("BatchRequestTooLong", 400, message));
        }
        self.batch(entries, |entry| {
            let (message, commit) = self.accept(&queue, entry)?;
            Ok((message.sent(), commit))
        })
    }

    pub(super) async fn receive(self: Arc<Self>, call: Call) -> Result<Reply, Fault> {
        let name = name_of(call.text("QueueUrl")?).to_owned();
        let most = most(&call, "MaxNumberOfMessages", 1, 10)?;
        let mut system = loose::texts(&call.input, "AttributeNames")?;
        system.extend(loose::texts(&call.input, "MessageSystemAttributeNames")?);
        let wanted = loose::texts(&call.input, "MessageAttributeNames")?;
        let visibility = seconds(&call.input, "VisibilityTimeout", 43_200)?;
        let wait = seconds(&call.input, "WaitTimeSeconds", 20)?;
        let mut deadline = None;
        loop {
            let (found, arrived, next, commit) = {
                let mut all = self.all();
                let queue = all.get_mut(&name).ok_or_else(no_queue)?;
                let now = self.clock.now();
                let visibility = visibility.unwrap_or_else(|| queue.seconds("VisibilityTimeout"));
                if deadline.is_none() {
                    let wait =
                        wait.unwrap_or_else(|| queue.seconds("ReceiveMessageWaitTimeSeconds"));
                    deadline = Some(now.after(wait));
                }
                let found = queue.receive(most, visibility, now);
                let arrived = queue.arrived.clone();
                // Registered under the lock, so that no arrival is missed.
                let arrived = arrived.notified_owned();
                let next = queue.next_visible(now);
                let redrive = queue.redrive();
                let commit = self.settle(&mut all, &name, &found, redrive, now);
                (found.messages, arrived, next, commit)
            };
            commit.stored().await?;
            let deadline = deadline.unwrap_or_default();
            if !found.is_empty() || self.clock.now() >= deadline {
                let shown: Vec<Value> = found
                    .iter()
                    .map(|message| message.shown(&system, &wanted, &self.account.id))
                    .collect();
                return Ok(if shown.is_empty() {
                    Reply::empty()
                } else {
                    json!({"Messages": shown}).into()
                });
            }
            let until = next.map_or(deadline, |next| next.min(deadline));
            tokio::select! {
                () = arrived => {}
                () = self.clock.sleep_until(until) => {}
            }
        }
    }

    /// Stores what a receive changed, and moves dead letters.
    fn settle(
        &self,
        all: &mut BTreeMap<String, Queue>,
        name: &str,
        found: &Received,
        redrive: Option<super::attribute::Redrive>,
        now: iotstack_local_kernel::Timestamp,
    ) -> Commit {
        let mut batch = self.store.batch();
        for message in &found.messages {
            batch.put(MESSAGES, message.key(name), message);
        }
        for message in found.expired.iter().chain(&found.dead) {
            batch.remove(MESSAGES, message.key(name));
        }
        let target = redrive.map(|redrive| redrive.target);
        if let Some(queue) = target.as_ref().and_then(|target| all.get_mut(target)) {
            for message in &found.dead {
                let buried = queue.bury(message.clone(), self.arn(name), now);
                batch.put(MESSAGES, buried.key(&queue.name), &buried);
            }
        } else if !found.dead.is_empty() {
            tracing::warn!(queue = name, lost = found.dead.len(), "the dead-letter queue is gone");
        }
        self.store.commit(batch)
    }

    pub(super) fn delete_message(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let commit = self.drop_message(call.text("QueueUrl")?, call.text("ReceiptHandle")?)?;
        Ok((Reply::empty(), commit))
    }

    pub(super) fn delete_batch(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let queue = call.text("QueueUrl")?.to_owned();
        self.batch(entries(&call)?, |entry| {
            let receipt = loose::required(entry, "ReceiptHandle")?;
            Ok((Map::new(), self.drop_message(&queue, &receipt)?))
        })
    }

    fn drop_message(&self, queue: &str, receipt: &str) -> Result<Commit, Fault> {
        let name = name_of(queue);
        let mut all = self.all();
        let found = all.get_mut(name).ok_or_else(no_queue)?;
        let mut batch = self.store.batch();
        if let Some(message) = found.delete(receipt)? {
            batch.remove(MESSAGES, message.key(name));
            // In a FIFO queue the next of its group may come now.
            found.arrived.notify_waiters();
        }
        Ok(self.store.commit(batch))
    }

    pub(super) fn change_visibility(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let commit = self.hide(call.text("QueueUrl")?, &call.input)?;
        Ok((Reply::empty(), commit))
    }

    pub(super) fn change_visibility_batch(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let queue = call.text("QueueUrl")?.to_owned();
        self.batch(entries(&call)?, |entry| Ok((Map::new(), self.hide(&queue, entry)?)))
    }

    fn hide(&self, queue: &str, input: &Map<String, Value>) -> Result<Commit, Fault> {
        let name = name_of(queue);
        let receipt = loose::required(input, "ReceiptHandle")?;
        let visibility = seconds(input, "VisibilityTimeout", 43_200)?
            .ok_or_else(|| fault("MissingParameter", 400, "VisibilityTimeout is required"))?;
        let mut all = self.all();
        let found = all.get_mut(name).ok_or_else(no_queue)?;
        let message = found.hide(&receipt, visibility, self.clock.now())?;
        let mut batch = self.store.batch();
        batch.put(MESSAGES, message.key(name), &message);
        Ok(self.store.commit(batch))
    }

    pub(super) fn purge(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let name = name_of(call.text("QueueUrl")?);
        let mut all = self.all();
        let queue = all.get_mut(name).ok_or_else(no_queue)?;
        let mut batch = self.store.batch();
        for message in queue.purge(self.clock.now())? {
            batch.remove(MESSAGES, message.key(name));
        }
        Ok((Reply::empty(), self.store.commit(batch)))
    }

    pub(super) fn list_sources(&self, call: Call) -> Result<Reply, Fault> {
        let name = name_of(call.text("QueueUrl")?);
        let names: Vec<String> = {
            let all = self.all();
            if !all.contains_key(name) {
                return Err(no_queue());
            }
            let feeds =
                |queue: &&Queue| queue.redrive().is_some_and(|redrive| redrive.target == name);
            all.values().filter(feeds).map(|queue| queue.name.clone()).collect()
        };
        let urls = names.iter().map(|name| self.url(name)).collect::<Result<Vec<_>, _>>()?;
        Ok(json!({"queueUrls": urls}).into())
    }

    pub(super) fn tag(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let tags = texts(&call.input, "Tags")?;
        if tags.is_empty() {
            let reason = "The request must contain the parameter Tags.";
            return Err(Fault::new("MissingParameter", 400, reason));
        }
        let commit = self.change(name_of(call.text("QueueUrl")?), |queue| {
            let mut together = queue.tags.clone();
            together.extend(tags);
            check_tags(&queue.name, &together)?;
            queue.tags = together;
            Ok(())
        })?;
        Ok((Reply::empty(), commit))
    }

    pub(super) fn untag(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let keys = loose::texts(&call.input, "TagKeys")?;
        if keys.is_empty() {
            return Err(invalid("Tag keys must be between 1 and 128 characters in length."));
        }
        let commit = self.change(name_of(call.text("QueueUrl")?), |queue| {
            queue.tags.retain(|key, _| !keys.contains(key));
            Ok(())
        })?;
        Ok((Reply::empty(), commit))
    }

    pub(super) fn list_tags(&self, call: Call) -> Result<Reply, Fault> {
        let name = name_of(call.text("QueueUrl")?);
        let all = self.all();
        let queue = all.get(name).ok_or_else(no_queue)?;
        Ok(json!({"Tags": queue.tags}).into())
    }
}

/// A queue has at most fifty tags.
fn check_tags(queue: &str, tags: &BTreeMap<String, String>) -> Result<(), Fault> {
    match tags.len() {
        0..=50 => Ok(()),
        _ => Err(invalid(format!("Too many tags added for queue {queue}."))),
    }
}

/// A map of texts.
pub(super) fn texts(input: &Map<String, Value>, member: &str) -> Result<Attributes, Fault> {
    Ok(loose::pairs(input, member, ("Key", "Value"))?.into_iter().collect())
}

fn seconds(
    input: &Map<String, Value>,
    member: &str,
    longest: i64,
) -> Result<Option<Duration>, Fault> {
    match loose::integer(input, member)? {
        None => Ok(None),
        Some(value) if (0..=longest).contains(&value) => {
            Ok(Some(Duration::from_secs(value.unsigned_abs())))
        }
        Some(value) => Err(invalid(format!("{member} must be 0 to {longest}, not {value}"))),
    }
}

fn most(call: &Call, member: &str, default: i64, most: i64) -> Result<usize, Fault> {
    let value = loose::integer(&call.input, member)?.unwrap_or(default);
    if !(1..=most).contains(&value) {
        return Err(invalid(format!("{member} must be 1 to {most}, not {value}")));
    }
    Ok(usize::try_from(value).unwrap_or(1))
}

/// What a batch may bring in all.
const LARGEST_BATCH: usize = 1_048_576;
