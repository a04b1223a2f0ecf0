//! The format of Smithy's RPC version 2: CBOR in, CBOR out.
//!
//! The newest clients of CloudWatch speak it. A request names its operation in its
//! path, `/service/<service>/operation/<operation>`, and the format in a header. Times
//! are numbers of seconds under tag 1: in a request they become plain numbers, in an
//! answer [`time`] makes them, because services know only JSON. Bytes become base64, as
//! in the JSON formats. Members that are null are left out of answers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ciborium::tag::Required;
use http::{HeaderMap, Request};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::{Map, Number, Value, json};

use crate::{Fault, Timestamp};

/// The service and the operation that a request names, if it is in this format.
pub fn target(request: &Request<Bytes>) -> Option<(&str, &str)> {
    if !is_spoken(request.headers()) {
        return None;
    }
    let (rest, operation) = request.uri().path().rsplit_once("/operation/")?;
    let (_, service) = rest.rsplit_once("/service/")?;
    Some((service, operation))
}

/// Whether a request says that it is in this format.
pub fn is_spoken(headers: &HeaderMap) -> bool {
    headers.get(HEADER).is_some_and(|value| value.as_bytes() == NAME.as_bytes())
}

/// A time in an answer; only for callers who speak this format.
pub fn time(at: Timestamp) -> Value {
    json!({ TIME: at.fractional_seconds() })
}

/// The members of a body; none for an empty one.
///
/// # Errors
/// [`Fault::invalid_input`] if it is no map with texts for keys.
pub fn read(body: &Bytes) -> Result<Map<String, Value>, Fault> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    let mut rest = &body[..];
    let found: ciborium::Value = ciborium::de::from_reader_with_recursion_limit(&mut rest, DEEPEST)
        .map_err(|error| {
            Fault::invalid_input(format!("the body is not CBOR: {}", plain(&error)))
        })?;
    if !rest.is_empty() {
        let message = format!("the body has {} bytes behind its CBOR map", rest.len());
        return Err(Fault::invalid_input(message));
    }
    match value(found)? {
        Value::Object(members) => Ok(members),
        other => {
            let what = if other.is_array() { "a list" } else { "a single value" };
            Err(Fault::invalid_input(format!("the body must be a CBOR map, not {what}")))
        }
    }
}

/// Writes an answer.
pub fn write(members: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Err(error) = ciborium::into_writer(&Written(members), &mut bytes) {
        // Writing into memory fails for no value that JSON can hold.
        tracing::error!(%error, "an answer cannot be written as CBOR");
    }
    bytes
}

/// The name of the format in its header.
pub(super) const NAME: &str = "rpc-v2-cbor";

/// The header that names the format.
pub(super) const HEADER: &str = "smithy-protocol";

/// The media type of bodies.
pub(super) const CONTENT_TYPE: &str = "application/cbor";

fn value(found: ciborium::Value) -> Result<Value, Fault> {
    use ciborium::Value as Cbor;
    Ok(match found {
        Cbor::Null => Value::Null,
        Cbor::Bool(flag) => Value::Bool(flag),
        Cbor::Text(text) => Value::String(text),
        Cbor::Bytes(bytes) => Value::String(STANDARD.encode(bytes)),
        Cbor::Integer(number) => {
            let number = i128::from(number);
            // Numbers of CBOR reach one bit further than those of JSON here.
            let whole = i64::try_from(number).map(Number::from);
            whole
                .or_else(|_| u64::try_from(number).map(Number::from))
                .map_or_else(|_| json!(number as f64), Value::Number)
        }
        // JSON knows neither, and writes them as texts.
        Cbor::Float(number) if number.is_nan() => "NaN".into(),
        Cbor::Float(number) if number.is_infinite() => {
            if number > 0.0 { "Infinity" } else { "-Infinity" }.into()
        }
        Cbor::Float(number) => json!(number),
        // Of all tags only that of a time occurs, around a number of seconds.
        Cbor::Tag(_, inner) => value(*inner)?,
        Cbor::Array(items) => items.into_iter().map(value).collect::<Result<_, _>>()?,
        Cbor::Map(pairs) => {
            let mut members = Map::new();
            for (key, item) in pairs {
                let Cbor::Text(key) = key else {
                    return Err(Fault::invalid_input("a key of a CBOR map must be a text"));
                };
                members.insert(key, value(item)?);
            }
            Value::Object(members)
        }
        _ => return Err(Fault::invalid_input("the body holds a kind of CBOR value without use")),
    })
}

fn plain(error: &ciborium::de::Error<std::io::Error>) -> String {
    use ciborium::de::Error;
    match error {
        Error::Io(_) => "it ends too early".to_owned(),
        Error::Syntax(place) => format!("byte {place} cannot stand there"),
        Error::Semantic(_, reason) => reason.clone(),
        Error::RecursionLimitExceeded => format!("it is nested deeper than {DEEPEST}"),
    }
}

/// A value of JSON that is written as CBOR.
struct Written<'a>(&'a Value);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_none(),
            Value::Bool(flag) => serializer.serialize_bool(*flag),
            Value::String(text) => serializer.serialize_str(text),
            Value::Number(number) => number.serialize(serializer),
            Value::Array(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(&Written(item))?;
                }
                list.end()
            }
            Value::Object(members) => {
                if let Some(seconds) = members.get(TIME).and_then(Value::as_f64) {
                    return Required::<f64, 1>(seconds).serialize(serializer);
                }
                let present = || members.iter().filter(|(_, member)| !member.is_null());
                let mut map = serializer.serialize_map(Some(present().count()))?;
                for (name, member) in present() {
                    map.serialize_entry(name, &Written(member))?;
                }
                map.end()
            }
        }
    }
}

/// The key of an object that stands for a time. No member of AWS begins like this.
const TIME: &str = "\u{1}time";

/// How deep a body may be nested; nothing that anybody sends comes near.
const DEEPEST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// `{"n": 1, "f": 2.5, "at": 1(1700000000), "b": h'0102', "l": [null, true, NaN]}`.
    const BODY: &[u8] = &[
        0xa5, 0x61, b'n', 0x01, 0x61, b'f', 0xf9, 0x41, 0x00, 0x62, b'a', b't', 0xc1, 0x1a, 0x65,
        0x53, 0xf1, 0x00, 0x61, b'b', 0x42, 0x01, 0x02, 0x61, b'l', 0x9f, 0xf6, 0xf5, 0xf9, 0x7e,
        0x00, 0xff,
    ];

    fn refusal(body: &'static [u8]) -> String {
        read(&Bytes::from_static(body)).unwrap_err().message
    }

    #[test]
    fn reads_what_clients_write() {
        let members = read(&Bytes::from_static(BODY)).unwrap();
        let expected = json!({
            "n": 1, "f": 2.5, "at": 1_700_000_000, "b": "AQI=", "l": [null, true, "NaN"],
        });
        assert_eq!(Value::Object(members), expected);
        assert!(read(&Bytes::new()).unwrap().is_empty());
        // -2^64 is whole in CBOR alone.
        let members = read(&Bytes::from_static(b"\xa1\x61n\x3b\xff\xff\xff\xff\xff\xff\xff\xff"));
        assert_eq!(members.unwrap()["n"], json!(-18_446_744_073_709_551_616.0));
    }

    #[test]
    fn refuses_what_is_no_map_of_members() {
        assert!(refusal(b"\x80").contains("not a list"));
        assert!(refusal(b"\xa0\x00").contains("1 bytes behind"));
        assert!(refusal(b"\xa1\x01\x02").contains("must be a text"));
        assert!(refusal(b"\xa1\x61n").contains("ends too early"));
        assert!(refusal(b"\x1c").contains("byte 0"));
        assert!(refusal(&[0x81; 5000]).contains("nested deeper than 64"));
        // Lengths that are not there must not be reserved.
        assert!(refusal(b"\x9b\x7f\xff\xff\xff\xff\xff\xff\xff").contains("ends too early"));
        assert!(refusal(b"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff").contains("ends too early"));
    }

    #[test]
    fn writes_times_under_their_tag_and_leaves_nulls_out() {
        let bytes = write(&json!({"at": time(Timestamp(1_500)), "none": null, "list": [1, 2.0]}));
        let found: ciborium::Value = ciborium::from_reader(&bytes[..]).unwrap();
        let at = ciborium::Value::Tag(1, Box::new(1.5.into()));
        let list = ciborium::Value::Array(vec![1.into(), 2.0.into()]);
        let expected = vec![("at".into(), at), ("list".into(), list)];
        assert_eq!(found, ciborium::Value::Map(expected));
    }
}
