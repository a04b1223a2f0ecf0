//! Messages that come by HTTP.
//!
//! They name their publisher like those that come by MQTT, so that reserved topics
//! are answered; there is no client, which the rule SQL calls `n/a`.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use iotstack_local_kernel::{Call, Caller, Fault, Message, Properties, Publisher, QoS};
use iotstack_mqtt::topic::{Limits, name_size, name_syntax};
use serde_json::Value;

/// The pattern of Publish.
pub const TOPICS: &str = "/topics/{topic+}?qos:int&retain:bool&contentType&responseTopic\
    &messageExpiry:int&@x-amz-mqtt5-user-properties=userProperties\
    &@x-amz-mqtt5-correlation-data=correlationData\
    &@x-amz-mqtt5-payload-format-indicator=payloadFormatIndicator";

/// The pattern of SendDirectMessage.
pub const DIRECT: &str = "/connections/{clientId}/messages?topic&contentType&responseTopic\
    &confirmation:bool&timeout:int&@x-amz-mqtt5-user-properties=userProperties\
    &@x-amz-mqtt5-correlation-data=correlationData\
    &@x-amz-mqtt5-payload-format-indicator=payloadFormatIndicator";

/// The message that a call describes.
///
/// # Errors
/// `InvalidRequestException`, and 413 for a payload above 128 KB.
pub fn message(call: &Call) -> Result<Message, Fault> {
    let topic = call.text("topic")?;
    name_syntax(topic)
        .and_then(|()| name_size(topic, Limits::AWS))
        .map_err(|problem| invalid(format!("topic '{topic}' is not valid: {problem}")))?;
    if call.body.len() > LARGEST {
        return Err(Fault::new(
            "RequestEntityTooLargeException",
            413,
            format!("the payload has {} bytes; at most {LARGEST} are accepted", call.body.len()),
        ));
    }
    let qos = match call.optional_integer("qos")? {
        None | Some(0) => QoS::AtMostOnce,
        Some(1) => QoS::AtLeastOnce,
        Some(other) => return Err(invalid(format!("qos is {other}; accepted are 0 and 1"))),
    };
    let retain = call.flag("retain")?;
    if retain && topic.starts_with('$') {
        return Err(invalid(format!("no message can be retained on the reserved topic '{topic}'")));
    }
    let principal = match &call.caller {
        Caller::Root => "root",
        Caller::Principal { arn } => arn,
        Caller::Device { certificate_id } => certificate_id,
        Caller::Service { name } => name,
    };
    let publisher = Publisher {
        client_id: "n/a".into(),
        principal: principal.into(),
        thing: None,
        source: IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    let mut message = Message::new(topic, call.body.clone(), call.at);
    message.qos = qos;
    message.retain = retain;
    message.properties = properties(call)?.map(Arc::new);
    message.publisher = Some(Arc::new(publisher));
    Ok(message)
}

fn properties(call: &Call) -> Result<Option<Properties>, Fault> {
    let text = |name: &str| Ok::<_, Fault>(call.optional_text(name)?.map(str::to_owned));
    let properties = Properties {
        payload_is_text: match call.optional_text("payloadFormatIndicator")? {
            None => None,
            Some("UTF8_DATA") => Some(true),
            Some("UNSPECIFIED_BYTES") => Some(false),
            Some(other) => {
                return Err(invalid(format!(
                    "payloadFormatIndicator is '{other}'; accepted are UTF8_DATA and UNSPECIFIED_BYTES"
                )));
            }
        },
        content_type: text("contentType")?,
        response_topic: text("responseTopic")?,
        correlation_data: match call.optional_text("correlationData")? {
            None => None,
            Some(data) => Some(Bytes::from(
                STANDARD.decode(data).map_err(|_| invalid("correlationData is not base64"))?,
            )),
        },
        expiry_seconds: match call.optional_integer("messageExpiry")? {
            None => None,
            Some(seconds @ 1..=604_800) => u32::try_from(seconds).ok(),
            Some(other) => {
                return Err(invalid(format!("messageExpiry is {other}; expected 1 to 604800")));
            }
        },
        user: match call.optional_text("userProperties")? {
            None => Vec::new(),
            Some(pairs) => user_properties(pairs)?,
        },
    };
    Ok(Some(properties).filter(|properties| *properties != Properties::default()))
}

/// `[{"name": "value"}, …]`, in base64.
fn user_properties(text: &str) -> Result<Vec<(String, String)>, Fault> {
    let shape = || invalid("userProperties is not base64 of a JSON array of objects with one text");
    let decoded = STANDARD.decode(text).map_err(|_| shape())?;
    let mut list: Value = serde_json::from_slice(&decoded).map_err(|_| shape())?;
    if let Value::String(text) = &list {
        // Clients that are handed JSON as a text write it as a JSON text once more.
        list = serde_json::from_str(text).map_err(|_| shape())?;
    }
    let Value::Array(list) = list else { return Err(shape()) };
    let mut pairs = Vec::with_capacity(list.len());
    for item in &list {
        for (name, value) in item.as_object().ok_or_else(shape)? {
            let value = match value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                _ => return Err(shape()),
            };
            pairs.push((name.clone(), value));
        }
    }
    Ok(pairs)
}

fn invalid(message: impl Into<String>) -> Fault {
    Fault::new("InvalidRequestException", 400, message)
}

/// The largest payload of a message.
const LARGEST: usize = 128 * 1024;
