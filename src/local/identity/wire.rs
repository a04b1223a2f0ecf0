//! Small things that the JSON services of this crate share on the wire.
//!
//! Bytes in base64, moments as numbers, and tags with their rules. What all local
//! services share is in the kernel.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use iotstack_local_kernel::{Fault, Timestamp, loose, violation, violations};
use serde_json::{Map, Value, json};

/// Tags by their key.
pub(crate) type Tags = BTreeMap<String, String>;

/// Bytes of a member, which JSON writes in base64.
pub(crate) fn bytes(input: &Map<String, Value>, member: &str) -> Result<Option<Vec<u8>>, Fault> {
    let Some(text) = loose::text(input, member)? else { return Ok(None) };
    STANDARD
        .decode(text.trim())
        .map(Some)
        .map_err(|_| Fault::invalid_input(format!("{member} must be base64")))
}

/// Bytes in base64.
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// A moment as JSON APIs write it.
pub(crate) fn moment(at: Timestamp) -> Value {
    json!(at.fractional_seconds())
}

/// Tags as a list of pairs with the given member names.
pub(crate) fn tag_list(tags: &Tags, (key, value): (&str, &str)) -> Value {
    tags.iter().map(|(k, v)| json!({ key: k, value: v })).collect()
}

/// A member that is not what the API's model says.
pub(crate) fn violating(member: &str, value: Option<&str>, wanted: &str) -> Fault {
    let reason = violations(&[violation(member, value, wanted)]);
    Fault::new("ValidationException", 400, reason)
}

/// Adds tags, at most fifty.
pub(crate) fn add_tags(tags: &mut Tags, more: Vec<(String, String)>) -> Result<(), Fault> {
    let mut together = tags.clone();
    for (key, value) in more {
        let long = key.chars().count() > 128 || value.chars().count() > 256;
        if key.is_empty() || long || key.starts_with("aws:") {
            let wanted = "a key of 1 to 128 characters, not `aws:…`, and a value of at most 256";
            return Err(Fault::invalid_input(format!("tag `{key}` needs {wanted}")));
        }
        together.insert(key, value);
    }
    if together.len() > 50 {
        return Err(Fault::invalid_input(format!("50 tags are accepted, not {}", together.len())));
    }
    *tags = together;
    Ok(())
}
