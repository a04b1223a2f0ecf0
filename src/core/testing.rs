//! Assertions about templates, for the tests of people who write stacks.
//!
//! ```
//! use iotstack_core::testing::{Template, any, object_like};
//! use iotstack_core::{App, Props, Stack};
//!
//! let app = App::new();
//! let stack = app.add("fleet", Stack::default());
//! let mut group = Props::new();
//! group.set("ThingGroupName", "pumps-dev");
//! stack.untyped("Pumps", "AWS::IoT::ThingGroup", group);
//!
//! let template = Template::from(&stack);
//! template.resource_count_is("AWS::IoT::ThingGroup", 1);
//! template.has_properties("AWS::IoT::ThingGroup", object_like([("ThingGroupName", "pumps-dev")]));
//! template.has_properties("AWS::IoT::ThingGroup", object_like([("ThingGroupName", any())]));
//! ```
//!
//! An assertion that does not hold panics with what was looked for and the nearest
//! things found, because that is what a test wants.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use iotstack_assembly::Resource as TemplateResource;
use serde_json::Value;

use crate::resource::Resource;
use crate::stack::StackRef;
use crate::synth;

/// The template of a stack, with assertions.
#[derive(Debug, Clone)]
pub struct Template(iotstack_assembly::Template);

impl From<&StackRef> for Template {
    /// Renders the stack. Panics with all findings if the app has errors.
    fn from(stack: &StackRef) -> Self {
        match synth::template(&stack.tree().borrow(), stack.node()) {
            Ok(template) => Template(template),
            Err(error) => panic!("{error}"),
        }
    }
}

impl From<iotstack_assembly::Template> for Template {
    fn from(template: iotstack_assembly::Template) -> Self {
        Template(template)
    }
}

impl Template {
    /// The template itself.
    pub fn template(&self) -> &iotstack_assembly::Template {
        &self.0
    }

    /// The template as JSON.
    pub fn to_json(&self) -> Value {
        self.0.to_value()
    }

    /// Panics unless a resource of the type has properties like these.
    #[track_caller]
    pub fn has_resource<R: Resource>(&self, properties: impl Into<Match>) {
        self.has_properties(R::TYPE, properties);
    }

    /// The same by the type's name.
    #[track_caller]
    pub fn has_properties(&self, kind: &str, properties: impl Into<Match>) {
        let pattern = properties.into();
        let candidates: Vec<_> = self
            .of_type(kind)
            .map(|(id, resource)| (id, Value::Object(resource.properties.clone())))
            .collect();
        self.any_matches(
            &format!("resource of type {kind} with properties"),
            &pattern,
            &candidates,
        );
    }

    /// Panics unless a resource of the type is like this as a whole: `DependsOn`,
    /// `DeletionPolicy`, `Metadata` and so on, with `Properties` among them.
    #[track_caller]
    pub fn has_whole_resource<R: Resource>(&self, resource: impl Into<Match>) {
        let candidates: Vec<_> =
            self.of_type(R::TYPE).map(|(id, resource)| (id, resource.to_value())).collect();
        self.any_matches(&format!("resource of type {}", R::TYPE), &resource.into(), &candidates);
    }

    /// Panics unless exactly `count` resources are of the type.
    #[track_caller]
    pub fn resource_count_is(&self, kind: &str, count: usize) {
        let found: Vec<_> = self.of_type(kind).map(|(id, _)| id).collect();
        assert!(
            found.len() == count,
            "expected {count} resources of type {kind}, found {}: {}",
            found.len(),
            found.join(", ")
        );
    }

    /// Panics unless exactly `count` resources are of the type.
    #[track_caller]
    pub fn has_count<R: Resource>(&self, count: usize) {
        self.resource_count_is(R::TYPE, count);
    }

    /// The logical ids and properties of the resources of a type.
    pub fn find<R: Resource>(&self) -> Vec<(String, Value)> {
        self.of_type(R::TYPE)
            .map(|(id, resource)| (id.to_owned(), Value::Object(resource.properties.clone())))
            .collect()
    }

    /// Panics unless the output is there and like this.
    #[track_caller]
    pub fn has_output(&self, name: &str, output: impl Into<Match>) {
        self.has_named("output", name, output, &self.0.outputs);
    }

    /// Panics unless the parameter is there and like this.
    #[track_caller]
    pub fn has_parameter(&self, name: &str, parameter: impl Into<Match>) {
        self.has_named("parameter", name, parameter, &self.0.parameters);
    }

    /// Panics unless the condition is there and like this.
    #[track_caller]
    pub fn has_condition(&self, name: &str, condition: impl Into<Match>) {
        self.has_named("condition", name, condition, &self.0.conditions);
    }

    /// Panics unless the whole template is like this.
    #[track_caller]
    pub fn matches(&self, template: impl Into<Match>) {
        self.any_matches("template", &template.into(), &[("template", self.to_json())]);
    }

    fn of_type<'a>(
        &'a self,
        kind: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a TemplateResource)> {
        self.0
            .resources
            .iter()
            .filter(move |(_, resource)| resource.kind == kind)
            .map(|(id, resource)| (id.as_str(), resource))
    }

    #[track_caller]
    fn has_named(
        &self,
        what: &str,
        name: &str,
        pattern: impl Into<Match>,
        section: &indexmap::IndexMap<String, Value>,
    ) {
        let known = || section.keys().cloned().collect::<Vec<_>>().join(", ");
        let Some(value) = section.get(name) else {
            panic!("no {what} `{name}`; the template has: {}", known());
        };
        self.any_matches(&format!("{what} `{name}`"), &pattern.into(), &[(name, value.clone())]);
    }

    #[track_caller]
    fn any_matches(&self, what: &str, pattern: &Match, candidates: &[(&str, Value)]) {
        let mut reasons = String::new();
        for (id, value) in candidates {
            match pattern.check(value, "") {
                Ok(captured) => return captured.into_iter().for_each(Captured::keep),
                Err(reason) => reasons.push_str(&format!("\n  {id}: {reason}")),
            }
        }
        if candidates.is_empty() {
            let known: Vec<_> = self
                .0
                .resources
                .iter()
                .map(|(id, found)| format!("{id} ({})", found.kind))
                .collect();
            panic!("no {what}; the template has: {}", known.join(", "));
        }
        panic!("no {what} {pattern}; closest:{reasons}");
    }
}

/// What a value must be like.
#[derive(Debug, Clone)]
pub enum Match {
    /// Equal, and nothing more.
    Exact(Value),
    /// An object with at least these entries.
    ObjectLike(Vec<(String, Match)>),
    /// A list with at least these items, in this order.
    ArrayWith(Vec<Match>),
    /// Anything that is there.
    Any,
    /// Not there.
    Absent,
    /// Anything that the pattern does not describe.
    Not(Box<Match>),
    /// Text that contains this.
    TextContaining(String),
    /// JSON text of a value like this.
    SerializedJson(Box<Match>),
    /// Remembered.
    Capture(Capture, Box<Match>),
}

/// An object with at least these entries.
pub fn object_like<K: Into<String>, M: Into<Match>>(
    entries: impl IntoIterator<Item = (K, M)>,
) -> Match {
    Match::ObjectLike(entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
}

/// A list with at least these items, in this order.
pub fn array_with<M: Into<Match>>(items: impl IntoIterator<Item = M>) -> Match {
    Match::ArrayWith(items.into_iter().map(Into::into).collect())
}

/// Exactly this value.
pub fn exact(value: impl Into<Value>) -> Match {
    Match::Exact(value.into())
}

/// Anything that is there.
pub fn any() -> Match {
    Match::Any
}

/// Not there.
pub fn absent() -> Match {
    Match::Absent
}

/// Anything that the pattern does not describe.
pub fn not(pattern: impl Into<Match>) -> Match {
    Match::Not(Box::new(pattern.into()))
}

/// Text that contains `part`.
pub fn text_containing(part: impl Into<String>) -> Match {
    Match::TextContaining(part.into())
}

/// JSON text of a value like this, such as a job document.
pub fn serialized_json(pattern: impl Into<Match>) -> Match {
    Match::SerializedJson(Box::new(pattern.into()))
}

/// Remembers values that a pattern met.
#[derive(Debug, Clone, Default)]
pub struct Capture(Rc<RefCell<Vec<Value>>>);

impl Capture {
    /// Nothing remembered yet.
    pub fn new() -> Self {
        Capture::default()
    }

    /// A pattern that fits anything and remembers it.
    pub fn anything(&self) -> Match {
        self.like(Match::Any)
    }

    /// A pattern that remembers what fits `pattern`.
    pub fn like(&self, pattern: impl Into<Match>) -> Match {
        Match::Capture(self.clone(), Box::new(pattern.into()))
    }

    /// The value remembered last. Panics if there is none.
    #[track_caller]
    pub fn value(&self) -> Value {
        match self.0.borrow().last() {
            Some(value) => value.clone(),
            None => panic!("nothing was captured; assert with the pattern first"),
        }
    }

    /// The text remembered last. Panics if there is none.
    #[track_caller]
    pub fn text(&self) -> String {
        match self.value() {
            Value::String(text) => text,
            other => panic!("captured {other}, expected text"),
        }
    }
}

/// A value to remember once the whole pattern fits.
struct Captured(Capture, Value);

impl Captured {
    fn keep(self) {
        self.0.0.borrow_mut().push(self.1);
    }
}

impl Match {
    /// What would be remembered, or why the value does not fit, with the place.
    fn check(&self, value: &Value, place: &str) -> Result<Vec<Captured>, String> {
        let at = if place.is_empty() { "the value" } else { place };
        let refuse = |expected: String| Err(format!("{at} is {value}, expected {expected}"));
        match self {
            Match::Any if !value.is_null() => Ok(Vec::new()),
            Match::Exact(expected) if value == expected => Ok(Vec::new()),
            Match::TextContaining(part)
                if value.as_str().is_some_and(|text| text.contains(part)) =>
            {
                Ok(Vec::new())
            }
            Match::Any | Match::Exact(_) | Match::TextContaining(_) | Match::Absent => {
                refuse(self.to_string())
            }
            Match::Not(pattern) => match pattern.check(value, place) {
                Ok(_) => refuse(self.to_string()),
                Err(_) => Ok(Vec::new()),
            },
            Match::ObjectLike(entries) => {
                let Some(map) = value.as_object() else { return refuse("an object".into()) };
                let mut captured = Vec::new();
                for (key, pattern) in entries {
                    let place = format!("{place}/{key}");
                    match (map.get(key), pattern) {
                        (None, Match::Absent) => {}
                        (None, Match::Not(inner)) if !matches!(**inner, Match::Absent) => {}
                        (None, _) => return Err(format!("{place} is missing, expected {pattern}")),
                        (Some(value), _) => captured.extend(pattern.check(value, &place)?),
                    }
                }
                Ok(captured)
            }
            Match::ArrayWith(patterns) => {
                let Some(items) = value.as_array() else { return refuse("a list".into()) };
                let mut captured = Vec::new();
                let mut rest = items.iter();
                for pattern in patterns {
                    let fits = rest.by_ref().find_map(|item| pattern.check(item, place).ok());
                    captured.extend(fits.ok_or_else(|| {
                        format!("{at} has no item (after those before it) like {pattern}: {value}")
                    })?);
                }
                Ok(captured)
            }
            Match::SerializedJson(pattern) => {
                let parsed = value.as_str().and_then(|text| serde_json::from_str(text).ok());
                let Some(parsed) = parsed else { return refuse("JSON text".into()) };
                pattern.check(&parsed, &format!("{place}(JSON)"))
            }
            Match::Capture(capture, pattern) => {
                let mut captured = pattern.check(value, place)?;
                captured.push(Captured(capture.clone(), value.clone()));
                Ok(captured)
            }
        }
    }
}

impl fmt::Display for Match {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Match::Exact(value) => write!(formatter, "{value}"),
            Match::Any => formatter.write_str("anything"),
            Match::Absent => formatter.write_str("nothing"),
            Match::Not(pattern) => write!(formatter, "anything but {pattern}"),
            Match::TextContaining(part) => write!(formatter, "text containing `{part}`"),
            Match::SerializedJson(pattern) => write!(formatter, "JSON text of {pattern}"),
            Match::Capture(_, pattern) => pattern.fmt(formatter),
            Match::ObjectLike(entries) => {
                formatter.write_str("{")?;
                for (index, (key, pattern)) in entries.iter().enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    write!(formatter, "{comma}{key}: {pattern}")?;
                }
                formatter.write_str(", …}")
            }
            Match::ArrayWith(items) => {
                formatter.write_str("[")?;
                for item in items {
                    write!(formatter, "{item}, ")?;
                }
                formatter.write_str("…]")
            }
        }
    }
}

impl From<Value> for Match {
    /// Objects need at least these entries, at every depth; all else is exact.
    fn from(value: Value) -> Self {
        match value {
            Value::Object(map) => object_like(map),
            other => Match::Exact(other),
        }
    }
}

macro_rules! exact_from {
    ($($type:ty),*) => {$(
        impl From<$type> for Match {
            fn from(value: $type) -> Self {
                Match::Exact(value.into())
            }
        }
    )*};
}

exact_from!(&str, String, bool, i64, i32);

#[cfg(test)]
mod tests;
