//! Properties against the facts of their type.
//!
//! Walks a resource's properties along the shapes that AWS publishes for its type:
//! unknown and missing properties, wrong kinds of values, texts, numbers, lists. It is
//! lenient where CloudFormation is: `"5"` is a number and `true` is text. What a
//! function returns is not known, except whether it is a list.

mod call;
mod list;
mod number;
mod object;
mod text;

use iotstack_assembly::intrinsic::{Function, Trail};
use iotstack_schema::{Format, ResourceType, Shape, StringShape};
use serde_json::Value;

use crate::value::shown;
use crate::{Code, Findings, ResourceSubject, Rule, Subject, Types};

/// The rule.
pub(super) struct ShapeRule;

impl Rule for ShapeRule {
    fn codes(&self) -> Vec<&'static Code> {
        vec![
            &object::UNKNOWN_PROPERTY,
            &object::MISSING_PROPERTY,
            &object::PROPERTY_GROUP,
            &object::READ_ONLY_PROPERTY,
            &object::INVALID_KEY,
            &WRONG_TYPE,
            &text::INVALID_VALUE,
            &text::PATTERN_MISMATCH,
            &text::INVALID_LENGTH,
            &number::OUT_OF_RANGE,
            &list::ITEM_COUNT,
            &list::DUPLICATE_ITEMS,
        ]
    }

    fn types(&self) -> Types {
        Types::All
    }

    fn resource(
        &self,
        resource: &ResourceSubject<'_>,
        subject: &Subject<'_>,
        findings: &mut Findings<'_>,
    ) {
        let Some(facts) = resource.facts else { return };
        // What a macro makes of the properties is known to its author only.
        if subject.has_own_macros() {
            return;
        }
        let properties = &resource.resource.properties;
        if Function::of_map(properties).is_some() {
            return;
        }
        object::read_only(facts, properties, resource.properties, findings);
        let mut walk = Walk { facts, subject, findings: Some(findings), failed: false };
        walk.object(&facts.properties, properties, resource.properties, true);
    }
}

/// A walk along the shapes of one type.
struct Walk<'w, 'a> {
    facts: &'static ResourceType,
    subject: &'w Subject<'w>,
    /// Where findings go; `None` to ask only whether there are any.
    findings: Option<&'w mut Findings<'a>>,
    failed: bool,
}

impl Walk<'_, '_> {
    /// Judges a value by a shape.
    fn value(&mut self, shape: &'static Shape, value: &Value, trail: &Trail<'_>) {
        let shape = self.facts.resolve(shape);
        if let Some(function) = Function::of(value) {
            return self.call(function, shape, trail);
        }
        match (shape, value) {
            // That null is not allowed is said by another rule.
            (Shape::Any, _) | (_, Value::Null) => {}
            (Shape::Json, Value::Object(_) | Value::String(_) | Value::Array(_)) => {}
            (Shape::Boolean, Value::Bool(_)) => {}
            (Shape::Boolean, Value::String(text)) if is_boolean(text) => {}
            (Shape::Integer(shape), _) => self.number(shape, true, value, trail),
            (Shape::Number(shape), _) => self.number(shape, false, value, trail),
            // JSON that is demanded as text may be written as an object as well.
            (Shape::String(StringShape { format: Some(Format::Json), .. }), Value::Object(_)) => {}
            (Shape::String(shape), Value::String(text)) => self.text(shape, text, trail),
            (Shape::String(shape), Value::Bool(_) | Value::Number(_)) => {
                self.text(shape, &value.to_string(), trail);
            }
            (Shape::Array(shape), Value::Array(items)) => self.list(shape, items, trail),
            (Shape::Object(shape), Value::Object(map)) => self.object(shape, map, trail, false),
            (Shape::Map(shape), Value::Object(map)) => self.map(shape, map, trail),
            (Shape::AnyOf(shapes), _) => self.any_of(shapes, value, trail),
            _ => self.wrong_type(shape, value, trail),
        }
    }

    /// Judges a value that has to have one shape of several.
    fn any_of(&mut self, shapes: &'static [Shape], value: &Value, trail: &Trail<'_>) {
        if shapes.iter().any(|shape| self.fits(shape, value)) {
            return;
        }
        if self.findings.is_none() {
            self.failed = true;
            return;
        }
        // The shape of the same kind is the one that was meant.
        let meant = shapes.iter().find(|shape| self.is_kind(shape, value));
        match meant {
            Some(shape) => self.value(shape, value, trail),
            None => {
                let kinds: Vec<_> = shapes.iter().map(|shape| self.kind(shape)).collect();
                self.report(&WRONG_TYPE, trail, || {
                    (format!("found {}; expected {}", shown(value), kinds.join(" or ")), None)
                });
            }
        }
    }

    /// Whether a value fits a shape, without saying why not.
    fn fits(&self, shape: &'static Shape, value: &Value) -> bool {
        let mut walk =
            Walk { facts: self.facts, subject: self.subject, findings: None, failed: false };
        walk.value(shape, value, &Trail::Root);
        !walk.failed
    }

    fn wrong_type(&mut self, shape: &'static Shape, value: &Value, trail: &Trail<'_>) {
        let kind = self.kind(shape);
        self.report(&WRONG_TYPE, trail, || {
            (format!("found {}; expected {kind}", shown(value)), None)
        });
    }

    /// Adds a finding; its text is made only if somebody wants it.
    fn report(
        &mut self,
        code: &'static Code,
        trail: &Trail<'_>,
        text: impl FnOnce() -> (String, Option<String>),
    ) {
        self.failed = true;
        if let Some(findings) = &mut self.findings {
            let (message, help) = text();
            findings.add(code, trail, message).help = help;
        }
    }

    /// Whether a shape and a value are the same kind of JSON.
    fn is_kind(&self, shape: &'static Shape, value: &Value) -> bool {
        matches!(
            (self.facts.resolve(shape), value),
            (Shape::Object(_) | Shape::Map(_), Value::Object(_))
                | (Shape::Array(_), Value::Array(_))
                | (Shape::String(_), Value::String(_))
                | (Shape::Integer(_) | Shape::Number(_), Value::Number(_))
        )
    }

    /// The kind of a shape in words.
    fn kind(&self, shape: &'static Shape) -> &'static str {
        match self.facts.resolve(shape) {
            Shape::Any | Shape::Definition(_) => "any value",
            Shape::Json => "an object, or JSON as text",
            Shape::Boolean => "true or false",
            Shape::Integer(_) => "a whole number",
            Shape::Number(_) => "a number",
            Shape::String(_) => "text",
            Shape::Array(_) => "a list",
            Shape::Object(_) | Shape::Map(_) => "an object",
            Shape::AnyOf(shapes) => shapes.first().map_or("any value", |shape| self.kind(shape)),
        }
    }
}

fn is_boolean(text: &str) -> bool {
    text.eq_ignore_ascii_case("true")
        || text.eq_ignore_ascii_case("false")
        || crate::value::is_dynamic(text)
}

pub(super) static WRONG_TYPE: Code = Code::error(
    "wrong-type",
    "A value is of the wrong kind: text where a list is expected, say. CloudFormation turns \
     numbers and booleans into text and back, but it never makes a list or an object out of \
     something else. Check the brackets, and in YAML the dashes and the indentation.",
);

#[cfg(test)]
mod tests;
