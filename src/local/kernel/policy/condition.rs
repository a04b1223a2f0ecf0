//! Conditions of statements: operators over keys of the request.
//!
//! A key that the context does not hold is unknown (see the header of
//! [`super`]). The operators with `IfExists` and `Null` therefore say "unknown"
//! too, where AWS would look whether the key is there. In a context that is
//! complete such a key is absent, and the operators judge as AWS's do.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::Value;

use super::pattern::{Pattern, fits_arn};
use super::texts;
use crate::Timestamp;

/// What is known of a request: condition keys (in lower case) with their values.
#[derive(Debug, Clone, Default)]
pub struct Context {
    keys: BTreeMap<String, Vec<String>>,
    complete: bool,
}

/// What a condition says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Truth {
    Holds,
    Fails,
    Unknown,
}

/// An operator over one key.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    operator: Operator,
    negated: bool,
    if_exists: bool,
    set: Option<Set>,
    key: String,
    wanted: Vec<Pattern>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    Any,
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Null,
    Text { same_case: bool },
    Like,
    Number(Order),
    Date(Order),
    Bool,
    Address,
    Arn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Same,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Context {
    /// With one key more.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.keys.entry(key.to_ascii_lowercase()).or_default().push(value.into());
        self
    }

    /// Says that these are all keys that the request has.
    #[must_use]
    pub fn complete(mut self) -> Self {
        self.complete = true;
        self
    }

    /// The value of a key that has one.
    pub(super) fn single(&self, key: &str) -> Option<&str> {
        match self.keys.get(&key.to_ascii_lowercase()).map(Vec::as_slice) {
            Some([value]) => Some(value),
            _ => None,
        }
    }
}

impl Truth {
    fn of(holds: bool) -> Self {
        if holds { Truth::Holds } else { Truth::Fails }
    }
}

impl Condition {
    pub(super) fn parse_all(value: Option<&Value>) -> Result<Vec<Self>, String> {
        let operators = match value {
            None => return Ok(Vec::new()),
            Some(Value::Object(operators)) => operators,
            Some(other) => return Err(format!("Condition must be an object, not {other}")),
        };
        let mut found = Vec::new();
        for (name, keys) in operators {
            let Value::Object(keys) = keys else {
                return Err(format!("condition {name} must be an object of keys"));
            };
            for (key, wanted) in keys {
                let wanted = texts(wanted, key)?;
                found.push(Self::parse(name, key, &wanted)?);
            }
        }
        Ok(found)
    }

    fn parse(name: &str, key: &str, wanted: &[String]) -> Result<Self, String> {
        let (set, plain) = match name.split_once(':') {
            Some(("ForAnyValue", plain)) => (Some(Set::Any), plain),
            Some(("ForAllValues", plain)) => (Some(Set::All), plain),
            Some(_) => return Err(format!("`{name}` is no condition operator")),
            None => (None, name),
        };
        let (plain, if_exists) = match plain.strip_suffix("IfExists") {
            Some(plain) => (plain, true),
            None => (plain, false),
        };
        let (operator, negated) = match plain {
            "Null" => (Operator::Null, false),
            "StringEquals" => (Operator::Text { same_case: true }, false),
            "StringNotEquals" => (Operator::Text { same_case: true }, true),
            "StringEqualsIgnoreCase" => (Operator::Text { same_case: false }, false),
            "StringNotEqualsIgnoreCase" => (Operator::Text { same_case: false }, true),
            "StringLike" => (Operator::Like, false),
            "StringNotLike" => (Operator::Like, true),
            "NumericEquals" => (Operator::Number(Order::Same), false),
            "NumericNotEquals" => (Operator::Number(Order::Same), true),
            "NumericLessThan" => (Operator::Number(Order::Less), false),
            "NumericLessThanEquals" => (Operator::Number(Order::AtMost), false),
            "NumericGreaterThan" => (Operator::Number(Order::Greater), false),
            "NumericGreaterThanEquals" => (Operator::Number(Order::AtLeast), false),
            "DateEquals" => (Operator::Date(Order::Same), false),
            "DateNotEquals" => (Operator::Date(Order::Same), true),
            "DateLessThan" => (Operator::Date(Order::Less), false),
            "DateLessThanEquals" => (Operator::Date(Order::AtMost), false),
            "DateGreaterThan" => (Operator::Date(Order::Greater), false),
            "DateGreaterThanEquals" => (Operator::Date(Order::AtLeast), false),
            "Bool" => (Operator::Bool, false),
            "BinaryEquals" => (Operator::Text { same_case: true }, false),
            "IpAddress" => (Operator::Address, false),
            "NotIpAddress" => (Operator::Address, true),
            "ArnEquals" | "ArnLike" => (Operator::Arn, false),
            "ArnNotEquals" | "ArnNotLike" => (Operator::Arn, true),
            _ => return Err(format!("`{name}` is no condition operator")),
        };
        Ok(Condition {
            operator,
            negated,
            if_exists,
            set,
            key: key.to_ascii_lowercase(),
            wanted: wanted.iter().map(|text| Pattern::new(text)).collect(),
        })
    }

    pub(super) fn judge(&self, context: &Context) -> Truth {
        let values = context.keys.get(&self.key);
        if values.is_none() && !context.complete {
            return Truth::Unknown;
        }
        if self.operator == Operator::Null {
            let absent = self.wanted.iter().any(|wanted| wanted.text() == "true");
            return Truth::of(absent == values.is_none());
        }
        let Some(values) = values else {
            // Nothing is there that could fit what is wanted, or that could be equal to it.
            let holds = match self.set {
                Some(Set::All) => true,
                Some(Set::Any) => self.if_exists,
                None => self.if_exists || self.negated,
            };
            return Truth::of(holds);
        };
        let fits = |value: &String| {
            let any = self.wanted.iter().any(|wanted| self.fits(wanted, value, context));
            any != self.negated
        };
        let holds = match self.set {
            Some(Set::Any) => values.iter().any(fits),
            Some(Set::All) | None => values.iter().all(fits),
        };
        Truth::of(holds)
    }

    fn fits(&self, wanted: &Pattern, value: &str, context: &Context) -> bool {
        match self.operator {
            Operator::Null => false,
            Operator::Text { same_case } => wanted.is(value, context, same_case),
            Operator::Like => wanted.fits(value, context),
            Operator::Arn => fits_arn(wanted, value, context),
            Operator::Bool => wanted.is(value, context, false),
            Operator::Number(order) => {
                let numbers = (value.parse::<f64>().ok(), wanted.text().parse::<f64>().ok());
                matches!(numbers, (Some(value), Some(wanted)) if order.holds(value, wanted))
            }
            Operator::Date(order) => {
                let dates = (moment(value), moment(wanted.text()));
                matches!(dates, (Some(value), Some(wanted)) if order.holds(value, wanted))
            }
            Operator::Address => in_network(value, wanted.text()),
        }
    }
}

impl Order {
    fn holds<T: PartialOrd>(self, value: T, wanted: T) -> bool {
        match self {
            Order::Same => value == wanted,
            Order::Less => value < wanted,
            Order::AtMost => value <= wanted,
            Order::Greater => value > wanted,
            Order::AtLeast => value >= wanted,
        }
    }
}

/// A moment in ISO 8601, which may be a date alone, or in seconds since 1970.
pub fn moment(text: &str) -> Option<Timestamp> {
    let seconds = || text.parse().ok().map(|seconds: i64| Timestamp(seconds.saturating_mul(1000)));
    Timestamp::parse(text)
        .or_else(seconds)
        .or_else(|| Timestamp::parse(&format!("{text}T00:00:00Z")))
}

/// Whether an address lies in a network such as `10.0.0.0/8`, or is the one address.
pub fn in_network(address: &str, network: &str) -> bool {
    let (base, bits) = match network.split_once('/') {
        Some((base, bits)) => (base, bits.parse::<u32>().ok()),
        None => (network, Some(128)),
    };
    let same = |a: &[u8], b: &[u8], bits: u32| {
        (0..bits.min(a.len() as u32 * 8)).all(|bit| {
            let (byte, mask) = ((bit / 8) as usize, 0x80 >> (bit % 8));
            a[byte] & mask == b[byte] & mask
        })
    };
    match (address.parse(), base.parse(), bits) {
        (Ok(IpAddr::V4(a)), Ok(IpAddr::V4(b)), Some(bits)) => same(&a.octets(), &b.octets(), bits),
        (Ok(IpAddr::V6(a)), Ok(IpAddr::V6(b)), Some(bits)) => same(&a.octets(), &b.octets(), bits),
        _ => false,
    }
}
