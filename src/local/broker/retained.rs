//! Retained messages: the last one of each topic, for those who subscribe later.
//!
//! A message is stored before its publisher gets an acknowledgement. Its payload is
//! written in base64 because records of the state are JSON.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use iotstack_local_kernel::{Commit, Message, Properties, QoS, Store, StoreError, Timestamp};
use iotstack_mqtt::topic::{Matching, has_wildcard, matches};
use iotstack_mqtt::wire::QoS as WireQoS;
use serde::{Deserialize, Serialize};

use crate::limits;
use crate::message::expires;

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
            let qos = record.qos();
            if let Some(message) = record.message(topic.clone()) {
                messages.insert(topic, (message, qos));
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
    payload: String,
    qos: u8,
    at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    properties: Option<StoredProperties>,
}

#[derive(Serialize, Deserialize)]
struct StoredProperties {
    payload_is_text: Option<bool>,
    content_type: Option<String>,
    response_topic: Option<String>,
    correlation_data: Option<String>,
    expiry_seconds: Option<u32>,
    user: Vec<(String, String)>,
}

impl Record {
    fn of(message: &Message, qos: WireQoS) -> Self {
        Record {
            payload: BASE64.encode(&message.payload),
            qos: qos as u8,
            at: message.at,
            properties: message.properties.as_deref().map(|properties| StoredProperties {
                payload_is_text: properties.payload_is_text,
                content_type: properties.content_type.clone(),
                response_topic: properties.response_topic.clone(),
                correlation_data: properties
                    .correlation_data
                    .as_ref()
                    .map(|each| BASE64.encode(each)),
                expiry_seconds: properties.expiry_seconds,
                user: properties.user.clone(),
            }),
        }
    }

    fn qos(&self) -> WireQoS {
        match self.qos {
            0 => WireQoS::AtMostOnce,
            1 => WireQoS::AtLeastOnce,
            _ => WireQoS::ExactlyOnce,
        }
    }

    /// `None` for a record that somebody has spoilt.
    fn message(self, topic: Arc<str>) -> Option<Message> {
        let mut message = Message::new(topic, BASE64.decode(self.payload).ok()?, self.at);
        message.qos = if self.qos == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
        message.retain = true;
        message.properties = self.properties.map(|stored| {
            Arc::new(Properties {
                payload_is_text: stored.payload_is_text,
                content_type: stored.content_type,
                response_topic: stored.response_topic,
                correlation_data: stored
                    .correlation_data
                    .and_then(|each| BASE64.decode(each).ok())
                    .map(Into::into),
                expiry_seconds: stored.expiry_seconds,
                user: stored.user,
            })
        });
        Some(message)
    }
}

fn is_expired(message: &Message, now: Timestamp) -> bool {
    let expiry = message.properties.as_ref().and_then(|each| each.expiry_seconds);
    expiry.is_some_and(|seconds| expires(message.at, seconds) <= now)
}

const TABLE: &str = "broker-retained";
