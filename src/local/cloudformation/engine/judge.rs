//! Resolved properties against the facts of their type.
//!
//! [`coerce`] turns values into what the type expects, as far as CloudFormation
//! does: `"5"` becomes a number where one is wanted, `true` a text. [`judge`]
//! then asks the rules about shapes, this time about values without functions.

use iotstack_assembly::{Resource, Severity, Template};
use iotstack_check::Context;
use iotstack_schema::{ResourceType, Shape};
use serde_json::{Map, Value};

use super::functions::scalar;

/// What is wrong with the properties of a resource, in one text.
///
/// # Errors
/// The findings.
pub fn judge(logical_id: &str, kind: &str, properties: &Map<String, Value>) -> Result<(), String> {
    let resource = Resource { properties: properties.clone(), ..Resource::new(kind) };
    let mut template = Template::default();
    template.resources.insert(logical_id.to_owned(), resource);
    let found = iotstack_check::check(&template, &Context::default());
    let wrong: Vec<String> = found
        .iter()
        .filter(|found| found.severity == Severity::Error && SHAPES.contains(&found.code))
        .map(|found| {
            // Resources/<id>/Properties/…
            let place = found.place.path.get(3..).unwrap_or_default().join("/");
            let help = found.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
            format!("#/{place}: {}{help}", found.message)
        })
        .collect();
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "Properties validation failed for resource {logical_id} with message: {}",
            wrong.join("; ")
        ))
    }
}

/// The properties with scalars of the kinds that the type expects.
pub fn coerce(facts: &'static ResourceType, properties: &mut Map<String, Value>) {
    for (name, value) in properties {
        if let Some(property) = facts.properties.property(name) {
            coerce_value(facts, &property.shape, value);
        }
    }
}

fn coerce_value(facts: &'static ResourceType, shape: &'static Shape, value: &mut Value) {
    match (facts.resolve(shape), value) {
        (Shape::Boolean, value @ Value::String(_)) => match value.as_str() {
            Some(text) if text.eq_ignore_ascii_case("true") => *value = Value::Bool(true),
            Some(text) if text.eq_ignore_ascii_case("false") => *value = Value::Bool(false),
            _ => {}
        },
        (Shape::Integer(_), value @ (Value::String(_) | Value::Number(_))) => {
            let whole = match &*value {
                Value::String(text) => text.trim().parse::<i64>().ok(),
                // `30.0` is a whole number for CloudFormation.
                other => other
                    .as_f64()
                    .filter(|float| {
                        !other.is_i64()
                            && !other.is_u64()
                            && float.fract() == 0.0
                            && float.abs() < 9e15
                    })
                    .map(|float| float as i64),
            };
            if let Some(whole) = whole {
                *value = Value::from(whole);
            }
        }
        (Shape::Number(_), value @ Value::String(_)) => {
            let number = value.as_str().and_then(|text| {
                let text = text.trim();
                text.parse::<i64>().map(Value::from).ok().or_else(|| {
                    text.parse::<f64>()
                        .ok()
                        .and_then(serde_json::Number::from_f64)
                        .map(Value::Number)
                })
            });
            if let Some(number) = number {
                *value = number;
            }
        }
        (Shape::String(_), value @ (Value::Bool(_) | Value::Number(_))) => {
            if let Some(text) = scalar(value).map(|text| text.into_owned()) {
                *value = Value::String(text);
            }
        }
        (Shape::Array(array), Value::Array(items)) => {
            for item in items {
                coerce_value(facts, &array.items, item);
            }
        }
        (Shape::Object(object), Value::Object(map)) => {
            for (name, value) in map {
                if let Some(property) = object.property(name) {
                    coerce_value(facts, &property.shape, value);
                }
            }
        }
        (Shape::Map(shape), Value::Object(map)) => {
            // All patterns of one map describe values of one kind in practice.
            let inner = shape.patterns.first().map(|(_, shape)| shape).or(shape.other.as_ref());
            if let Some(inner) = inner {
                for value in map.values_mut() {
                    coerce_value(facts, inner, value);
                }
            }
        }
        (Shape::AnyOf(shapes), value) => {
            let fitting = shapes.iter().find(|shape| {
                matches!(
                    (facts.resolve(shape), &*value),
                    (Shape::Object(_) | Shape::Map(_), Value::Object(_))
                        | (Shape::Array(_), Value::Array(_))
                )
            });
            if let Some(shape) = fitting {
                coerce_value(facts, shape, value);
            }
        }
        _ => {}
    }
}

/// The value as custom resources get it: all scalars as texts.
pub fn as_texts(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            map.iter().map(|(key, value)| (key.clone(), as_texts(value))).collect()
        }
        Value::Array(items) => items.iter().map(as_texts).collect(),
        other => scalar(other).map_or(Value::Null, |text| Value::String(text.into_owned())),
    }
}

/// The findings about the shape of properties.
const SHAPES: &[&str] = &[
    "duplicate-items",
    "invalid-key",
    "invalid-length",
    "invalid-value",
    "item-count",
    "missing-property",
    "out-of-range",
    "pattern-mismatch",
    "property-group",
    "read-only-property",
    "unknown-property",
    "wrong-type",
];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn coerced(kind: &str, properties: Value) -> Value {
        let mut properties = properties.as_object().unwrap().clone();
        coerce(iotstack_schema::resource_type(kind).unwrap(), &mut properties);
        Value::Object(properties)
    }

    #[test]
    fn gives_handlers_the_kinds_that_they_expect() {
        assert_eq!(
            coerced(
                "AWS::SQS::Queue",
                json!({"DelaySeconds": "5", "VisibilityTimeout": 30.0,
                    "SqsManagedSseEnabled": "true", "QueueName": 12})
            ),
            json!({"DelaySeconds": 5, "VisibilityTimeout": 30,
                "SqsManagedSseEnabled": true, "QueueName": "12"})
        );
        assert_eq!(
            coerced("AWS::IoT::Thing", json!({"AttributePayload": {"Attributes": {"n": 1}}})),
            json!({"AttributePayload": {"Attributes": {"n": "1"}}})
        );
    }

    #[test]
    fn names_the_property_that_is_wrong() {
        let refused =
            judge("Pump", "AWS::IoT::Thing", json!({"ThignName": "p"}).as_object().unwrap());
        let refused = refused.unwrap_err();
        assert!(refused.contains("#/ThignName") && refused.contains("ThingName"), "{refused}");
        judge("Pump", "AWS::IoT::Thing", json!({"ThingName": "p"}).as_object().unwrap()).unwrap();
    }

    #[test]
    fn custom_resources_get_texts() {
        assert_eq!(
            as_texts(&json!({"A": [1, true, {"B": 1.5}], "C": "x"})),
            json!({"A": ["1", "true", {"B": "1.5"}], "C": "x"})
        );
    }
}
