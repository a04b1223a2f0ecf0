//! Numbers, also those that are written as text.
//!
//! CloudFormation turns text into numbers where a type wants them. Units are not
//! judged: a limit is what the schema says.

use iotstack_assembly::intrinsic::Trail;
use iotstack_schema::NumberShape;
use serde_json::Value;

use super::{WRONG_TYPE, Walk};
use crate::Code;
use crate::value::{choices, is_dynamic, shown};

impl Walk<'_, '_> {
    /// Judges a number.
    pub(super) fn number(
        &mut self,
        shape: &'static NumberShape,
        is_whole: bool,
        value: &Value,
        trail: &Trail<'_>,
    ) {
        let number = match value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) if is_dynamic(text) => return,
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let Some(number) = number.filter(|number| !is_whole || number.fract() == 0.0) else {
            return self.report(&WRONG_TYPE, trail, || {
                let kind = if is_whole { "a whole number" } else { "a number" };
                (format!("found {}; expected {kind}", shown(value)), None)
            });
        };
        let is_known = shape.values.is_empty() || shape.values.contains(&number);
        let is_low = shape.min.is_some_and(|min| number < min);
        let is_high = shape.max.is_some_and(|max| number > max);
        if !is_known {
            self.report(&OUT_OF_RANGE, trail, || {
                let values = choices(shape.values.iter().map(f64::to_string));
                (format!("found {number}; expected one of {values}"), None)
            });
        } else if is_low || is_high {
            self.report(&OUT_OF_RANGE, trail, || {
                let bounds = match (shape.min, shape.max) {
                    (Some(min), Some(max)) => format!("{min} to {max}"),
                    (Some(min), None) => format!("{min} at least"),
                    (None, max) => format!("{} at most", max.unwrap_or_default()),
                };
                (format!("found {number}; expected {bounds}"), None)
            });
        }
    }
}

pub(super) static OUT_OF_RANGE: Code =
    Code::error("out-of-range", "The number is smaller or larger than the property accepts.");
