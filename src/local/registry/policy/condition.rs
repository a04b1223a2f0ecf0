//! Conditions of a statement.
//!
//! The operators of IAM over the keys that an MQTT connection has. A key without
//! a value fits negated operators and those with `IfExists`, and no others.

use iotstack_local_kernel::policy::{in_network, moment};
use serde_json::Value;

use super::pattern::Pattern;
use super::variable::{Values, Variable};

/// One key of a condition block.
#[derive(Debug, Clone)]
pub struct Condition {
    pub key: Variable,
    operator: Operator,
    negated: bool,
    set: Set,
    if_exists: bool,
    wanted: Box<[Pattern]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equals,
    EqualsIgnoreCase,
    Like,
    Bool,
    Ip,
    Null,
    Number(Order),
    Date(Order),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Same,
    Less,
    LessOrSame,
    Greater,
    GreaterOrSame,
}

/// How several values of a key are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    One,
    All,
    Any,
}

impl Condition {
    /// Reads one operator with one key.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(operator: &str, key: &str, wanted: &Value) -> Result<Self, String> {
        let (set, rest) = match operator.split_once(':') {
            Some(("ForAllValues", rest)) => (Set::All, rest),
            Some(("ForAnyValue", rest)) => (Set::Any, rest),
            Some((other, _)) => {
                return Err(format!(
                    "`{other}:` is no set operator; ForAllValues and ForAnyValue are"
                ));
            }
            None => (Set::One, operator),
        };
        let (name, if_exists) = match rest.strip_suffix("IfExists") {
            Some(name) => (name, true),
            None => (rest, false),
        };
        let (kind, negated) =
            read_operator(name).ok_or_else(|| format!("`{operator}` is no condition operator"))?;
        let texts = match wanted {
            Value::Array(items) => items.iter().map(text).collect::<Result<Vec<_>, _>>()?,
            other => vec![text(other)?],
        };
        let wild = kind == Operator::Like;
        let wanted = texts
            .iter()
            .map(|text| if wild { Pattern::wild(text) } else { Pattern::plain(text) })
            .collect();
        Ok(Condition { key: Variable::parse(key), operator: kind, negated, set, if_exists, wanted })
    }

    /// The variables in its values.
    pub fn variables(&self) -> impl Iterator<Item = &Variable> {
        self.wanted.iter().flat_map(Pattern::variables)
    }

    /// Whether it is met.
    pub fn holds(&self, values: &Values) -> bool {
        let found = values.all(&self.key);
        if self.operator == Operator::Null {
            let absent = found.is_none();
            return self.wanted.iter().any(|wanted| {
                wanted.fill(values).is_some_and(|text| text.eq_ignore_ascii_case("true") == absent)
            });
        }
        match (self.set, found) {
            (Set::All, None) => true,
            (Set::All, Some(found)) => found.iter().all(|value| self.fits(value, values)),
            (Set::Any, None) => false,
            (Set::Any, Some(found)) => found.iter().any(|value| self.fits(value, values)),
            (Set::One, found) => match found.and_then(<[_]>::first) {
                None => self.if_exists || self.negated,
                Some(value) => self.fits(value, values),
            },
        }
    }

    fn fits(&self, value: &str, values: &Values) -> bool {
        let any = self.wanted.iter().any(|wanted| self.equals(value, wanted, values));
        any != self.negated
    }

    fn equals(&self, value: &str, wanted: &Pattern, values: &Values) -> bool {
        if matches!(self.operator, Operator::Equals | Operator::Like) {
            return wanted.matches(value, values);
        }
        let Some(wanted) = wanted.fill(values) else { return false };
        match self.operator {
            Operator::EqualsIgnoreCase | Operator::Bool => value.eq_ignore_ascii_case(&wanted),
            Operator::Ip => in_network(value, &wanted),
            Operator::Number(order) => match (value.parse::<f64>(), wanted.parse::<f64>()) {
                (Ok(value), Ok(wanted)) => order.holds(value.partial_cmp(&wanted)),
                _ => false,
            },
            Operator::Date(order) => match (moment(value), moment(&wanted)) {
                (Some(value), Some(wanted)) => order.holds(Some(value.cmp(&wanted))),
                _ => false,
            },
            Operator::Equals | Operator::Like | Operator::Null => false,
        }
    }
}

impl Order {
    fn holds(self, found: Option<std::cmp::Ordering>) -> bool {
        let Some(found) = found else { return false };
        match self {
            Order::Same => found.is_eq(),
            Order::Less => found.is_lt(),
            Order::LessOrSame => found.is_le(),
            Order::Greater => found.is_gt(),
            Order::GreaterOrSame => found.is_ge(),
        }
    }
}

/// The operator and whether it is negated.
fn read_operator(name: &str) -> Option<(Operator, bool)> {
    let ordered = |kind: fn(Order) -> Operator, rest: &str| {
        Some(match rest {
            "Equals" => (kind(Order::Same), false),
            "NotEquals" => (kind(Order::Same), true),
            "LessThan" => (kind(Order::Less), false),
            "LessThanEquals" => (kind(Order::LessOrSame), false),
            "GreaterThan" => (kind(Order::Greater), false),
            "GreaterThanEquals" => (kind(Order::GreaterOrSame), false),
            _ => return None,
        })
    };
    if let Some(rest) = name.strip_prefix("Numeric") {
        return ordered(Operator::Number, rest);
    }
    if let Some(rest) = name.strip_prefix("Date") {
        return ordered(Operator::Date, rest);
    }
    Some(match name {
        "StringEquals" => (Operator::Equals, false),
        "StringNotEquals" => (Operator::Equals, true),
        "StringEqualsIgnoreCase" => (Operator::EqualsIgnoreCase, false),
        "StringNotEqualsIgnoreCase" => (Operator::EqualsIgnoreCase, true),
        // In ARNs the equal operators know wildcards too.
        "StringLike" | "ArnEquals" | "ArnLike" => (Operator::Like, false),
        "StringNotLike" | "ArnNotEquals" | "ArnNotLike" => (Operator::Like, true),
        "Bool" => (Operator::Bool, false),
        "IpAddress" => (Operator::Ip, false),
        "NotIpAddress" => (Operator::Ip, true),
        "Null" => (Operator::Null, false),
        _ => return None,
    })
}

fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Number(value) => Ok(value.to_string()),
        other => Err(format!("the value of a condition must be a text, not {other}")),
    }
}
