//! Functions about the message and about values: topic, sender, members, arrays.
//!
//! What is not there gives `Undefined`: a segment behind the last, an index out of
//! range, a property that the message does not have.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use indexmap::IndexMap;

use super::Call;
use crate::sql::budget::steps;
use crate::sql::context::Interrupt;
use crate::sql::json;
use crate::sql::value::Value;

pub fn accountid(call: &Call<'_>) -> Option<Value> {
    Some(Value::text(call.evaluator.context.account))
}

/// The client that sent the message; `n/a` if it did not come by MQTT.
pub fn clientid(call: &Call<'_>) -> Option<Value> {
    Some(Value::text(call.evaluator.context.source.client_id.unwrap_or("n/a")))
}

/// An item of an array, a character of a text (both from 0), or a member.
pub fn get(call: &Call<'_>) -> Option<Value> {
    match call.value(0) {
        Value::Array(items) => items.get(index(call)?).cloned(),
        Value::String(text) => text.chars().nth(index(call)?).map(Value::text),
        Value::Object(members) => match call.value(1) {
            Value::String(name) => members.get(name).cloned(),
            _ => None,
        },
        _ => None,
    }
}

pub fn get_mqtt_property(call: &Call<'_>) -> Option<Value> {
    let properties = call.evaluator.context.source.properties?;
    match &*call.text(0)? {
        "content_type" => properties.content_type.as_deref().map(Value::text),
        "format_indicator" => properties
            .is_text
            .map(|is_text| Value::text(if is_text { "UTF8_DATA" } else { "UNSPECIFIED_BYTES" })),
        "response_topic" => properties.response_topic.as_deref().map(Value::text),
        "correlation_data" => {
            properties.correlation_data.as_ref().map(|data| Value::text(STANDARD.encode(data)))
        }
        _ => None,
    }
}

/// The values of one name, or all as objects with one member.
pub fn get_user_properties(call: &Call<'_>) -> Option<Value> {
    let all = &call.evaluator.context.source.properties?.user_properties;
    Some(Value::Array(if call.count() == 0 {
        all.iter()
            .map(|(name, value)| {
                Value::Object(IndexMap::from([(name.clone(), Value::text(value.as_str()))]))
            })
            .collect()
    } else {
        let wanted = call.text(0)?;
        all.iter()
            .filter(|(name, _)| *name == *wanted)
            .map(|(_, value)| Value::text(value.as_str()))
            .collect()
    }))
}

pub fn is_null(call: &Call<'_>) -> Option<Value> {
    Some((*call.value(0) == Value::Null).into())
}

pub fn is_undefined(call: &Call<'_>) -> Option<Value> {
    Some(call.value(0).is_undefined().into())
}

/// A random UUID of version 4.
pub fn newuuid(call: &Call<'_>) -> Option<Value> {
    let (high, low) = (call.evaluator.random(), call.evaluator.random());
    let high = (high & !0xf000) | 0x4000;
    let low = (low & !(0b11 << 62)) | (0b10 << 62);
    Some(Value::String(format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )))
}

pub fn principal(call: &Call<'_>) -> Option<Value> {
    call.evaluator.context.source.principal.map(Value::text)
}

pub fn sql_version(call: &Call<'_>) -> Option<Value> {
    Some(Value::String(call.evaluator.version.to_string()))
}

/// The time in milliseconds since 1970.
pub fn timestamp(call: &Call<'_>) -> Option<Value> {
    Some(Value::Int(call.evaluator.context.now.into()))
}

/// The topic, or one segment of it, from 1.
pub fn topic(call: &Call<'_>) -> Option<Value> {
    let topic = call.evaluator.context.topic;
    if call.count() == 0 {
        return Some(Value::text(topic));
    }
    let place = usize::try_from(call.int(0)?).ok()?.checked_sub(1)?;
    topic.split('/').nth(place).map(Value::text)
}

pub fn traceid(call: &Call<'_>) -> Option<Value> {
    Some(Value::text(call.evaluator.context.trace_id))
}

/// `enrichArray`: the members of an object added to each object of an array.
pub fn transform(call: &Call<'_>) -> Option<Value> {
    let (Value::Object(extra), Value::Array(items)) = (call.value(1), call.value(2)) else {
        return None;
    };
    call.work(steps(call.value(1)).saturating_add(steps(call.value(2))))?;
    let extra_size = json::to_string(call.value(1), call.evaluator.version).len();
    let size = json::to_string(call.value(2), call.evaluator.version).len();
    let size = size.saturating_add(extra_size.saturating_mul(items.len()));
    if size > 2 * ENRICHED {
        // Overlapping members may make it smaller, but never by this much.
        call.evaluator.fail(too_large());
        return None;
    }
    let mut enriched = Vec::with_capacity(items.len());
    for item in items {
        let Value::Object(members) = item else { return None };
        let mut members = members.clone();
        members.extend(extra.iter().map(|(name, value)| (name.clone(), value.clone())));
        enriched.push(Value::Object(members));
    }
    let enriched = Value::Array(enriched);
    if json::to_string(&enriched, call.evaluator.version).len() > ENRICHED {
        call.evaluator.fail(too_large());
        return None;
    }
    Some(enriched)
}

fn index(call: &Call<'_>) -> Option<usize> {
    usize::try_from(call.int(1)?).ok()
}

fn too_large() -> Interrupt {
    Interrupt::Failed(format!("the result of `transform` is larger than {ENRICHED} bytes"))
}

const ENRICHED: usize = 128 * 1024;
