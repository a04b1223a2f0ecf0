//! Publications and how they reach their subscribers.
//!
//! Queues get a message before the publisher is answered, which keeps FIFO topics
//! in order; functions and HTTP endpoints get theirs afterwards. What cannot be
//! delivered goes to the subscription's dead-letter queue, if it has one.

use std::collections::BTreeMap;
use std::sync::Arc;

use iotstack_local_kernel::{Cloud, Commit, Fault, Timestamp, id};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::topic::{Subscription, Topic, rounded};
use super::{TOPICS, Topics, http_endpoint, invalid, no_topic};
use crate::queues::{Outgoing, message::Attribute};

/// A message on its way to a topic.
#[derive(Debug, Clone, Default)]
pub(super) struct Publication {
    pub(super) message: String,
    pub(super) subject: Option<String>,
    /// Whether the message is an object with one text per protocol.
    pub(super) per_protocol: bool,
    pub(super) attributes: BTreeMap<String, Attribute>,
    pub(super) group: Option<String>,
    pub(super) deduplication: Option<String>,
}

/// A message that a topic took.
pub(super) struct Published {
    pub(super) id: String,
    pub(super) sequence: Option<String>,
}

impl Publication {
    pub(super) fn plain(message: &str, subject: Option<&str>) -> Self {
        Publication {
            message: message.to_owned(),
            subject: subject.map(str::to_owned),
            ..Publication::default()
        }
    }

    fn judge(&self) -> Result<(), Fault> {
        if self.message.is_empty() {
            return Err(invalid("Message must not be empty"));
        }
        let size = self.message.len()
            + self.attributes.iter().map(|(name, a)| name.len() + a.value.len()).sum::<usize>();
        if size > LARGEST {
            return Err(invalid(format!("the message has {size} bytes; {LARGEST} are allowed")));
        }
        if let Some(subject) = &self.subject {
            let is_fit = (1..=100).contains(&subject.chars().count())
                && !subject.contains(char::is_control)
                && !subject.starts_with(char::is_whitespace);
            if !is_fit {
                return Err(invalid(format!(
                    "Subject `{}` must be 1 to 100 characters on one line",
                    subject.escape_debug()
                )));
            }
        }
        if self.per_protocol {
            let refuse =
                |what: &str| Err(invalid(format!("Invalid parameter: Message Structure - {what}")));
            let Ok(texts) = serde_json::from_str::<Value>(&self.message) else {
                return refuse("JSON message body failed to parse");
            };
            if !texts["default"].is_string() {
                return refuse("No default entry in JSON message body");
            }
        }
        Ok(())
    }

    /// Judges what is asked of messages in order, and of no others.
    pub(super) fn judge_order(&self, topic: &Topic) -> Result<(), Fault> {
        if !topic.is_fifo() && self.deduplication.is_some() {
            return Err(invalid(
                "Invalid parameter: MessageDeduplicationId Reason: The request includes \
                 MessageDeduplicationId parameter that is not valid for this topic type",
            ));
        }
        if topic.is_fifo() && self.group.is_none() {
            return Err(invalid(
                "Invalid parameter: The MessageGroupId parameter is required for FIFO topics",
            ));
        }
        let needs_mark = topic.is_fifo() && !topic.is_set("ContentBasedDeduplication");
        if needs_mark && self.deduplication.is_none() {
            return Err(invalid(
                "Invalid parameter: The topic should either have ContentBasedDeduplication \
                 enabled or MessageDeduplicationId provided explicitly",
            ));
        }
        Ok(())
    }

    /// The text for a protocol.
    fn text(&self, protocol: &str) -> String {
        if !self.per_protocol {
            return self.message.clone();
        }
        let texts: Value = serde_json::from_str(&self.message).unwrap_or_default();
        let text = texts[protocol].as_str().or_else(|| texts["default"].as_str());
        text.unwrap_or_default().to_owned()
    }

    /// The attributes as filter policies see them, numbers rounded.
    fn for_filters(&self) -> Value {
        let value = |attribute: &Attribute| match attribute.kind.as_str() {
            "Number" => attribute.value.parse().map_or(Value::Null, |number: f64| json!(number)),
            "String.Array" => serde_json::from_str(&attribute.value).unwrap_or_default(),
            _ => json!(attribute.value),
        };
        let members: Map<String, Value> = self
            .attributes
            .iter()
            .map(|(name, attribute)| (name.clone(), value(attribute)))
            .collect();
        rounded(Value::Object(members))
    }
}

impl Topics {
    /// Publishes a message.
    pub(super) async fn publish_message(
        &self,
        arn: &str,
        publication: Publication,
    ) -> Result<Published, Fault> {
        publication.judge()?;
        let cloud = Cloud::held(&self.cloud)?;
        let (topic, subscriptions, sequence, commit) = self.take(arn, &publication)?;
        let id = id::uuid();
        let envelope = Envelope {
            id: &id,
            topic: &topic,
            at: self.clock.now(),
            publication: &publication,
            sequence: sequence.as_deref(),
        };
        let filters = publication.for_filters();
        let mut stored = vec![commit];
        for subscription in subscriptions {
            let text = publication.text(&subscription.protocol);
            if !subscription.wants(&filters, &text) {
                continue;
            }
            match self.deliver(&cloud, &envelope, &subscription, &text) {
                Ok(commit) => stored.extend(commit),
                Err(error) => {
                    tracing::warn!(subscription = %subscription.arn, %error, "a message is not delivered");
                    stored.extend(self.bury(&subscription, &envelope.shown(&subscription, &text)));
                }
            }
        }
        for commit in stored {
            commit.stored().await?;
        }
        Ok(Published { id, sequence })
    }

    /// What is needed to deliver, taken under the lock.
    fn take(
        &self,
        arn: &str,
        publication: &Publication,
    ) -> Result<(Topic, Vec<Subscription>, Option<String>, Commit), Fault> {
        let mut state = self.state();
        let topic = state.topics.get_mut(arn).ok_or_else(no_topic)?;
        let mut batch = self.store.batch();
        let mut sequence = None;
        publication.judge_order(topic)?;
        if topic.is_fifo() {
            topic.sequence += 1;
            sequence = Some(format!("1{:019}", topic.sequence));
            batch.put(TOPICS, arn, &*topic);
        }
        let topic = topic.clone();
        let subscriptions: Vec<Subscription> = state
            .subscriptions
            .values()
            .filter(|subscription| subscription.topic == arn && subscription.token.is_none())
            .cloned()
            .collect();
        Ok((topic, subscriptions, sequence, self.store.commit(batch)))
    }

    fn deliver(
        &self,
        cloud: &Arc<Cloud>,
        envelope: &Envelope<'_>,
        subscription: &Subscription,
        text: &str,
    ) -> Result<Option<Commit>, Fault> {
        let endpoint = subscription.endpoint.as_str();
        match subscription.protocol.as_str() {
            "sqs" => {
                let raw = subscription.is_raw();
                let fifo = envelope.topic.is_fifo() && endpoint.ends_with(super::topic::FIFO);
                let publication = envelope.publication;
                let mark = || {
                    let content = || id::hex(&Sha256::digest(publication.message.as_bytes()));
                    publication.deduplication.clone().unwrap_or_else(content)
                };
                let outgoing = Outgoing {
                    body: if raw {
                        text.to_owned()
                    } else {
                        envelope.shown(subscription, text).to_string()
                    },
                    attributes: if raw { publication.attributes.clone() } else { BTreeMap::new() },
                    group: publication.group.clone().filter(|_| fifo),
                    deduplication: fifo.then(mark),
                    ..Outgoing::default()
                };
                self.queues
                    .put_for(endpoint, outgoing, "sns.amazonaws.com", &envelope.topic.arn)
                    .map(Some)
            }
            "lambda" => {
                let functions = cloud.ports.functions()?;
                if !functions.permits(endpoint, "sns.amazonaws.com", &envelope.topic.arn) {
                    let message = format!("function `{endpoint}` does not permit the topic");
                    return Err(Fault::new("AccessDenied", 403, message));
                }
                let event = json!({"Records": [{
                    "EventSource": "aws:sns",
                    "EventVersion": "1.0",
                    "EventSubscriptionArn": subscription.arn,
                    "Sns": envelope.record(subscription, text),
                }]});
                functions.invoke_event(endpoint, event.to_string().into());
                Ok(None)
            }
            "http" => {
                let body = if subscription.is_raw() {
                    text.to_owned()
                } else {
                    envelope.shown(subscription, text).to_string()
                };
                let headers = [
                    ("x-amz-sns-message-type", "Notification".to_owned()),
                    ("x-amz-sns-message-id", envelope.id.to_owned()),
                    ("x-amz-sns-topic-arn", envelope.topic.arn.clone()),
                    ("x-amz-sns-subscription-arn", subscription.arn.clone()),
                    ("x-amz-sns-rawdelivery", subscription.is_raw().to_string()),
                ];
                let (endpoint, arn) = (endpoint.to_owned(), subscription.arn.clone());
                tokio::spawn(async move {
                    if let Err(error) =
                        http_endpoint::post_with_retries(&endpoint, body, &headers).await
                    {
                        tracing::warn!(subscription = %arn, %error, "a message is not delivered");
                    }
                });
                Ok(None)
            }
            other => {
                tracing::info!(protocol = other, endpoint, "a message would be sent here");
                Ok(None)
            }
        }
    }

    /// Puts what was not delivered into the dead-letter queue of its subscription.
    fn bury(&self, subscription: &Subscription, told: &Value) -> Option<Commit> {
        let policy: Value =
            serde_json::from_str(subscription.attributes.get("RedrivePolicy")?).ok()?;
        let queue = policy["deadLetterTargetArn"].as_str()?;
        let outgoing = Outgoing::plain(&told.to_string());
        match self.queues.put_for(queue, outgoing, "sns.amazonaws.com", &subscription.topic) {
            Ok(commit) => Some(commit),
            Err(error) => {
                tracing::warn!(subscription = %subscription.arn, %error, "a dead letter is lost");
                None
            }
        }
    }
}

/// A message with what is told about it.
struct Envelope<'a> {
    id: &'a str,
    topic: &'a Topic,
    at: Timestamp,
    publication: &'a Publication,
    sequence: Option<&'a str>,
}

impl Envelope<'_> {
    /// As queues and HTTP endpoints get it. It carries no signature: there is no
    /// certificate of AWS's here to check it with.
    fn shown(&self, subscription: &Subscription, text: &str) -> Value {
        let mut shown = json!({
            "Type": "Notification",
            "MessageId": self.id,
            "TopicArn": self.topic.arn,
            "Message": text,
            "Timestamp": self.at.iso8601(),
            "UnsubscribeURL": format!("?Action=Unsubscribe&SubscriptionArn={}", subscription.arn),
        });
        if let Some(subject) = &self.publication.subject {
            shown["Subject"] = json!(subject);
        }
        if let Some(sequence) = self.sequence {
            shown["SequenceNumber"] = json!(sequence);
        }
        if !self.publication.attributes.is_empty() {
            shown["MessageAttributes"] = self.attributes();
        }
        shown
    }

    /// As functions get it.
    fn record(&self, subscription: &Subscription, text: &str) -> Value {
        let mut shown = self.shown(subscription, text);
        shown["Subject"] = json!(self.publication.subject);
        shown["MessageAttributes"] = self.attributes();
        shown["SignatureVersion"] = json!("1");
        shown
    }

    fn attributes(&self) -> Value {
        let members: Map<String, Value> = self
            .publication
            .attributes
            .iter()
            .map(|(name, attribute)| {
                (name.clone(), json!({"Type": attribute.kind, "Value": attribute.value}))
            })
            .collect();
        Value::Object(members)
    }
}

/// What one message may have.
const LARGEST: usize = 256 * 1024;
