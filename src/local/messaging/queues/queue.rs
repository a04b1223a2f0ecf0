//! A queue and its rules: who gets which message, and when again.
//!
//! All of this is state and rules: no wire, no store, no clock. The operations hand in
//! the time and store what came of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use iotstack_local_kernel::{Fault, Timestamp, id};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::Notify;

use super::attribute::{Attributes, Redrive, number, redrive};
use super::message::{Message, Outgoing, number_of};
use super::{OTHER_KIND, fault, invalid, refused};
use crate::policy::Guard;

/// A queue. Its messages are stored apart.
#[derive(Serialize, Deserialize)]
pub(super) struct Queue {
    pub(super) name: String,
    pub(super) attributes: Attributes,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) created: Timestamp,
    pub(super) modified: Timestamp,
    #[serde(skip)]
    messages: BTreeMap<u64, Message>,
    #[serde(skip)]
    last_number: u64,
    /// What FIFO queues have seen in the last five minutes, and what became of it.
    #[serde(skip)]
    seen: BTreeMap<String, Message>,
    /// The same in the order in which it came.
    #[serde(skip)]
    seen_when: VecDeque<(Timestamp, String)>,
    /// When it was emptied last.
    #[serde(skip)]
    purged: Option<Timestamp>,
    /// What the policy says, for as long as it is the same.
    #[serde(skip)]
    pub(super) guard: Guard,
    /// Wakes those who wait for a message.
    #[serde(skip)]
    pub(super) arrived: Arc<Notify>,
}

/// What a receiver found.
#[derive(Default)]
pub(super) struct Received {
    pub(super) messages: Vec<Message>,
    /// Messages that were received too often; they leave the queue.
    pub(super) dead: Vec<Message>,
    /// Messages that are too old.
    pub(super) expired: Vec<Message>,
}

/// How many messages there are.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) visible: usize,
    pub(super) delayed: usize,
    pub(super) in_flight: usize,
}

impl Queue {
    pub(super) fn new(name: &str, attributes: Attributes, now: Timestamp) -> Self {
        Queue {
            name: name.to_owned(),
            attributes,
            tags: BTreeMap::new(),
            created: now,
            modified: now,
            messages: BTreeMap::new(),
            last_number: 0,
            seen: BTreeMap::new(),
            seen_when: VecDeque::new(),
            purged: None,
            guard: Guard::default(),
            arrived: Arc::default(),
        }
    }

    pub(super) fn is_fifo(&self) -> bool {
        // Two dots would make a name that ends differently; one is the mark.
        self.name.ends_with(FIFO)
    }

    pub(super) fn redrive(&self) -> Option<Redrive> {
        redrive(self.attributes.get("RedrivePolicy")?)
    }

    pub(super) fn seconds(&self, attribute: &str) -> Duration {
        Duration::from_secs(number(&self.attributes, attribute).into())
    }

    /// Puts a message in; says whether it is new, or a double of one that came before.
    pub(super) fn put(
        &mut self,
        outgoing: Outgoing,
        now: Timestamp,
    ) -> Result<(Message, bool), Fault> {
        let limit = number(&self.attributes, "MaximumMessageSize") as usize;
        if outgoing.body.is_empty() {
            return Err(fault("MissingParameter", 400, "MessageBody must not be empty"));
        }
        if outgoing.size() > limit {
            return Err(invalid(format!(
                "One or more parameters are invalid. Reason: Message must be shorter than {limit} \
                 bytes."
            )));
        }
        if let Some(wrong) = outgoing.body.chars().find(|c| !is_allowed(*c)) {
            let message = format!("the message has the character {wrong:?}, which is not allowed");
            return Err(fault("InvalidMessageContents", 400, message));
        }
        if self.messages.len() >= MOST_MESSAGES {
            let message = format!("queue `{}` holds {MOST_MESSAGES} messages already", self.name);
            return Err(fault("OverLimit", 403, message));
        }
        let mut deduplication = None;
        if self.is_fifo() {
            if outgoing.group.is_none() {
                let message = "The request must contain the parameter MessageGroupId.";
                return Err(fault("MissingParameter", 400, message));
            }
            if let Some(delay) = outgoing.delay_seconds.filter(|delay| *delay > 0) {
                return Err(refused("DelaySeconds", delay, OTHER_KIND));
            }
            let by_content = self.attributes.get("ContentBasedDeduplication");
            let mark = match outgoing.deduplication.clone() {
                Some(mark) => mark,
                None if by_content.is_some_and(|value| value == "true") => {
                    id::hex(&Sha256::digest(outgoing.body.as_bytes()))
                }
                None => {
                    return Err(invalid(
                        "The queue should either have ContentBasedDeduplication enabled or \
                         MessageDeduplicationId provided explicitly",
                    ));
                }
            };
            let old = |(at, _): &mut (Timestamp, String)| now.since(*at) >= DOUBLES;
            while let Some((_, key)) = self.seen_when.pop_front_if(old) {
                self.seen.remove(&key);
            }
            let per_group = self
                .attributes
                .get("DeduplicationScope")
                .is_some_and(|scope| scope == "messageGroup");
            let group = if per_group { outgoing.group.as_deref().unwrap_or_default() } else { "" };
            let key = format!("{group}\0{mark}");
            if let Some(first) = self.seen.get(&key) {
                return Ok((first.clone(), false));
            }
            deduplication = Some((key, mark));
        }
        let delay = outgoing.delay_seconds.map_or_else(
            || self.seconds("DelaySeconds"),
            |delay| Duration::from_secs(delay.into()),
        );
        self.last_number += 1;
        let message = Message {
            number: self.last_number,
            id: id::uuid(),
            body: outgoing.body,
            attributes: outgoing.attributes,
            trace: outgoing.trace,
            sent: now,
            visible: now.after(delay),
            first_received: None,
            receives: 0,
            group: outgoing.group,
            deduplication: deduplication.as_ref().map(|(_, mark)| mark.clone()),
            source: None,
        };
        if let Some((key, _)) = deduplication {
            self.seen_when.push_back((now, key.clone()));
            self.seen.insert(key, message.clone());
        }
        self.messages.insert(message.number, message.clone());
        self.arrived.notify_waiters();
        Ok((message, true))
    }

    /// Takes a dead letter in, which keeps its age and its id.
    pub(super) fn bury(&mut self, mut message: Message, source: String, now: Timestamp) -> Message {
        self.last_number += 1;
        message.number = self.last_number;
        message.visible = now;
        message.receives = 0;
        message.source = Some(source);
        self.messages.insert(message.number, message.clone());
        self.arrived.notify_waiters();
        message
    }

    pub(super) fn restore(&mut self, message: Message) {
        self.last_number = self.last_number.max(message.number);
        self.messages.insert(message.number, message);
    }

    /// Takes up to `most` messages out of sight for a while.
    pub(super) fn receive(
        &mut self,
        most: usize,
        visibility: Duration,
        now: Timestamp,
    ) -> Received {
        let mut found = Received::default();
        let retention = self.seconds("MessageRetentionPeriod");
        let old: Vec<u64> = self
            .messages
            .values()
            .take_while(|message| message.sent <= now)
            .filter(|message| now.since(message.sent) > retention)
            .map(|message| message.number)
            .collect();
        found.expired = old.iter().filter_map(|number| self.messages.remove(number)).collect();
        let most_receives = self.redrive().map(|redrive| redrive.most_receives);
        let fifo = self.is_fifo();
        // Groups of which a message is out of sight wait for it.
        let mut busy: BTreeSet<String> = BTreeSet::new();
        let mut dead: Vec<u64> = Vec::new();
        for message in self.messages.values_mut() {
            if found.messages.len() >= most {
                break;
            }
            let group = message.group.clone().filter(|_| fifo);
            if group.as_ref().is_some_and(|group| busy.contains(group)) {
                continue;
            }
            if message.visible > now {
                busy.extend(group);
                continue;
            }
            if most_receives.is_some_and(|most| message.receives >= most) {
                dead.push(message.number);
                continue;
            }
            message.receives += 1;
            message.first_received.get_or_insert(now);
            message.visible = now.after(visibility);
            found.messages.push(message.clone());
        }
        found.dead = dead.iter().filter_map(|number| self.messages.remove(number)).collect();
        found
    }

    /// When the next message comes into sight.
    pub(super) fn next_visible(&self, now: Timestamp) -> Option<Timestamp> {
        self.messages.values().map(|message| message.visible).filter(|at| *at > now).min()
    }

    /// Deletes a message; one that is already gone is no error.
    pub(super) fn delete(&mut self, receipt: &str) -> Result<Option<Message>, Fault> {
        let (number, id) = number_of(receipt)?;
        let is_it = self.messages.get(&number).is_some_and(|message| message.id == id);
        Ok(if is_it { self.messages.remove(&number) } else { None })
    }

    /// Changes how long a message stays out of sight.
    pub(super) fn hide(
        &mut self,
        receipt: &str,
        visibility: Duration,
        now: Timestamp,
    ) -> Result<Message, Fault> {
        let (number, id) = number_of(receipt)?;
        let message = self.messages.get_mut(&number).filter(|message| message.id == id);
        let message = message
            .filter(|message| message.visible > now)
            .ok_or_else(|| fault("MessageNotInflight", 400, "the message is not out of sight"))?;
        message.visible = now.after(visibility);
        if visibility.is_zero() {
            self.arrived.notify_waiters();
        }
        Ok(message.clone())
    }

    /// Empties the queue, once in a minute.
    pub(super) fn purge(&mut self, now: Timestamp) -> Result<Vec<Message>, Fault> {
        if self.purged.is_some_and(|at| now.since(at) < BETWEEN_PURGES) {
            let message = format!(
                "Only one PurgeQueue operation on {} is allowed every {} seconds.",
                self.name,
                BETWEEN_PURGES.as_secs()
            );
            return Err(fault("PurgeQueueInProgress", 403, message));
        }
        self.purged = Some(now);
        Ok(self.empty())
    }

    /// Takes all messages out.
    pub(super) fn empty(&mut self) -> Vec<Message> {
        self.seen.clear();
        self.seen_when.clear();
        std::mem::take(&mut self.messages).into_values().collect()
    }

    pub(super) fn counts(&self, now: Timestamp) -> Counts {
        let mut counts = Counts::default();
        for message in self.messages.values() {
            if message.visible <= now {
                counts.visible += 1;
            } else if message.receives > 0 {
                counts.in_flight += 1;
            } else {
                counts.delayed += 1;
            }
        }
        counts
    }
}

/// What XML 1.0 allows, which is what messages may hold.
fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// How the names of FIFO queues end.
pub(super) const FIFO: &str = ".fifo";

const BETWEEN_PURGES: Duration = Duration::from_secs(60);

const DOUBLES: Duration = Duration::from_secs(300);

const MOST_MESSAGES: usize = 120_000;
