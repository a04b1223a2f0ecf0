//! Members of inputs whose wire format knows only texts.
//!
//! The query format and CloudFormation's templates write numbers and flags as
//! texts, the JSON formats as themselves. A service that is called both ways
//! reads its members here and means the same in both.

use serde_json::{Map, Value};

use crate::Fault;

/// A member that is a text; nothing if it is missing or null.
///
/// # Errors
/// [`Fault::invalid_input`] if it is a list or an object.
pub fn text(input: &Map<String, Value>, member: &str) -> Result<Option<String>, Fault> {
    match input.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Bool(flag)) => Ok(Some(flag.to_string())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(other) => Err(wrong(member, "a text", other)),
    }
}

/// A text that must be there and not be empty.
///
/// # Errors
/// [`Fault::invalid_input`] if it is missing, empty or no text.
pub fn required(input: &Map<String, Value>, member: &str) -> Result<String, Fault> {
    text(input, member)?
        .filter(|text| !text.is_empty())
        .ok_or_else(|| Fault::invalid_input(format!("{member} is required")))
}

/// A member that is a whole number, perhaps written as a text.
///
/// # Errors
/// [`Fault::invalid_input`] if it is something else.
pub fn integer(input: &Map<String, Value>, member: &str) -> Result<Option<i64>, Fault> {
    match number(input, member)? {
        None => Ok(None),
        // Whole numbers beyond 2^53 do not occur in what is read here.
        Some(found) if found.fract() == 0.0 && found.abs() < 9e15 => Ok(Some(found as i64)),
        Some(found) => {
            Err(Fault::invalid_input(format!("{member} must be a whole number, not {found}")))
        }
    }
}

/// A member that is a number, perhaps written as a text.
///
/// # Errors
/// [`Fault::invalid_input`] if it is something else.
pub fn number(input: &Map<String, Value>, member: &str) -> Result<Option<f64>, Fault> {
    let refuse = |value: &Value| wrong(member, "a number", value);
    match input.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(value @ Value::Number(number)) => {
            number.as_f64().map(Some).ok_or_else(|| refuse(value))
        }
        Some(value @ Value::String(text)) => match text.trim().parse::<f64>() {
            Ok(found) if found.is_finite() => Ok(Some(found)),
            _ => Err(refuse(value)),
        },
        Some(other) => Err(refuse(other)),
    }
}

/// A member that is true or false, perhaps written as a text.
///
/// # Errors
/// [`Fault::invalid_input`] if it is something else.
pub fn flag(input: &Map<String, Value>, member: &str) -> Result<Option<bool>, Fault> {
    match input.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(value @ Value::String(text)) => match text.to_ascii_lowercase().as_str() {
            "true" => Ok(Some(true)),
            "false" => Ok(Some(false)),
            _ => Err(wrong(member, "true or false", value)),
        },
        Some(other) => Err(wrong(member, "true or false", other)),
    }
}

/// A member that is a list; an empty one if it is missing. The query format
/// writes an empty list as an empty text.
///
/// # Errors
/// [`Fault::invalid_input`] if it is something else.
pub fn list(input: &Map<String, Value>, member: &str) -> Result<Vec<Value>, Fault> {
    match input.get(member) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => Ok(items.clone()),
        Some(Value::String(text)) if text.is_empty() => Ok(Vec::new()),
        Some(other) => Err(wrong(member, "a list", other)),
    }
}

/// A list of texts.
///
/// # Errors
/// [`Fault::invalid_input`] if it is something else.
pub fn texts(input: &Map<String, Value>, member: &str) -> Result<Vec<String>, Fault> {
    list(input, member)?
        .into_iter()
        .map(|item| match item {
            Value::String(text) => Ok(text),
            other => Err(wrong(member, "a list of texts", &other)),
        })
        .collect()
}

/// A member that is an object; an empty one if it is missing.
///
/// # Errors
/// [`Fault::invalid_input`] if it is something else.
pub fn object(input: &Map<String, Value>, member: &str) -> Result<Map<String, Value>, Fault> {
    match input.get(member) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(members)) => Ok(members.clone()),
        Some(other) => Err(wrong(member, "an object", other)),
    }
}

/// Pairs of a map of texts, as the JSON formats write it (an object) or as the
/// query format and templates do (a list of objects with the given member names).
///
/// # Errors
/// [`Fault::invalid_input`] if it is something else.
pub fn pairs(
    input: &Map<String, Value>,
    member: &str,
    (key, value): (&str, &str),
) -> Result<Vec<(String, String)>, Fault> {
    match input.get(member) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(text)) if text.is_empty() => Ok(Vec::new()),
        Some(Value::Object(members)) => members
            .keys()
            .map(|name| Ok((name.clone(), text(members, name)?.unwrap_or_default())))
            .collect(),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| match item {
                Value::Object(pair) => {
                    Ok((required(pair, key)?, text(pair, value)?.unwrap_or_default()))
                }
                other => Err(wrong(member, "a list of pairs", other)),
            })
            .collect(),
        Some(other) => Err(wrong(member, "a map", other)),
    }
}

fn wrong(member: &str, wanted: &str, found: &Value) -> Fault {
    Fault::invalid_input(format!("{member} must be {wanted}, not {found}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn input(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn texts_and_values_mean_the_same() {
        for found in [json!({"n": "7", "f": "true"}), json!({"n": 7, "f": true})] {
            let found = input(found);
            assert_eq!(integer(&found, "n").unwrap(), Some(7));
            assert_eq!(flag(&found, "f").unwrap(), Some(true));
            assert_eq!(text(&found, "n").unwrap().as_deref(), Some("7"));
        }
        let found = input(json!({"n": "7.5", "f": "yes", "x": "NaN"}));
        assert_eq!(number(&found, "n").unwrap(), Some(7.5));
        assert!(integer(&found, "n").is_err());
        assert!(flag(&found, "f").is_err());
        assert!(number(&found, "x").is_err());
    }

    #[test]
    fn maps_come_in_two_shapes() {
        let object = input(json!({"Tags": {"a": "1"}}));
        let list = input(json!({"Tags": [{"Key": "a", "Value": "1"}]}));
        for found in [object, list] {
            let pairs = pairs(&found, "Tags", ("Key", "Value")).unwrap();
            assert_eq!(pairs, [("a".to_owned(), "1".to_owned())]);
        }
    }
}
