//! Times in requests and answers: numbers in JSON, texts in XML.
//!
//! Clients of the JSON protocol send and expect seconds since 1970, older ones that send
//! forms expect ISO 8601.

use iotstack_local_kernel::{Call, Fault, Timestamp};
use serde_json::{Map, Value, json};

/// How the answer to a call writes times.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moments {
    texts: bool,
}

impl Moments {
    /// Forms are answered in XML, everything else in JSON.
    pub(super) fn of(call: &Call) -> Self {
        let kind = call.headers.get(http::header::CONTENT_TYPE);
        let is_form = kind
            .and_then(|kind| kind.to_str().ok())
            .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        Moments { texts: is_form && !call.headers.contains_key("x-amz-target") }
    }

    pub(super) fn show(self, at: Timestamp) -> Value {
        if self.texts { json!(at.iso8601()) } else { json!(at.fractional_seconds()) }
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
