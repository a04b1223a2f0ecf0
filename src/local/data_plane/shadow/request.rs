//! What a client asks of a shadow, read from the bytes that it sent.
//!
//! The checks come in the order in which AWS IoT answers: encoding, JSON, the
//! members beside the state, the state itself. What a rejection can still repeat,
//! the client token, is known as early as possible.

use serde_json::{Map, Value};

use crate::error::{Error, Rejection};

/// An update that has been read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Update {
    /// What is wished.
    pub desired: Section,
    /// What is.
    pub reported: Section,
    /// Whether it empties both by a null in place of the state.
    pub empties_all: bool,
    /// The version that the client has seen.
    pub version: Option<u64>,
    /// What the answers repeat.
    pub token: Option<String>,
}

/// What an update says about one section of the state.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Section {
    /// Nothing.
    #[default]
    Absent,
    /// It is to be emptied.
    Null,
    /// These keys are to change.
    Keys(Map<String, Value>),
}

impl Update {
    /// Reads the payload of an update.
    pub fn read(payload: &[u8]) -> Result<Update, Rejection> {
        let mut body = object(payload)?;
        let token = token(&body)?;
        let reject = |error: Error| Rejection { error, token: token.clone() };
        let version = match body.get("version") {
            None | Some(Value::Null) => None,
            Some(version) => Some(version.as_u64().ok_or_else(|| reject(Error::Version))?),
        };
        let state = body.remove("state");
        let empties_all = state == Some(Value::Null);
        let (desired, reported) = match state {
            None => return Err(reject(Error::NoState)),
            // Null for all of it stands for null for each of its sections.
            Some(Value::Null) => (Section::Null, Section::Null),
            Some(Value::Object(mut state)) => {
                let desired = section(state.remove("desired"), Error::Desired).map_err(reject)?;
                let reported =
                    section(state.remove("reported"), Error::Reported).map_err(reject)?;
                if !state.is_empty() {
                    return Err(reject(Error::InvalidNode));
                }
                (desired, reported)
            }
            Some(_) => return Err(reject(Error::State)),
        };
        Ok(Update { desired, reported, empties_all, version, token })
    }
}

/// Reads the payload of a get or a delete: nothing, or an object with a token.
pub fn token_of(payload: &[u8]) -> Result<Option<String>, Rejection> {
    if payload.trim_ascii().is_empty() {
        return Ok(None);
    }
    token(&object(payload)?)
}

fn object(payload: &[u8]) -> Result<Map<String, Value>, Rejection> {
    let reject = |error| Rejection { error, token: None };
    let text = std::str::from_utf8(payload).map_err(|_| reject(Error::Encoding))?;
    match serde_json::from_str(text) {
        Ok(Value::Object(body)) => Ok(body),
        _ => Err(reject(Error::Json)),
    }
}

fn token(body: &Map<String, Value>) -> Result<Option<String>, Rejection> {
    match body.get("clientToken") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(token)) if token.len() <= LONGEST_TOKEN => Ok(Some(token.clone())),
        Some(_) => Err(Rejection { error: Error::Token, token: None }),
    }
}

fn section(value: Option<Value>, wrong: Error) -> Result<Section, Error> {
    match value {
        None => Ok(Section::Absent),
        Some(Value::Null) => Ok(Section::Null),
        Some(Value::Object(keys)) => {
            let (mut levels, mut has_null) = (0, false);
            for value in keys.values() {
                look(value, 1, false, &mut levels, &mut has_null);
            }
            if levels > DEEPEST {
                return Err(Error::TooDeep);
            }
            if has_null {
                return Err(Error::InvalidNode);
            }
            Ok(Section::Keys(keys))
        }
        Some(_) => Err(wrong),
    }
}

/// Finds the deepest level of keys, and nulls where they mean nothing: in arrays.
fn look(value: &Value, level: usize, in_array: bool, levels: &mut usize, has_null: &mut bool) {
    *levels = (*levels).max(level);
    match value {
        Value::Null => *has_null |= in_array,
        Value::Array(items) => {
            for item in items {
                // An array in an array is a level of its own, else there were no bound.
                let level = level + usize::from(item.is_array());
                look(item, level, true, levels, has_null);
            }
        }
        Value::Object(keys) => {
            for value in keys.values() {
                look(value, level + 1, in_array, levels, has_null);
            }
        }
        _ => {}
    }
}

/// The longest client token, in bytes.
const LONGEST_TOKEN: usize = 64;

/// How many levels of keys a section may have. The text of the error says 6, which
/// was the limit once.
const DEEPEST: usize = 8;
