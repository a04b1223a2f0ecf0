//! Functions where a shape is expected.
//!
//! Both branches of `Fn::If` are judged. Of the other functions only one thing is
//! known: whether they return text or a list.

use iotstack_assembly::intrinsic::{Function, Trail};
use iotstack_schema::Shape;
use serde_json::Value;

use super::{WRONG_TYPE, Walk};
use crate::value::is_no_value;

impl Walk<'_, '_> {
    /// Judges a function call by the shape of the value that it stands for.
    pub(super) fn call(
        &mut self,
        function: Function<'_>,
        shape: &'static Shape,
        trail: &Trail<'_>,
    ) {
        let inner = trail.key(function.name);
        if function.name == "Fn::If" {
            let parts = function.argument.as_array();
            for (index, part) in parts.into_iter().flatten().enumerate().skip(1) {
                if !is_no_value(part) {
                    self.value(shape, part, &inner.item(index));
                }
            }
            return;
        }
        if self.subject.has_macros() {
            return;
        }
        let returned = self.returned(function);
        if accepts(self, shape, returned) {
            return;
        }
        let kind = self.kind(shape);
        self.report(&WRONG_TYPE, trail, || {
            let what = match returned {
                Returned::List => "a list",
                Returned::Text | Returned::Unknown => "text",
            };
            let help = match (returned, shape) {
                (Returned::Text, Shape::Array(_)) => {
                    Some("put it into a list of its own".to_owned())
                }
                _ => None,
            };
            (format!("`{}` returns {what}; expected {kind}", function.name), help)
        });
    }

    fn returned(&self, function: Function<'_>) -> Returned {
        match function.name {
            "Fn::Join" | "Fn::Sub" | "Fn::Base64" | "Fn::ToJsonString" => Returned::Text,
            "Fn::Split" | "Fn::GetAZs" | "Fn::Cidr" => Returned::List,
            "Ref" => self.referred(function.argument.as_str().unwrap_or_default()),
            _ => Returned::Unknown,
        }
    }

    /// What a `Ref` returns.
    fn referred(&self, name: &str) -> Returned {
        let template = self.subject.template;
        if let Some(parameter) = template.parameters.get(name) {
            let kind = parameter.get("Type").and_then(Value::as_str).unwrap_or_default();
            return if kind == "CommaDelimitedList" || kind.contains("List<") {
                Returned::List
            } else if kind.starts_with("AWS::SSM::") {
                Returned::Unknown
            } else {
                Returned::Text
            };
        }
        // What a resource returns is text for all types but a few; not worth a guess.
        Returned::Unknown
    }
}

/// What a function returns, as far as that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Returned {
    Text,
    List,
    Unknown,
}

/// Whether what a function returns can be a value of this shape.
fn accepts(walk: &Walk<'_, '_>, shape: &'static Shape, returned: Returned) -> bool {
    match (walk.facts.resolve(shape), returned) {
        (_, Returned::Unknown) | (Shape::Any | Shape::Json | Shape::Definition(_), _) => true,
        (Shape::AnyOf(shapes), _) => shapes.iter().any(|shape| accepts(walk, shape, returned)),
        (Shape::Array(_), returned) => returned == Returned::List,
        (Shape::Object(_) | Shape::Map(_), _) => false,
        (_, returned) => returned == Returned::Text,
    }
}
