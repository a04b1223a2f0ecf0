//! The reserved topics of shadows: get, update, delete.
//!
//! Unlike those of jobs these are ordinary messages to everybody else: whoever may
//! subscribe hears requests and answers alike, and topic rules do too. So a request
//! goes through the broker as well before it is answered.
//!
//! On one connection at most ten requests may wait for their answer; that can only
//! happen while the cloud waits for its disk.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use iotstack_local_kernel::{Cloud, Message, Publisher, Reserved};
use serde_json::{Value, json};

use super::document::with_token;
use super::request::{Update, token_of};
use super::{Address, Shadows};
use crate::error::{Error, Rejection};

/// Answers the topics of shadows.
pub struct ShadowTopics {
    cloud: Weak<Cloud>,
    shadows: Arc<Shadows>,
    waiting: Counts,
}

impl ShadowTopics {
    /// Answers with these shadows.
    pub fn new(cloud: &Arc<Cloud>, shadows: Arc<Shadows>) -> ShadowTopics {
        ShadowTopics { cloud: Arc::downgrade(cloud), shadows, waiting: Arc::default() }
    }

    fn answer(
        &self,
        cloud: &Arc<Cloud>,
        from: &Publisher,
        request: &Request<'_>,
        message: &Message,
    ) -> Result<(), Rejection> {
        let reject = |error| Rejection { error, token: None };
        let address = Address::new(request.thing, request.shadow).map_err(reject)?;
        let now = message.at;
        let payload = &message.payload;
        let (change, token, waiting) = match request.operation {
            "get" => {
                let token = token_of(payload)?;
                let answer = self.shadows.get(&address, now, token.as_deref());
                let answer = answer.map_err(|error| Rejection { error, token })?;
                address.publish(cloud, "get/accepted", &answer);
                return Ok(());
            }
            "delete" => {
                let token = token_of(payload)?;
                let waiting = self.admit(from, &token)?;
                (self.shadows.delete(&address, now, token.as_deref()), token, waiting)
            }
            _ => {
                let update = Update::read(payload)?;
                let waiting = self.admit(from, &update.token)?;
                (self.shadows.update(&address, &update, now), update.token, waiting)
            }
        };
        change.map_err(|error| Rejection { error, token })?.finish_later(waiting);
        Ok(())
    }

    /// Lets a request of the client in, if not too many are waiting.
    fn admit(&self, from: &Publisher, token: &Option<String>) -> Result<Waiting, Rejection> {
        let mut counts = self.waiting.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let count = counts.entry(from.client_id.clone()).or_default();
        if *count >= MOST_WAITING {
            return Err(Rejection { error: Error::Throttled, token: token.clone() });
        }
        *count += 1;
        Ok(Waiting { counts: self.waiting.clone(), client_id: from.client_id.clone() })
    }
}

/// How many requests of each client wait.
type Counts = Arc<Mutex<HashMap<Arc<str>, u32>>>;

/// A request that waits; counted until it is dropped.
struct Waiting {
    counts: Counts,
    client_id: Arc<str>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(count) = counts.get_mut(&self.client_id) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.client_id);
            }
        }
    }
}

impl Reserved for ShadowTopics {
    fn owns(&self, topic: &str) -> bool {
        Request::read(topic).is_some()
    }

    fn receive(&self, from: &Arc<Publisher>, message: &Message) {
        let Some(cloud) = self.cloud.upgrade() else { return };
        let Some(request) = Request::read(&message.topic) else { return };
        if let Ok(messages) = cloud.ports.messages() {
            // Nobody is named as its publisher, or it would come back here.
            messages.publish(Message { publisher: None, retain: false, ..message.clone() });
        }
        if let Err(Rejection { error, token }) = self.answer(&cloud, from, &request, message) {
            tracing::debug!(topic = %message.topic, %error, "shadow request rejected");
            let answer = json!({
                "code": error.code(),
                "message": error.to_string(),
                "timestamp": message.at.seconds(),
            });
            reject(&cloud, &message.topic, with_token(answer, token.as_deref()));
        }
    }
}

fn reject(cloud: &Cloud, topic: &str, answer: Value) {
    if let Ok(messages) = cloud.ports.messages() {
        let topic = format!("{topic}/rejected");
        messages.publish(Message::new(topic, answer.to_string(), cloud.clock.now()));
    }
}

/// The topic of a request, taken apart.
struct Request<'a> {
    thing: &'a str,
    shadow: Option<&'a str>,
    operation: &'static str,
}

impl<'a> Request<'a> {
    fn read(topic: &'a str) -> Option<Request<'a>> {
        let (thing, rest) = topic.strip_prefix("$aws/things/")?.split_once("/shadow/")?;
        let (shadow, operation) = match rest.strip_prefix("name/") {
            Some(named) => named.split_once('/').map(|(name, rest)| (Some(name), rest))?,
            None => (None, rest),
        };
        let operation = *["get", "update", "delete"].iter().find(|known| **known == operation)?;
        Some(Request { thing, shadow, operation })
    }
}

const MOST_WAITING: u32 = 10;
