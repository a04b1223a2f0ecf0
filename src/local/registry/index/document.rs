//! What can be asked of one thing or one group, and what the index hears of a
//! thing beyond the registry.
//!
//! Values are shown where they lie; nothing is copied for a query.

use std::collections::BTreeMap;
use std::sync::Arc;

use iotstack_local_kernel::Timestamp;
use serde_json::{Map, Value, json};

use super::Configuration;
use crate::state::{Group, State, Thing};

/// What is known of a thing beyond the registry.
#[derive(Debug, Clone, Default)]
pub struct Indexed {
    pub connectivity: Option<Connectivity>,
    pub classic: Option<Arc<Value>>,
    pub named: BTreeMap<Arc<str>, Arc<Value>>,
}

/// Whether a thing is connected, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connectivity {
    pub connected: bool,
    pub at: Timestamp,
    pub reason: Option<&'static str>,
}

/// A value of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar<'a> {
    Text(&'a str),
    Number(f64),
    Bool(bool),
}

/// Something that can be asked for its fields.
pub trait Fields {
    /// Shows all values of a field.
    fn field(&self, name: &str, show: &mut dyn FnMut(Scalar<'_>));
    /// Shows the texts that a term without a field is compared with.
    fn texts(&self, show: &mut dyn FnMut(Scalar<'_>));
}

/// A thing as the index sees it.
pub struct Document<'s> {
    pub thing: &'s Thing,
    pub indexed: Option<&'s Indexed>,
    pub configuration: &'s Configuration,
}

/// A group as the index sees it.
pub struct GroupDocument<'s> {
    pub group: &'s Group,
    pub state: &'s State,
}

impl Indexed {
    /// Takes note of a shadow.
    pub fn learn(&mut self, name: Option<Arc<str>>, document: Arc<Value>) {
        match name {
            None => self.classic = Some(document),
            Some(name) => {
                self.named.insert(name, document);
            }
        }
    }

    /// Forgets a shadow.
    pub fn forget(&mut self, name: Option<&str>) {
        match name {
            None => self.classic = None,
            Some(name) => {
                self.named.remove(name);
            }
        }
    }
}

impl<'s> Document<'s> {
    /// A thing of the state.
    pub fn of(state: &'s State, thing: &'s Thing) -> Self {
        let indexed = state.indexed.get(&thing.name);
        Document { thing, indexed, configuration: &state.settings.indexing }
    }

    /// The thing as SearchIndex shows it.
    pub fn show(&self) -> Value {
        let thing = self.thing;
        let mut shown = json!({
            "thingName": &*thing.name,
            "thingId": thing.id,
            "thingGroupNames": thing.groups.iter().map(|group| &**group).collect::<Vec<_>>(),
            "attributes": thing.attributes,
        });
        if let Some(thing_type) = &thing.thing_type {
            shown["thingTypeName"] = json!(&**thing_type);
        }
        let mut shadows = Map::new();
        if let Some(Value::Object(members)) = self.classic().map(show_shadow) {
            shadows = members;
        }
        let named: Map<String, Value> = self
            .configuration
            .named_shadows()
            .iter()
            .filter_map(|name| Some((name.clone(), show_shadow(self.named(name)?))))
            .collect();
        if !named.is_empty() {
            shadows.insert("name".to_owned(), Value::Object(named));
        }
        if !shadows.is_empty() {
            shown["shadow"] = json!(Value::Object(shadows).to_string());
        }
        if let Some(connectivity) = self.connectivity() {
            let mut found = json!({
                "connected": connectivity.connected,
                "timestamp": connectivity.at.millis(),
            });
            if let Some(reason) = connectivity.reason {
                found["disconnectReason"] = json!(reason);
            }
            shown["connectivity"] = found;
        }
        shown
    }

    fn classic(&self) -> Option<&'s Value> {
        let indexed = self.indexed.filter(|_| self.configuration.classic_indexed())?;
        indexed.classic.as_deref()
    }

    fn named(&self, name: &str) -> Option<&'s Value> {
        let indexed = self.indexed.filter(|_| self.configuration.named_indexed(name))?;
        indexed.named.get(name).map(|document| &**document)
    }

    fn connectivity(&self) -> Option<Connectivity> {
        self.configuration.connectivity_indexed().then_some(())?;
        // A thing that was never connected is not connected.
        Some(self.indexed.and_then(|indexed| indexed.connectivity).unwrap_or(Connectivity {
            connected: false,
            at: Timestamp(0),
            reason: None,
        }))
    }
}

impl Fields for Document<'_> {
    fn field(&self, name: &str, show: &mut dyn FnMut(Scalar<'_>)) {
        let name = name.strip_prefix("registry.").unwrap_or(name);
        match name {
            "thingName" => show(Scalar::Text(&self.thing.name)),
            "thingId" => show(Scalar::Text(&self.thing.id)),
            "thingTypeName" => {
                if let Some(thing_type) = &self.thing.thing_type {
                    show(Scalar::Text(thing_type));
                }
            }
            "thingGroupNames" => {
                for group in &self.thing.groups {
                    show(Scalar::Text(group));
                }
            }
            "billingGroupName" => {
                if let Some(group) = &self.thing.billing_group {
                    show(Scalar::Text(group));
                }
            }
            "version" => show(Scalar::Number(self.thing.version as f64)),
            _ => self.nested(name, show),
        }
    }

    fn texts(&self, show: &mut dyn FnMut(Scalar<'_>)) {
        show(Scalar::Text(&self.thing.name));
        if let Some(thing_type) = &self.thing.thing_type {
            show(Scalar::Text(thing_type));
        }
        for group in &self.thing.groups {
            show(Scalar::Text(group));
        }
        for value in self.thing.attributes.values() {
            show(Scalar::Text(value));
        }
    }
}

impl Document<'_> {
    fn nested(&self, name: &str, show: &mut dyn FnMut(Scalar<'_>)) {
        if let Some(key) = name.strip_prefix("attributes.") {
            if let Some(value) = self.thing.attributes.get(key) {
                show(Scalar::Text(value));
            }
        } else if let Some(rest) = name.strip_prefix("shadow.name.") {
            // The name of a shadow has no dots.
            if let Some((name, path)) = rest.split_once('.')
                && let Some(document) = self.named(name)
            {
                shadow_field(document, path, show);
            }
        } else if let Some(path) = name.strip_prefix("shadow.") {
            if let Some(document) = self.classic() {
                shadow_field(document, path, show);
            }
        } else if let (Some(path), Some(connectivity)) =
            (name.strip_prefix("connectivity."), self.connectivity())
        {
            match path {
                "connected" => show(Scalar::Bool(connectivity.connected)),
                "timestamp" => show(Scalar::Number(connectivity.at.millis() as f64)),
                "disconnectReason" => {
                    if let Some(reason) = connectivity.reason {
                        show(Scalar::Text(reason));
                    }
                }
                _ => {}
            }
        }
    }
}

impl GroupDocument<'_> {
    /// The group as SearchIndex shows it.
    pub fn show(&self) -> Value {
        let parents: Vec<&str> =
            self.state.ancestors(self.group).iter().map(|parent| &*parent.name).collect();
        let mut shown = json!({
            "thingGroupName": &*self.group.name,
            "thingGroupId": self.group.id,
            "attributes": self.group.attributes,
            "parentGroupNames": parents,
        });
        if let Some(description) = &self.group.description {
            shown["thingGroupDescription"] = json!(description);
        }
        shown
    }
}

impl Fields for GroupDocument<'_> {
    fn field(&self, name: &str, show: &mut dyn FnMut(Scalar<'_>)) {
        match name {
            "thingGroupName" => show(Scalar::Text(&self.group.name)),
            "thingGroupId" => show(Scalar::Text(&self.group.id)),
            "thingGroupDescription" => {
                if let Some(description) = &self.group.description {
                    show(Scalar::Text(description));
                }
            }
            "parentGroupNames" => {
                for parent in self.state.ancestors(self.group) {
                    show(Scalar::Text(&parent.name));
                }
            }
            _ => {
                let key = name.strip_prefix("attributes.");
                if let Some(value) = key.and_then(|key| self.group.attributes.get(key)) {
                    show(Scalar::Text(value));
                }
            }
        }
    }

    fn texts(&self, show: &mut dyn FnMut(Scalar<'_>)) {
        show(Scalar::Text(&self.group.name));
        for value in self.group.attributes.values() {
            show(Scalar::Text(value));
        }
    }
}

/// A field of a shadow: of `reported`, `desired`, or one of its own.
fn shadow_field(document: &Value, path: &str, show: &mut dyn FnMut(Scalar<'_>)) {
    match path {
        "hasDelta" => show(Scalar::Bool(has_delta(document))),
        "version" => {
            if let Some(version) = document.get("version").and_then(Value::as_f64) {
                show(Scalar::Number(version));
            }
        }
        _ => {
            if let Some(state) = document.get("state") {
                walk(state, path, show);
            }
        }
    }
}

/// Follows a dotted path; a key may hold dots itself.
fn walk(value: &Value, path: &str, show: &mut dyn FnMut(Scalar<'_>)) {
    let Value::Object(members) = value else { return };
    if let Some(found) = members.get(path) {
        leaves(found, show);
        return;
    }
    for (at, _) in path.match_indices('.') {
        if let Some(inner) = members.get(&path[..at]) {
            walk(inner, &path[at + 1..], show);
            return;
        }
    }
}

fn leaves(value: &Value, show: &mut dyn FnMut(Scalar<'_>)) {
    match value {
        Value::String(text) => show(Scalar::Text(text)),
        Value::Number(number) => show(Scalar::Number(number.as_f64().unwrap_or(f64::NAN))),
        Value::Bool(value) => show(Scalar::Bool(*value)),
        Value::Array(items) => items.iter().for_each(|item| leaves(item, show)),
        Value::Null | Value::Object(_) => {}
    }
}

fn has_delta(document: &Value) -> bool {
    let state = document.get("state");
    match state.and_then(|state| state.get("desired")) {
        Some(desired) => differs(desired, state.and_then(|state| state.get("reported"))),
        None => false,
    }
}

fn differs(desired: &Value, reported: Option<&Value>) -> bool {
    match (desired, reported) {
        (Value::Object(desired), Some(Value::Object(reported))) => {
            desired.iter().any(|(key, value)| differs(value, reported.get(key)))
        }
        (Value::Object(desired), None) => desired.values().any(|value| differs(value, None)),
        (desired, reported) => reported != Some(desired),
    }
}

fn show_shadow(document: &Value) -> Value {
    let mut shown = Map::new();
    if let Some(Value::Object(state)) = document.get("state") {
        for section in ["desired", "reported"] {
            if let Some(found) = state.get(section) {
                shown.insert(section.to_owned(), found.clone());
            }
        }
    }
    if let Some(metadata) = document.get("metadata") {
        shown.insert("metadata".to_owned(), metadata.clone());
    }
    shown.insert("hasDelta".to_owned(), json!(has_delta(document)));
    if let Some(version) = document.get("version") {
        shown.insert("version".to_owned(), version.clone());
    }
    Value::Object(shown)
}
