//! Values of the rule SQL, and how one kind becomes another.
//!
//! SQL has more than JSON: whole numbers and decimals are told apart, and
//! `Undefined` stands for what a message does not have. The conversions are the
//! table of the language: what cannot be converted is `Undefined`, never an error.
//!
//! The explicit conversions of `cast` differ from these and live with that function.

use std::fmt;

use indexmap::IndexMap;

use super::number::{Decimal, Rounding, fits};
use super::{Version, json};

/// A value of a statement.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// What is not there, or could not be converted.
    #[default]
    Undefined,
    /// JSON's null.
    Null,
    /// True or false.
    Boolean(bool),
    /// A whole number of at most 34 digits.
    Int(i128),
    /// A number of at most 34 digits with a power of ten.
    Decimal(Decimal),
    /// Text.
    String(String),
    /// A list.
    Array(Vec<Value>),
    /// Named values, in the order of the message.
    Object(IndexMap<String, Value>),
}

/// A number of either kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// A whole number.
    Int(i128),
    /// A decimal.
    Decimal(Decimal),
}

impl Number {
    /// The number as a decimal.
    pub fn decimal(self) -> Decimal {
        match self {
            Number::Int(value) => Decimal::from_int(value),
            Number::Decimal(value) => value,
        }
    }
}

impl From<Number> for Value {
    fn from(number: Number) -> Value {
        match number {
            Number::Int(value) => Value::int(value),
            Number::Decimal(value) => Value::Decimal(value),
        }
    }
}

impl Value {
    /// Text.
    pub fn text(text: impl Into<String>) -> Value {
        Value::String(text.into())
    }

    /// A whole number, or a decimal if it has more than 34 digits.
    pub fn int(value: i128) -> Value {
        if fits(value) { Value::Int(value) } else { Value::Decimal(Decimal::from_int(value)) }
    }

    /// A decimal, or `Undefined` where a calculation had no result.
    pub fn decimal(value: Option<Decimal>) -> Value {
        value.map_or(Value::Undefined, Value::Decimal)
    }

    /// Whether this is `Undefined`.
    pub fn is_undefined(&self) -> bool {
        matches!(self, Value::Undefined)
    }

    /// The member `name` of an object; `Undefined` of anything else.
    pub fn member(&self, name: &str) -> &Value {
        match self {
            Value::Object(members) => members.get(name).unwrap_or(&Value::Undefined),
            _ => &Value::Undefined,
        }
    }

    /// The number that this is, without conversion of text.
    ///
    /// Since 2016-03-23 a whole decimal such as 10.0 counts as a whole number.
    pub fn number(&self, version: Version) -> Option<Number> {
        match self {
            Value::Int(value) => Some(Number::Int(*value)),
            Value::Decimal(value) if version >= Version::V2016 => {
                Some(value.whole().map_or(Number::Decimal(*value), Number::Int))
            }
            Value::Decimal(value) => Some(Number::Decimal(*value)),
            _ => None,
        }
    }

    /// The number that this is or that its text writes; text always gives a decimal.
    pub fn to_number(&self, version: Version) -> Option<Number> {
        match self {
            Value::String(text) => numeric(text).map(Number::Decimal),
            other => other.number(version),
        }
    }

    /// Converts to a decimal.
    pub fn to_decimal(&self) -> Option<Decimal> {
        self.to_number(Version::V2016).map(Number::decimal)
    }

    /// Converts to a whole number: decimals to the nearest, text cut after the point.
    pub fn to_int(&self) -> Option<i128> {
        match self {
            Value::Int(value) => Some(*value),
            Value::Decimal(value) => value.round(Rounding::HalfAway),
            Value::String(text) => numeric(text)?.round(Rounding::Truncate),
            _ => None,
        }
    }

    /// Converts to true or false.
    pub fn to_boolean(&self) -> Option<bool> {
        match self {
            Value::Boolean(value) => Some(*value),
            Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }

    /// Converts to text; `Null` and `Undefined` have none.
    pub fn to_text(&self, version: Version) -> Option<String> {
        match self {
            Value::Undefined | Value::Null => None,
            Value::String(text) => Some(text.clone()),
            Value::Array(_) | Value::Object(_) => Some(json::to_string(self, version)),
            Value::Boolean(value) => Some(value.to_string()),
            Value::Int(value) => Some(value.to_string()),
            Value::Decimal(_) => Some(json::to_string(self, version)),
        }
    }

    /// Whether two values are the same: numbers by what they count, objects in any order.
    pub fn same(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Int(_) | Value::Decimal(_), Value::Int(_) | Value::Decimal(_)) => {
                self.to_decimal() == other.to_decimal()
            }
            (Value::Array(a), Value::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b))
            }
            (Value::Object(a), Value::Object(b)) => {
                a.len() == b.len()
                    && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| a.same(b)))
            }
            _ => self == other,
        }
    }

    /// What the value is called in messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Undefined => "Undefined",
            Value::Null => "Null",
            Value::Boolean(_) => "Boolean",
            Value::Int(_) => "Int",
            Value::Decimal(_) => "Decimal",
            Value::String(_) => "String",
            Value::Array(_) => "Array",
            Value::Object(_) => "Object",
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Boolean(value)
    }
}

impl From<&serde_json::Value> for Value {
    fn from(value: &serde_json::Value) -> Value {
        match value {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(value) => Value::Boolean(*value),
            serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(value), _) => Value::Int(value.into()),
                (_, Some(value)) => Value::Int(value.into()),
                _ => Value::decimal(number.as_f64().and_then(Decimal::from_f64)),
            },
            serde_json::Value::String(text) => Value::text(text.as_str()),
            serde_json::Value::Array(items) => {
                Value::Array(items.iter().map(Value::from).collect())
            }
            serde_json::Value::Object(members) => Value::Object(
                members.iter().map(|(name, value)| (name.clone(), Value::from(value))).collect(),
            ),
        }
    }
}

impl fmt::Display for Value {
    /// Writes JSON; `Undefined` is an empty text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&json::to_string(self, Version::V2016))
    }
}

/// The number in a text that is written `-?\d+(\.\d+)?(E-?\d+)?`.
///
/// This is narrower than JSON and than most readers of numbers: no sign but a
/// minus, no plus in the exponent, no point without digits on both sides.
pub fn numeric(text: &str) -> Option<Decimal> {
    let rest = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, power) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let written = match mantissa.split_once('.') {
        Some((whole, fraction)) => all_digits(whole) && all_digits(fraction),
        None => all_digits(mantissa),
    };
    let power = power.is_none_or(|power| all_digits(power.strip_prefix('-').unwrap_or(power)));
    if written && power { Decimal::parse(text) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converts_as_the_table_says() {
        let decimal = |text: &str| Value::Decimal(Decimal::parse(text).unwrap());
        // value, decimal, int, boolean, string
        let rows = [
            (Value::Int(7), Some("7"), Some(7), None, Some("7")),
            (decimal("2.5"), Some("2.5"), Some(3), None, Some("2.5")),
            (decimal("-2.5"), Some("-2.5"), Some(-3), None, Some("-2.5")),
            (Value::Boolean(true), None, None, Some(true), Some("true")),
            (Value::text("-1.9"), Some("-1.9"), Some(-1), None, Some("-1.9")),
            (Value::text("1E2"), Some("100"), Some(100), None, Some("1E2")),
            (Value::text("1e-2"), Some("0.01"), Some(0), None, Some("1e-2")),
            (Value::text("1E+2"), None, None, None, Some("1E+2")),
            (Value::text(".5"), None, None, None, Some(".5")),
            (Value::text("+1"), None, None, None, Some("+1")),
            (Value::text(" 1"), None, None, None, Some(" 1")),
            (Value::text("TRUE"), None, None, Some(true), Some("TRUE")),
            (Value::text("yes"), None, None, None, Some("yes")),
            (Value::Array(vec![Value::Int(1)]), None, None, None, Some("[1]")),
            (Value::Null, None, None, None, None),
            (Value::Undefined, None, None, None, None),
        ];
        for (value, decimal, int, boolean, text) in rows {
            let expected = decimal.map(|text| Decimal::parse(text).unwrap());
            assert_eq!(value.to_decimal(), expected, "{value:?}");
            assert_eq!(value.to_int(), int, "{value:?}");
            assert_eq!(value.to_boolean(), boolean, "{value:?}");
            assert_eq!(value.to_text(Version::V2016).as_deref(), text, "{value:?}");
        }
    }
}
