//! Retained messages: the last one of each topic, for those who subscribe later.
//!
//! A message is stored before its publisher gets an acknowledgement. Expired ones are
//! not shown, and stay until another one of their topic comes.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, RwLock};

use iotstack_local_kernel::{Commit, Message, Store, StoreError, Timestamp};
use iotstack_mqtt::topic::{Matching, has_wildcard, matches};
use iotstack_mqtt::wire::QoS as WireQoS;
use serde::{Deserialize, Serialize};

use crate::limits;
use crate::message::{expires, kernel_qos};
use crate::record::{self, Body};

/// The retained messages of all topics.
pub(crate) struct Retained {
    /// With the QoS of the packet, which may be 2 in the standard mode.
    messages: RwLock<BTreeMap<Arc<str>, (Message, WireQoS)>>,
}

/// There are as many retained messages as there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QuotaExceeded;

impl Retained {
    /// Reads what was stored.
    pub(crate) fn load(store: &Store) -> Result<Self, StoreError> {
        let records: Vec<(String, Record)> = store.load(TABLE)?;
        let mut messages = BTreeMap::new();
        for (topic, record) in records {
            let topic: Arc<str> = topic.into();
            if let Some(kept) = record.message(topic.clone()) {
                messages.insert(topic, kept);
            }
        }
        Ok(Retained { messages: RwLock::new(messages) })
    }

    /// Keeps a message as the one of its topic; one without payload removes it.
    pub(crate) fn keep(
        &self,
        message: &Message,
        qos: WireQoS,
        store: &Store,
    ) -> Result<Commit, QuotaExceeded> {
        let mut batch = store.batch();
        let mut messages = self.messages.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        if message.payload.is_empty() {
            messages.remove(&message.topic);
            batch.remove(TABLE, &*message.topic);
        } else {
            if messages.len() >= limits::RETAINED && !messages.contains_key(&message.topic) {
                return Err(QuotaExceeded);
            }
            messages.insert(message.topic.clone(), (message.clone(), qos));
            batch.put(TABLE, &*message.topic, &Record::of(message, qos));
        }
        Ok(store.commit(batch))
    }

    /// The message of one topic.
    pub(crate) fn of(&self, topic: &str, now: Timestamp) -> Option<(Message, WireQoS)> {
        let messages = self.messages.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        messages.get(topic).filter(|(message, _)| !is_expired(message, now)).cloned()
    }

    /// The messages that a filter matches, in the order of their topics.
    pub(crate) fn matching(
        &self,
        filter: &str,
        matching: Matching,
        now: Timestamp,
    ) -> Vec<(Message, WireQoS)> {
        if !has_wildcard(filter) {
            return self.of(filter, now).into_iter().collect();
        }
        // Topics that begin as the filter does stand together.
        let end = filter.find(['+', '#']).unwrap_or(filter.len());
        let beginning = filter[..end].strip_suffix('/').unwrap_or(&filter[..end]);
        let messages = self.messages.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        messages
            .range::<str, _>((Bound::Included(beginning), Bound::Unbounded))
            .take_while(|(topic, _)| topic.starts_with(beginning))
            .filter(|(topic, (message, _))| {
                matches(filter, topic, matching) && !is_expired(message, now)
            })
            .map(|(_, kept)| kept.clone())
            .collect()
    }

    /// All messages in the order of their topics.
    pub(crate) fn all(&self, now: Timestamp) -> Vec<Message> {
        let messages = self.messages.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        let kept = messages.values().map(|(message, _)| message);
        kept.filter(|message| !is_expired(message, now)).cloned().collect()
    }
}

/// A retained message in the state.
#[derive(Serialize, Deserialize)]
struct Record {
    #[serde(flatten)]
    body: Body,
    qos: u8,
    at: Timestamp,
}

impl Record {
    fn of(message: &Message, qos: WireQoS) -> Self {
        let body = Body::of(&message.payload, message.properties.as_deref());
        Record { body, qos: qos as u8, at: message.at }
    }

    /// `None` for a record that somebody has spoilt.
    fn message(self, topic: Arc<str>) -> Option<(Message, WireQoS)> {
        let (payload, properties) = self.body.open()?;
        let qos = record::qos(self.qos);
        let mut message = Message::new(topic, payload, self.at);
        message.qos = kernel_qos(qos);
        message.retain = true;
        message.properties = properties;
        Some((message, qos))
    }
}

fn is_expired(message: &Message, now: Timestamp) -> bool {
    let expiry = message.properties.as_ref().and_then(|each| each.expiry_seconds);
    expiry.is_some_and(|seconds| expires(message.at, seconds) <= now)
}

const TABLE: &str = "broker-retained";
