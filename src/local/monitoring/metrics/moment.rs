//! Times in requests and answers: numbers in JSON, texts in XML, tagged in CBOR.
//!
//! Clients of the JSON protocol send and expect seconds since 1970, older ones that send
//! forms expect ISO 8601, and the newest ones CBOR's own kind of time.

use iotstack_local_kernel::wire::{cbor, query};
use iotstack_local_kernel::{Call, Fault, Timestamp};
use serde_json::{Map, Value, json};

/// How the answer to a call writes times.
#[derive(Debug, Clone, Copy)]
pub(super) enum Moments {
    /// As ISO 8601, for XML.
    Texts,
    /// As seconds since 1970, for JSON.
    Numbers,
    /// As CBOR has a type for them.
    Tagged,
}

impl Moments {
    /// Forms are answered in XML, CBOR in CBOR, everything else in JSON.
    pub(super) fn of(call: &Call) -> Self {
        if cbor::is_spoken(&call.headers) {
            return Moments::Tagged;
        }
        match query::is_form(&call.headers) {
            true => Moments::Texts,
            false => Moments::Numbers,
        }
    }

    pub(super) fn show(self, at: Timestamp) -> Value {
        match self {
            Moments::Texts => json!(at.iso8601()),
            Moments::Numbers => json!(at.fractional_seconds()),
            Moments::Tagged => cbor::time(at),
        }
    }
}

/// A time of a request: seconds since 1970, or ISO 8601.
pub(super) fn read(input: &Map<String, Value>, member: &str) -> Result<Option<Timestamp>, Fault> {
    let refuse = |value: &Value| {
        Fault::invalid_input(format!(
            "{member} must be a time such as 2026-01-31T12:00:00Z, not {value}"
        ))
    };
    let seconds = |seconds: f64| Timestamp((seconds * 1000.0) as i64);
    match input.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(value @ Value::Number(number)) => {
            number.as_f64().map(|found| Some(seconds(found))).ok_or_else(|| refuse(value))
        }
        Some(value @ Value::String(text)) => match (Timestamp::parse(text), text.parse::<f64>()) {
            (Some(at), _) => Ok(Some(at)),
            (None, Ok(found)) if found.is_finite() => Ok(Some(seconds(found))),
            // AWS takes a time without a zone for UTC.
            _ => Timestamp::parse(&format!("{text}Z")).map(Some).ok_or_else(|| refuse(value)),
        },
        Some(other) => Err(refuse(other)),
    }
}

/// A time that must be there.
pub(super) fn required(input: &Map<String, Value>, member: &str) -> Result<Timestamp, Fault> {
    read(input, member)?.ok_or_else(|| {
        Fault::new("MissingParameter", 400, format!("The parameter {member} is required."))
    })
}
