//! Patterns of events, which rules of EventBridge and filter policies of SNS share.
//!
//! A pattern has the shape of the events that it fits; its leaves are lists of
//! what a value may be. A pattern is read once and judged; depth and size are
//! bounded.

use std::net::IpAddr;

use iotstack_local_kernel::policy::like;
use serde_json::{Map, Value};

/// A pattern.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pattern(Vec<Part>);

#[derive(Debug, Clone, PartialEq)]
enum Part {
    /// The member has one of these values.
    Leaf(String, Vec<Test>),
    /// The member is an object that fits.
    Below(String, Pattern),
    /// One of these fits.
    Any(Vec<Pattern>),
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    Equals(Value),
    IgnoreCase(String),
    Prefix(String),
    PrefixIgnoreCase(String),
    Suffix(String),
    SuffixIgnoreCase(String),
    Wildcard(String),
    Numeric(Vec<(Comparison, f64)>),
    Exists(bool),
    Network(IpAddr, u8),
    Nothing(Vec<Test>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Pattern {
    /// Reads a pattern; says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > 4096 * 8 {
            return Err("the pattern is too long".to_owned());
        }
        match serde_json::from_str(text) {
            Ok(pattern) => Self::of(&pattern),
            Err(error) => Err(format!("the pattern is not JSON: {error}")),
        }
    }

    /// The same of a pattern that is JSON already.
    pub(crate) fn of(pattern: &Value) -> Result<Self, String> {
        match pattern {
            Value::Object(members) if !members.is_empty() => Self::read(members, 0),
            _ => Err("the pattern must be a JSON object that is not empty".to_owned()),
        }
    }

    fn read(members: &Map<String, Value>, depth: usize) -> Result<Self, String> {
        if depth > 32 {
            return Err("the pattern is nested too deeply".to_owned());
        }
        let mut parts = Vec::with_capacity(members.len());
        for (name, value) in members {
            parts.push(match value {
                Value::Array(items) if name == "$or" => {
                    if items.len() < 2 {
                        return Err("`$or` must have at least two patterns".to_owned());
                    }
                    let read = |item: &Value| match item {
                        Value::Object(members) => Self::read(members, depth + 1),
                        other => Err(format!("`$or` must hold objects, not {other}")),
                    };
                    Part::Any(items.iter().map(read).collect::<Result<_, _>>()?)
                }
                Value::Array(items) if items.is_empty() => {
                    return Err(format!("`{name}` must not be an empty list"));
                }
                Value::Array(items) => {
                    let tests = items.iter().map(Test::read).collect::<Result<_, _>>();
                    Part::Leaf(
                        name.clone(),
                        tests.map_err(|problem| format!("`{name}`: {problem}"))?,
                    )
                }
                Value::Object(below) => Part::Below(name.clone(), Self::read(below, depth + 1)?),
                other => {
                    return Err(format!("`{name}` must be a list or an object, not {other}"));
                }
            });
        }
        Ok(Pattern(parts))
    }

    /// Whether an event fits.
    pub(crate) fn fits(&self, event: &Value) -> bool {
        // Lists of objects are looked into, as values of all their items.
        if let Value::Array(items) = event {
            return items.iter().any(|item| self.fits(item));
        }
        self.0.iter().all(|part| match part {
            Part::Leaf(name, tests) => {
                let value = event.get(name);
                tests.iter().any(|test| test.fits(value))
            }
            Part::Below(name, pattern) => pattern.fits(event.get(name).unwrap_or(&Value::Null)),
            Part::Any(patterns) => patterns.iter().any(|pattern| pattern.fits(event)),
        })
    }
}

impl Test {
    fn read(item: &Value) -> Result<Self, String> {
        let Value::Object(members) = item else {
            return if item.is_array() {
                Err(format!("a value must not be a list: {item}"))
            } else {
                Ok(Test::Equals(item.clone()))
            };
        };
        let (Some((kind, value)), 1) = (members.iter().next(), members.len()) else {
            return Err(format!("a test must have exactly one kind: {item}"));
        };
        let text = || value.as_str().map(str::to_owned);
        let folded = || value["equals-ignore-case"].as_str().map(str::to_lowercase);
        let found = match kind.as_str() {
            "prefix" => text().map(Test::Prefix).or_else(|| folded().map(Test::PrefixIgnoreCase)),
            "suffix" => text().map(Test::Suffix).or_else(|| folded().map(Test::SuffixIgnoreCase)),
            "equals-ignore-case" => text().map(|text| Test::IgnoreCase(text.to_lowercase())),
            "wildcard" => text().map(Test::Wildcard),
            "exists" => value.as_bool().map(Test::Exists),
            "cidr" => text().and_then(|text| {
                let (address, bits) = text.split_once('/')?;
                let address: IpAddr = address.parse().ok()?;
                let most = if address.is_ipv4() { 32 } else { 128 };
                Some(Test::Network(address, bits.parse().ok().filter(|bits| *bits <= most)?))
            }),
            "numeric" => numeric(value),
            "anything-but" => match value {
                Value::Array(items) if !items.is_empty() => {
                    let plain = items.iter().all(|item| item.is_string() || item.is_number());
                    plain.then(|| Test::Nothing(items.iter().cloned().map(Test::Equals).collect()))
                }
                Value::Object(below) => match below.iter().next() {
                    // A list stands for several of the same kind.
                    Some((kind, Value::Array(items))) => items
                        .iter()
                        .map(|item| {
                            let single = Map::from_iter([(kind.clone(), item.clone())]);
                            Test::read(&Value::Object(single))
                        })
                        .collect::<Result<_, _>>()
                        .map(Test::Nothing)
                        .ok(),
                    Some(_) => Some(Test::Nothing(vec![Test::read(value)?])),
                    None => None,
                },
                Value::String(_) | Value::Number(_) => {
                    Some(Test::Nothing(vec![Test::Equals(value.clone())]))
                }
                _ => None,
            },
            other => return Err(format!("there is no test `{other}`")),
        };
        found.ok_or_else(|| format!("the test `{kind}` does not take {value}"))
    }

    fn fits(&self, value: Option<&Value>) -> bool {
        match (self, value) {
            (Test::Exists(wanted), value) => {
                value.is_some_and(|value| !value.is_object()) == *wanted
            }
            (Test::Nothing(tests), Some(Value::Array(items))) => {
                items.iter().any(|item| !tests.iter().any(|test| test.fits(Some(item))))
            }
            (_, Some(Value::Array(items))) => items.iter().any(|item| self.fits(Some(item))),
            (_, None) => false,
            (Test::Nothing(tests), value) => !tests.iter().any(|test| test.fits(value)),
            (Test::Equals(Value::Number(wanted)), Some(Value::Number(found))) => {
                wanted.as_f64() == found.as_f64()
            }
            (Test::Equals(wanted), Some(found)) => wanted == found,
            (Test::Numeric(tests), Some(Value::Number(found))) => {
                let Some(found) = found.as_f64() else { return false };
                tests.iter().all(|(comparison, wanted)| match comparison {
                    Comparison::Equal => found == *wanted,
                    Comparison::Less => found < *wanted,
                    Comparison::LessOrEqual => found <= *wanted,
                    Comparison::Greater => found > *wanted,
                    Comparison::GreaterOrEqual => found >= *wanted,
                })
            }
            (test, Some(Value::String(found))) => test.fits_text(found),
            _ => false,
        }
    }

    fn fits_text(&self, found: &str) -> bool {
        match self {
            Test::IgnoreCase(wanted) => found.to_lowercase() == *wanted,
            Test::Prefix(wanted) => found.starts_with(wanted.as_str()),
            Test::PrefixIgnoreCase(wanted) => found.to_lowercase().starts_with(wanted.as_str()),
            Test::Suffix(wanted) => found.ends_with(wanted.as_str()),
            Test::SuffixIgnoreCase(wanted) => found.to_lowercase().ends_with(wanted.as_str()),
            Test::Wildcard(wanted) => {
                like(&wanted.replace('?', "\u{0}"), &found.replace('?', "\u{0}"))
            }
            Test::Network(network, bits) => found.parse().is_ok_and(|address: IpAddr| {
                let bits = u32::from(*bits);
                match (network, address) {
                    (IpAddr::V4(network), IpAddr::V4(address)) => {
                        let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
                        network.to_bits() & mask == address.to_bits() & mask
                    }
                    (IpAddr::V6(network), IpAddr::V6(address)) => {
                        let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
                        network.to_bits() & mask == address.to_bits() & mask
                    }
                    _ => false,
                }
            }),
            _ => false,
        }
    }
}

fn numeric(value: &Value) -> Option<Test> {
    let items = value.as_array()?;
    if items.is_empty() || items.len() % 2 != 0 {
        return None;
    }
    let mut tests = Vec::new();
    for pair in items.chunks(2) {
        let comparison = match pair[0].as_str()? {
            "=" => Comparison::Equal,
            "<" => Comparison::Less,
            "<=" => Comparison::LessOrEqual,
            ">" => Comparison::Greater,
            ">=" => Comparison::GreaterOrEqual,
            _ => return None,
        };
        tests.push((comparison, pair[1].as_f64()?));
    }
    Some(Test::Numeric(tests))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn patterns_fit_as_documented() {
        let event = json!({
            "source": "iotstack.jobs", "n": 7, "flag": true, "none": null, "ip": "10.0.0.5",
            "detail": {"operation": "failed", "tags": ["a", "b"], "items": [{"k": 1}, {"k": 2}]},
        });
        for (pattern, fits) in [
            (json!({"source": ["iotstack.jobs"]}), true),
            (json!({"source": ["x", "iotstack.jobs"], "n": [7.0]}), true),
            (json!({"source": ["iotstack.jobs"], "n": [8]}), false),
            (json!({"flag": [true], "none": [null]}), true),
            (json!({"missing": ["x"]}), false),
            (json!({"detail": {"operation": ["failed", "rejected"]}}), true),
            (json!({"detail": {"tags": ["b"]}}), true),
            (json!({"detail": {"tags": ["c"]}}), false),
            (json!({"detail": {"items": {"k": [2]}}}), true),
            (json!({"detail": {"operation": [{"anything-but": ["completed"]}]}}), true),
            (json!({"detail": {"operation": [{"anything-but": "failed"}]}}), false),
            (json!({"detail": {"operation": [{"anything-but": {"prefix": "fa"}}]}}), false),
            (json!({"source": [{"prefix": "iot"}]}), true),
            (json!({"source": [{"prefix": {"equals-ignore-case": "IOT"}}]}), true),
            (json!({"source": [{"suffix": ".jobs"}]}), true),
            (json!({"source": [{"wildcard": "iot*jobs"}]}), true),
            (json!({"source": [{"wildcard": "iot?tack*"}]}), false),
            (json!({"source": [{"equals-ignore-case": "IoTStack.Jobs"}]}), true),
            (json!({"n": [{"numeric": [">", 5, "<=", 7]}]}), true),
            (json!({"n": [{"numeric": ["<", 5]}]}), false),
            (json!({"missing": [{"exists": false}]}), true),
            (json!({"source": [{"exists": false}]}), false),
            (json!({"ip": [{"cidr": "10.0.0.0/24"}]}), true),
            (json!({"ip": [{"cidr": "10.0.1.0/24"}]}), false),
            (json!({"$or": [{"n": [1]}, {"flag": [true]}]}), true),
            (json!({"$or": [{"n": [1]}, {"flag": [false]}]}), false),
        ] {
            let read = Pattern::parse(&pattern.to_string()).unwrap();
            assert_eq!(read.fits(&event), fits, "{pattern}");
        }
    }

    #[test]
    fn wrong_patterns_are_refused() {
        for pattern in [
            "",
            "[]",
            "{}",
            "{\"a\":1}",
            "{\"a\":[]}",
            "{\"a\":[{\"nope\":1}]}",
            "{\"a\":[{\"numeric\":[\">\"]}]}",
            "{\"a\":[{\"prefix\":1}]}",
            "{\"a\":[[1]]}",
            "{\"$or\":[{\"a\":[1]}]}",
            "{\"a\":[{\"cidr\":\"10.0.0.0/33\"}]}",
        ] {
            assert!(Pattern::parse(pattern).is_err(), "{pattern}");
        }
        let deep = format!("{}{{\"a\":[1]}}{}", "{\"a\":".repeat(100), "}".repeat(100));
        assert!(Pattern::parse(&deep).is_err());
    }
}
