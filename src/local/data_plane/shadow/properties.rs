//! What holds for every sequence of updates of a shadow.
//!
//! Random updates are applied to a shadow and, in the most obvious way, to plain JSON;
//! state, metadata, version and delta must agree with it.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::document::Document;
use super::request::Update;

/// A value of a state; null removes where it is a member.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..3i64).prop_map(Value::from),
        "[ab]{0,2}".prop_map(Value::from),
        prop::collection::vec((0..3i64).prop_map(Value::from), 0..3).prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop::collection::vec(("[a-c]", inner), 0..3)
            .prop_map(|members| Value::Object(members.into_iter().collect()))
    })
}

fn section() -> impl Strategy<Value = Value> {
    prop_oneof![
        1 => Just(Value::Null),
        9 => prop::collection::vec(("[a-c]", value()), 0..4)
            .prop_map(|members| Value::Object(members.into_iter().collect())),
    ]
}

fn update() -> impl Strategy<Value = Value> {
    (prop::option::of(section()), prop::option::of(section())).prop_map(|(desired, reported)| {
        let mut state = Map::new();
        desired.map(|desired| state.insert("desired".to_owned(), desired));
        reported.map(|reported| state.insert("reported".to_owned(), reported));
        json!({"state": state})
    })
}

/// The obvious way to merge, on the whole state at once.
fn merged(state: &Value, change: &Value) -> Value {
    let Value::Object(change) = change else { return change.clone() };
    let mut result = state.as_object().cloned().unwrap_or_default();
    for (name, value) in change {
        if value.is_null() {
            result.remove(name);
        } else {
            let old = result.get(name).cloned().unwrap_or_default();
            result.insert(name.clone(), merged(&old, value));
        }
    }
    Value::Object(result)
}

/// Whether metadata has the shape of the state and a time at each leaf.
fn mirrors(state: &Value, metadata: &Value) -> bool {
    match (state, metadata) {
        (Value::Object(state), Value::Object(metadata)) => {
            state.len() == metadata.len()
                && state.iter().all(|(name, value)| {
                    metadata.get(name).is_some_and(|metadata| mirrors(value, metadata))
                })
        }
        (Value::Array(state), Value::Array(metadata)) => {
            state.len() == metadata.len() && state.iter().zip(metadata).all(|(s, m)| mirrors(s, m))
        }
        (Value::Object(_) | Value::Array(_), _) => false,
        (_, metadata) => metadata["timestamp"].is_i64(),
    }
}

proptest! {
    #[test]
    fn every_sequence_of_updates_keeps_a_shadow_sound(updates in prop::collection::vec(update(), 1..12)) {
        let mut document = Document::default();
        let (mut desired, mut reported) = (json!({}), json!({}));
        for (place, change) in updates.iter().enumerate() {
            let update = Update::read(change.to_string().as_bytes()).unwrap();
            document = document.apply(&update, place as i64).unwrap();
            prop_assert_eq!(document.version, place as u64 + 1);
            for (name, section) in [("desired", &mut desired), ("reported", &mut reported)] {
                match change["state"].get(name) {
                    None => {}
                    Some(Value::Null) => *section = json!({}),
                    Some(keys) => *section = merged(section, keys),
                }
                let kept = document.state().get(name).cloned().unwrap_or_else(|| json!({}));
                prop_assert_eq!(&kept, &*section);
            }
            prop_assert!(mirrors(&document.state(), &document.metadata()));
            // A device that does what the delta says has nothing left to do.
            let delta = document.delta().map_or_else(|| json!({}), |(delta, _)| delta);
            let report = json!({"state": {"reported": delta}});
            let update = Update::read(report.to_string().as_bytes()).unwrap();
            prop_assert!(document.apply(&update, 0).unwrap().delta().is_none());
        }
    }
}
