//! Messages as the state writes them.
//!
//! Records of the state are JSON, so bytes are written in base64. What is the same for
//! a retained message and for one that waits for a client stands here; what differs,
//! in their own records. A record that somebody has spoilt reads as no message: one bad
//! message must not keep a cloud from starting.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use iotstack_local_kernel::Properties;
use iotstack_mqtt::wire::QoS;
use serde::{Deserialize, Serialize};

/// What a message says.
#[derive(Serialize, Deserialize)]
pub(crate) struct Body {
    payload: String,
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

impl Body {
    pub(crate) fn of(payload: &Bytes, properties: Option<&Properties>) -> Self {
        Body {
            payload: BASE64.encode(payload),
            properties: properties.map(|properties| StoredProperties {
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

    /// Payload and properties; `None` if the payload is spoilt.
    pub(crate) fn open(self) -> Option<(Bytes, Option<Arc<Properties>>)> {
        let payload = BASE64.decode(self.payload).ok()?.into();
        let properties = self.properties.map(|stored| {
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
        Some((payload, properties))
    }
}

/// The QoS with this number.
pub(crate) fn qos(number: u8) -> QoS {
    match number {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    }
}
