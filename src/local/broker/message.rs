//! Messages inside the broker, between the packet that came and those that go.
//!
//! A message is one allocation that all its receivers share. What differs between
//! receivers, the QoS and the retain flag, stands in a [`Delivery`].

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use iotstack_local_kernel::{self as kernel, Message, Properties, Publisher, Timestamp};
use iotstack_mqtt::wire::{PacketId, PublishProperties, QoS, Text, UserProperties};

use crate::waiting::Place;

/// A message on its way to its receivers.
#[derive(Debug)]
pub(crate) struct Routed {
    pub(crate) topic: Text,
    pub(crate) payload: Bytes,
    pub(crate) qos: QoS,
    /// The flag as it was published, for subscriptions that want it.
    pub(crate) retain: bool,
    pub(crate) properties: Option<Arc<Properties>>,
    pub(crate) expires: Option<Timestamp>,
    /// The client that published it, which may not want its own messages back.
    pub(crate) publisher: Option<Arc<Publisher>>,
}

/// A message for one receiver.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) message: Arc<Routed>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    /// An answer to the client itself, for which no policy is asked.
    pub(crate) is_direct: bool,
    /// When it was sent for the first time, if it was.
    pub(crate) tried: Option<Timestamp>,
    /// The packet id under which it is sent again, where it must be the same.
    pub(crate) again: Option<PacketId>,
    /// The identifiers of the subscriptions that it is for; standard mode only.
    pub(crate) subscription_ids: Option<Box<[NonZeroU32]>>,
    /// Where the state has it, if it must outlive the process.
    pub(crate) stored: Option<Place>,
}

impl Delivery {
    pub(crate) fn new(message: Arc<Routed>, qos: QoS, retain: bool) -> Self {
        Delivery {
            message,
            qos,
            retain,
            is_direct: false,
            tried: None,
            again: None,
            subscription_ids: None,
            stored: None,
        }
    }
}

impl Routed {
    /// A message at `qos`, which the kernel's message knows up to QoS 1 only.
    pub(crate) fn new(message: &Message, qos: QoS) -> Arc<Self> {
        let expiry = message.properties.as_ref().and_then(|each| each.expiry_seconds);
        Arc::new(Routed {
            topic: Text::from(&*message.topic),
            payload: message.payload.clone(),
            qos,
            retain: message.retain,
            properties: message.properties.clone(),
            expires: expiry.map(|seconds| expires(message.at, seconds)),
            publisher: message.publisher.clone(),
        })
    }

    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// The properties for a receiver that speaks MQTT 5, with what is left of the
    /// message's life.
    pub(crate) fn properties(&self, now: Timestamp) -> Option<Box<PublishProperties>> {
        let properties = self.properties.as_deref()?;
        let text = |text: &Option<String>| text.as_deref().map(Text::from);
        let left = self.expires.map(|expires| expires.since(now).as_millis().div_ceil(1000));
        Some(Box::new(PublishProperties {
            payload_is_utf8: properties.payload_is_text.unwrap_or(false),
            message_expiry: left
                .and_then(|left| u32::try_from(left).ok())
                .and_then(NonZeroU32::new),
            content_type: text(&properties.content_type),
            response_topic: text(&properties.response_topic),
            correlation_data: properties.correlation_data.clone(),
            user_properties: properties
                .user
                .iter()
                .map(|(name, value)| (Text::from(name.as_str()), Text::from(value.as_str())))
                .collect(),
            topic_alias: None,
            subscription_ids: Vec::new(),
        }))
    }

    /// What the message takes of a queue.
    pub(crate) fn weight(&self) -> usize {
        self.payload.len() + self.topic.len()
    }
}

/// The properties of a packet as the services of the cloud see them.
pub(crate) fn properties(packet: Option<&PublishProperties>) -> Option<Arc<Properties>> {
    let packet = packet?;
    let text = |text: &Option<Text>| text.as_ref().map(|text| text.to_string());
    let properties = Properties {
        payload_is_text: packet.payload_is_utf8.then_some(true),
        content_type: text(&packet.content_type),
        response_topic: text(&packet.response_topic),
        correlation_data: packet.correlation_data.clone(),
        expiry_seconds: packet.message_expiry.map(NonZeroU32::get),
        user: user(&packet.user_properties),
    };
    (properties != Properties::default()).then(|| Arc::new(properties))
}

pub(crate) fn kernel_qos(qos: QoS) -> kernel::QoS {
    match qos {
        QoS::AtMostOnce => kernel::QoS::AtMostOnce,
        QoS::AtLeastOnce | QoS::ExactlyOnce => kernel::QoS::AtLeastOnce,
    }
}

pub(crate) fn wire_qos(qos: kernel::QoS) -> QoS {
    match qos {
        kernel::QoS::AtMostOnce => QoS::AtMostOnce,
        kernel::QoS::AtLeastOnce => QoS::AtLeastOnce,
    }
}

pub(crate) fn expires(at: Timestamp, seconds: u32) -> Timestamp {
    at.after(Duration::from_secs(seconds.into()))
}

fn user(properties: &UserProperties) -> Vec<(String, String)> {
    properties.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}
