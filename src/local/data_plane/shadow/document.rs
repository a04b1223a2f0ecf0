//! The document of a shadow and the rules by which it changes: pure data.
//!
//! Each section of the state has a tree of metadata beside it, of the same shape,
//! which holds the time of the last change at each leaf. Keys merge, null removes,
//! arrays are replaced as a whole. What the device still has to do is the delta:
//! what is desired and not reported so.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::request::{Section, Update};
use crate::error::Error;

/// A shadow.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Document {
    /// Grows with every change, over deletions as well.
    pub version: u64,
    /// When it changed last, in seconds since 1970.
    pub timestamp: i64,
    desired: Part,
    reported: Part,
}

/// A section of the state with its metadata.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Part {
    state: Map<String, Value>,
    metadata: Map<String, Value>,
}

impl Document {
    /// The first document of a shadow whose last version was `version`.
    pub fn after(version: u64) -> Document {
        Document { version, ..Document::default() }
    }

    /// Applies an update at `now` (seconds).
    pub fn apply(&self, update: &Update, now: i64) -> Result<Document, Error> {
        if update.version.is_some_and(|version| version != self.version) {
            return Err(Error::Conflict);
        }
        let next = Document {
            version: self.version + 1,
            timestamp: now,
            desired: self.desired.apply(&update.desired, now),
            reported: self.reported.apply(&update.reported, now),
        };
        if size_of(&next.desired.state).saturating_add(size_of(&next.reported.state)) > LARGEST {
            return Err(Error::TooLarge);
        }
        Ok(next)
    }

    /// `{desired, reported}` without empty sections.
    pub fn state(&self) -> Value {
        pair(&self.desired.state, &self.reported.state)
    }

    /// The metadata, in the shape of the state.
    pub fn metadata(&self) -> Value {
        pair(&self.desired.metadata, &self.reported.metadata)
    }

    /// What is desired and not reported so, with the metadata of what is desired.
    pub fn delta(&self) -> Option<(Value, Value)> {
        let (state, metadata) =
            difference(&self.desired.state, &self.reported.state, &self.desired.metadata);
        (!state.is_empty()).then_some((Value::Object(state), Value::Object(metadata)))
    }

    /// The answer to a get.
    pub fn get_accepted(&self, now: i64, token: Option<&str>) -> Value {
        let mut state = self.state();
        if let (Some((delta, _)), Some(members)) = (self.delta(), state.as_object_mut()) {
            members.insert("delta".to_owned(), delta);
        }
        with_token(
            json!({
                "state": state,
                "metadata": self.metadata(),
                "version": self.version,
                "timestamp": now,
            }),
            token,
        )
    }

    /// The answer to the update that led here: what it said, and nothing else.
    pub fn update_accepted(&self, update: &Update) -> Value {
        let (mut state, mut metadata) = (Map::new(), Map::new());
        for (name, section) in [("desired", &update.desired), ("reported", &update.reported)] {
            match section {
                Section::Absent => {}
                Section::Null => {
                    state.insert(name.to_owned(), Value::Null);
                    metadata.insert(name.to_owned(), Value::Null);
                }
                Section::Keys(keys) => {
                    state.insert(name.to_owned(), Value::Object(keys.clone()));
                    metadata.insert(name.to_owned(), Value::Object(stamps(keys, self.timestamp)));
                }
            }
        }
        with_token(
            json!({
                "state": match update.empties_all {
                    true => Value::Null,
                    false => Value::Object(state),
                },
                "metadata": match update.empties_all {
                    true => json!({"timestamp": self.timestamp}),
                    false => Value::Object(metadata),
                },
                "version": self.version,
                "timestamp": self.timestamp,
            }),
            update.token.as_deref(),
        )
    }

    /// The message that tells the document before and after an update.
    pub fn documents(&self, previous: &Document, token: Option<&str>) -> Value {
        let one = |document: &Document| {
            json!({
                "state": document.state(),
                "metadata": document.metadata(),
                "version": document.version,
            })
        };
        with_token(
            json!({
                "previous": one(previous),
                "current": one(self),
                "timestamp": self.timestamp,
            }),
            token,
        )
    }

    /// The message that tells a device what to do; nothing if nothing differs.
    pub fn delta_message(&self, token: Option<&str>) -> Option<Value> {
        let (state, metadata) = self.delta()?;
        Some(with_token(
            json!({
                "version": self.version,
                "timestamp": self.timestamp,
                "state": state,
                "metadata": metadata,
            }),
            token,
        ))
    }

    /// The whole document, as other services of the cloud know it.
    pub fn whole(&self) -> Value {
        json!({
            "state": self.state(),
            "metadata": self.metadata(),
            "version": self.version,
            "timestamp": self.timestamp,
        })
    }
}

impl Part {
    fn apply(&self, section: &Section, now: i64) -> Part {
        match section {
            Section::Absent => self.clone(),
            Section::Null => Part::default(),
            Section::Keys(keys) => {
                let mut next = self.clone();
                merge(&mut next.state, &mut next.metadata, keys, now);
                next
            }
        }
    }
}

/// An answer with the token of the request.
pub fn with_token(mut answer: Value, token: Option<&str>) -> Value {
    if let (Some(token), Some(members)) = (token, answer.as_object_mut()) {
        members.insert("clientToken".to_owned(), token.into());
    }
    answer
}

fn pair(desired: &Map<String, Value>, reported: &Map<String, Value>) -> Value {
    let mut pair = Map::new();
    for (name, section) in [("desired", desired), ("reported", reported)] {
        if !section.is_empty() {
            pair.insert(name.to_owned(), Value::Object(section.clone()));
        }
    }
    Value::Object(pair)
}

fn merge(
    state: &mut Map<String, Value>,
    metadata: &mut Map<String, Value>,
    keys: &Map<String, Value>,
    now: i64,
) {
    for (name, value) in keys {
        match value {
            Value::Null => {
                // The order of the other keys must not depend on what was removed.
                state.shift_remove(name);
                metadata.shift_remove(name);
            }
            Value::Object(inner) => {
                let (kept, stamped) = (
                    state.entry(name).or_insert(Value::Null),
                    metadata.entry(name).or_insert(Value::Null),
                );
                if !kept.is_object() || !stamped.is_object() {
                    *kept = Value::Object(Map::new());
                    *stamped = Value::Object(Map::new());
                }
                if let (Value::Object(kept), Value::Object(stamped)) = (kept, stamped) {
                    merge(kept, stamped, inner, now);
                }
            }
            other => {
                state.insert(name.clone(), other.clone());
                metadata.insert(name.clone(), stamp(other, now));
            }
        }
    }
}

fn stamps(keys: &Map<String, Value>, now: i64) -> Map<String, Value> {
    keys.iter().map(|(name, value)| (name.clone(), stamp(value, now))).collect()
}

/// The metadata of a value: a time at each leaf, and for each element of an array.
fn stamp(value: &Value, now: i64) -> Value {
    match value {
        Value::Object(keys) => Value::Object(stamps(keys, now)),
        Value::Array(items) => Value::Array(items.iter().map(|item| stamp(item, now)).collect()),
        _ => json!({"timestamp": now}),
    }
}

fn difference(
    desired: &Map<String, Value>,
    reported: &Map<String, Value>,
    metadata: &Map<String, Value>,
) -> (Map<String, Value>, Map<String, Value>) {
    let (mut state, mut stamps) = (Map::new(), Map::new());
    for (name, wanted) in desired {
        let stamp = metadata.get(name);
        match (wanted, reported.get(name), stamp) {
            (Value::Object(wanted), Some(Value::Object(is)), Some(Value::Object(stamp))) => {
                let (inner, inner_stamps) = difference(wanted, is, stamp);
                if !inner.is_empty() {
                    state.insert(name.clone(), Value::Object(inner));
                    stamps.insert(name.clone(), Value::Object(inner_stamps));
                }
            }
            (wanted, Some(is), _) if same(wanted, is) => {}
            (wanted, _, stamp) => {
                state.insert(name.clone(), wanted.clone());
                stamps.insert(name.clone(), stamp.cloned().unwrap_or_default());
            }
        }
    }
    (state, stamps)
}

/// Whether two values are the same; 1 and 1.0 are.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

/// The bytes of a section as JSON; an empty one has none.
fn size_of(section: &Map<String, Value>) -> usize {
    if section.is_empty() {
        return 0;
    }
    serde_json::to_vec(section).map_or(usize::MAX, |text| text.len())
}

/// The largest state of a shadow, in bytes of JSON; metadata does not count.
const LARGEST: usize = 8 * 1024;
