//! How a message goes through the broker, whoever publishes it.
//!
//! Ordinary messages are retained if they ask for it, shown to those who hear
//! everything, and sent to subscribers. Reserved topics lead to their service, and
//! `$aws/rules/…` straight into a rule. What a publisher may do was asked before.

use std::sync::Arc;

use iotstack_local_kernel::{Commit, Message, Publisher, Timestamp};
use iotstack_mqtt::topic::basic_ingest;
use iotstack_mqtt::wire::{QoS, Will};

use crate::Broker;
use crate::message::{Routed, kernel_qos, properties};
use crate::retained::QuotaExceeded;

impl Broker {
    /// Sends a message to everybody who wants it, and to whoever hears all messages.
    /// The commit says when it is stored for those who are to get it after a restart.
    fn route(&self, message: &Message, qos: QoS) -> Option<Commit> {
        if let Some(cloud) = self.cloud() {
            for listener in cloud.ports.listeners() {
                listener.heard(message);
            }
        }
        self.subscriptions.route(&Routed::new(message, qos), self.settings.matching())
    }

    /// Takes a message of a client or a service in: retains it if it asks for that,
    /// and sends it on. The commit says when what must be stored of it is stored.
    pub(crate) fn take(
        &self,
        message: &Message,
        qos: QoS,
    ) -> Result<Option<Commit>, QuotaExceeded> {
        let is_retained = message.retain && !message.topic.starts_with('$');
        let commit =
            is_retained.then(|| self.retained.keep(message, qos, &self.store)).transpose()?;
        // The later of two promises includes the earlier one.
        Ok(self.route(message, qos).or(commit))
    }

    /// Hands a message on a reserved topic to whoever serves it. False if nobody does.
    pub(crate) fn take_reserved(&self, from: &Arc<Publisher>, message: &Message) -> bool {
        let Some(cloud) = self.cloud() else { return false };
        if let Some((rule, topic)) = basic_ingest(&message.topic) {
            let mut ingested = message.clone();
            ingested.topic = topic.into();
            ingested.retain = false;
            for listener in cloud.ports.listeners() {
                listener.ingested(rule, &ingested);
            }
            return true;
        }
        let family = cloud.ports.reserved().into_iter().find(|each| each.owns(&message.topic));
        match family {
            Some(family) => {
                family.receive(from, message);
                true
            }
            None => false,
        }
    }

    pub(crate) fn publish_event(&self, event: Option<Message>) {
        if let Some(event) = event {
            // Nobody waits for an answer to an event.
            drop(self.route(&event, QoS::AtLeastOnce));
        }
    }

    /// Publishes what a client left behind.
    pub(crate) fn publish_will(
        &self,
        will: Will,
        publisher: Option<Arc<Publisher>>,
        now: Timestamp,
    ) {
        let message = Message {
            topic: (&*will.topic).into(),
            payload: will.payload,
            qos: kernel_qos(will.qos),
            retain: will.retain,
            properties: properties(will.properties.as_deref()),
            publisher: publisher.clone(),
            at: now,
        };
        if message.topic.starts_with('$') && self.settings.is_aws() {
            if let Some(publisher) = &publisher {
                self.take_reserved(publisher, &message);
            }
            return;
        }
        // The store keeps the order; nobody waits for an answer to a will.
        if self.take(&message, will.qos).is_err() {
            tracing::warn!(topic = %message.topic, "a retained will is dropped: too many are kept");
        }
    }
}
