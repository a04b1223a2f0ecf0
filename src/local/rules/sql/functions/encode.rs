//! Hashes and base64.
//!
//! Both work on the UTF-8 bytes of a text; only `*` stands for the bytes of the message
//! as it came. Hashes are written in small hexadecimal digits.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest;

use super::Call;
use crate::sql::json;
use crate::sql::value::Value;

pub fn md2(call: &Call<'_>) -> Option<Value> {
    hash::<md2::Md2>(call)
}

pub fn md5(call: &Call<'_>) -> Option<Value> {
    hash::<md5::Md5>(call)
}

pub fn sha1(call: &Call<'_>) -> Option<Value> {
    hash::<sha1::Sha1>(call)
}

pub fn sha224(call: &Call<'_>) -> Option<Value> {
    hash::<sha2::Sha224>(call)
}

pub fn sha256(call: &Call<'_>) -> Option<Value> {
    hash::<sha2::Sha256>(call)
}

pub fn sha384(call: &Call<'_>) -> Option<Value> {
    hash::<sha2::Sha384>(call)
}

pub fn sha512(call: &Call<'_>) -> Option<Value> {
    hash::<sha2::Sha512>(call)
}

/// Base64 of a text, or of the whole message with `*`.
pub fn encode(call: &Call<'_>) -> Option<Value> {
    if call.text(1)? != "base64" {
        return None;
    }
    if call.star {
        return Some(Value::String(STANDARD.encode(call.evaluator.context.message.payload())));
    }
    let text = call.text(0)?;
    call.allows(text.len() / 3 * 4 + 4)?;
    Some(Value::String(STANDARD.encode(text.as_bytes())))
}

/// What base64 holds: an object or array if that is JSON of one, else text.
pub fn decode(call: &Call<'_>) -> Option<Value> {
    if call.text(1)? != "base64" {
        return None;
    }
    let decoded = if call.star {
        STANDARD.decode(call.evaluator.context.message.payload().trim_ascii()).ok()?
    } else {
        STANDARD.decode(call.text(0)?.as_bytes()).ok()?
    };
    match json::parse(&decoded) {
        Some(value @ (Value::Object(_) | Value::Array(_))) => Some(value),
        _ => String::from_utf8(decoded).ok().map(Value::String),
    }
}

fn hash<D: Digest>(call: &Call<'_>) -> Option<Value> {
    let digest = D::digest(call.text(0)?.as_bytes());
    let mut hex = String::with_capacity(digest.len() * 2);
    for byte in digest {
        for nibble in [byte >> 4, byte & 15] {
            hex.push(char::from_digit(nibble.into(), 16).unwrap_or('0'));
        }
    }
    Some(Value::String(hex))
}
