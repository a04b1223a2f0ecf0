//! Parameters: from what was given to values that fit their declaration.
//!
//! A value is the given one, the previous one, or the default. Values of SSM
//! types are read from the parameter store; what they are read from stays the
//! parameter's value as users see it.

use indexmap::IndexMap;
use iotstack_local_kernel::Cloud;
use regex::Regex;
use serde_json::{Map, Value};

use super::functions::scalar;
use crate::state::Parameter;
use crate::{Error, Result};

/// A parameter as a request gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Its name.
    pub name: String,
    /// Its value; nothing to use the previous one.
    pub value: Option<String>,
}

/// The values of all parameters that a template declares.
///
/// # Errors
/// What does not fit, and everything that is missing at once.
pub fn values(
    cloud: &Cloud,
    template: &Value,
    given: &[Given],
    previous: &IndexMap<String, Parameter>,
) -> Result<IndexMap<String, Parameter>> {
    let none = Map::new();
    let declared = match template.get("Parameters") {
        None | Some(Value::Null) => &none,
        Some(Value::Object(declared)) => declared,
        Some(_) => {
            return Err(Error::invalid("Template format error: Parameters must be an object"));
        }
    };
    let unknown: Vec<&str> = given
        .iter()
        .map(|given| given.name.as_str())
        .filter(|name| !declared.contains_key(*name))
        .collect();
    if !unknown.is_empty() {
        return Err(Error::invalid(format!(
            "Parameters: [{}] do not exist in the template",
            unknown.join(", ")
        )));
    }
    let mut values = IndexMap::new();
    let mut missing = Vec::new();
    for (name, declaration) in declared {
        match value(declaration, given.iter().find(|given| given.name == *name), previous.get(name))
        {
            Some(text) => {
                values.insert(name.clone(), one(cloud, name, declaration, text)?);
            }
            None => missing.push(name.as_str()),
        }
    }
    if missing.is_empty() {
        Ok(values)
    } else {
        Err(Error::invalid(format!("Parameters: [{}] must have values", missing.join(", "))))
    }
}

/// The defaults of a template, for looking at it without values.
pub fn defaults(template: &Value) -> IndexMap<String, Parameter> {
    let declared = template.get("Parameters").and_then(Value::as_object);
    declared
        .into_iter()
        .flatten()
        .map(|(name, declaration)| {
            let kind = declaration.get("Type").and_then(Value::as_str).unwrap_or_default();
            let given = declaration.get("Default").and_then(scalar).unwrap_or_default();
            let is_list = kind == "CommaDelimitedList" || kind.starts_with("List<");
            let given = given.into_owned();
            (name.clone(), Parameter { given, is_list, ..Parameter::default() })
        })
        .collect()
}

fn value(
    declaration: &Value,
    given: Option<&Given>,
    previous: Option<&Parameter>,
) -> Option<String> {
    match given {
        Some(Given { value: Some(value), .. }) => Some(value.clone()),
        Some(_) => previous.map(|previous| previous.given.clone()),
        None => declaration.get("Default").and_then(scalar).map(|text| text.into_owned()),
    }
}

fn one(cloud: &Cloud, name: &str, declaration: &Value, given: String) -> Result<Parameter> {
    let kind = declaration.get("Type").and_then(Value::as_str).unwrap_or_default();
    let is_secret = declaration
        .get("NoEcho")
        .is_some_and(|value| scalar(value).is_some_and(|text| text.eq_ignore_ascii_case("true")));
    let (resolved, kind) = match stored(kind) {
        Some(inner) => (Some(look_up(cloud, &given)?), inner),
        None => (None, kind),
    };
    let is_list = kind == "CommaDelimitedList" || kind.starts_with("List<");
    let parameter = Parameter { given, resolved, is_secret, is_list };
    // What the store holds is judged by nobody but its reader.
    fits(name, declaration, kind, &parameter.given)?;
    Ok(parameter)
}

/// The type of the value behind `AWS::SSM::Parameter::Value<…>`.
fn stored(kind: &str) -> Option<&str> {
    kind.strip_prefix("AWS::SSM::Parameter::Value<")?.strip_suffix('>')
}

fn look_up(cloud: &Cloud, name: &str) -> Result<String> {
    cloud.ports.parameters().and_then(|port| port.value(name)).map_err(|fault| {
        tracing::debug!(parameter = name, %fault, "not read");
        Error::invalid(format!(
            "Unable to fetch parameters [{name}] from parameter store for this account."
        ))
    })
}

/// Judges a value by its declaration.
fn fits(name: &str, declaration: &Value, kind: &str, value: &str) -> Result<()> {
    let refuse = |what: String| {
        let told = declaration.get("ConstraintDescription").and_then(Value::as_str);
        let reason = told.map_or(what, |told| format!("failed to satisfy constraint: {told}"));
        Err(Error::invalid(format!("Parameter '{name}' {reason}")))
    };
    if value.len() > LONGEST {
        return refuse(format!("has {} bytes; at most {LONGEST} are accepted", value.len()));
    }
    let items: Vec<&str> = match kind {
        "CommaDelimitedList" | "List<Number>" => value.split(',').map(str::trim).collect(),
        _ => vec![value],
    };
    let number =
        |key: &str| declaration.get(key).and_then(scalar).and_then(|text| text.parse::<f64>().ok());
    if let Some(Value::Array(allowed)) = declaration.get("AllowedValues") {
        let is_allowed =
            |item: &str| allowed.iter().filter_map(scalar).any(|allowed| allowed == item);
        if !items.iter().all(|item| is_allowed(item)) {
            let allowed: Vec<_> = allowed.iter().filter_map(scalar).collect();
            return refuse(format!("must be one of AllowedValues [{}]", allowed.join(", ")));
        }
    }
    if matches!(kind, "Number" | "List<Number>") {
        for item in &items {
            let Ok(found) = item.parse::<f64>() else {
                return refuse("must be a number".to_owned());
            };
            if let Some(min) = number("MinValue").filter(|min| found < *min) {
                return refuse(format!("must be a number not less than {min}"));
            }
            if let Some(max) = number("MaxValue").filter(|max| found > *max) {
                return refuse(format!("must be a number not greater than {max}"));
            }
        }
        return Ok(());
    }
    let length = value.chars().count() as f64;
    if let Some(min) = number("MinLength").filter(|min| length < *min) {
        return refuse(format!("must contain at least {min} characters"));
    }
    if let Some(max) = number("MaxLength").filter(|max| length > *max) {
        return refuse(format!("must contain at most {max} characters"));
    }
    if let Some(pattern) = declaration.get("AllowedPattern").and_then(Value::as_str) {
        // A pattern that is written for Java and unknown here is not judged.
        let known = Regex::new(&format!("^(?:{pattern})$")).ok();
        if known.is_some_and(|known| !items.iter().all(|item| known.is_match(item))) {
            return refuse(format!("must match pattern {pattern}"));
        }
    }
    Ok(())
}

/// The bytes of a value.
const LONGEST: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use iotstack_local_kernel::testing;
    use serde_json::json;

    fn read(parameters: Value, given: &[(&str, &str)]) -> Result<IndexMap<String, Parameter>> {
        let given: Vec<Given> = given
            .iter()
            .map(|(name, value)| Given { name: (*name).into(), value: Some((*value).into()) })
            .collect();
        let template = json!({ "Parameters": parameters });
        values(&testing::cloud(), &template, &given, &IndexMap::new())
    }

    fn refusal(declaration: Value, value: &str) -> String {
        read(json!({ "P": declaration }), &[("P", value)]).unwrap_err().to_string()
    }

    #[test]
    fn takes_given_values_before_defaults() {
        let declared = json!({"A": {"Type": "String", "Default": "x"},
            "B": {"Type": "Number", "Default": 5}, "C": {"Type": "List<Number>"}});
        let values = read(declared, &[("A", "y"), ("C", "1, 2")]).unwrap();
        assert_eq!(values["A"].value(), json!("y"));
        assert_eq!(values["B"].value(), json!("5"));
        assert_eq!(values["C"].value(), json!(["1", "2"]));
    }

    #[test]
    fn names_all_missing_and_unknown_parameters() {
        let declared = json!({"A": {"Type": "String"}, "B": {"Type": "String"}});
        let missing = read(declared.clone(), &[]).unwrap_err().to_string();
        assert_eq!(missing, "Parameters: [A, B] must have values");
        let unknown = read(declared, &[("X", "1")]).unwrap_err().to_string();
        assert_eq!(unknown, "Parameters: [X] do not exist in the template");
    }

    #[test]
    fn judges_values_by_their_declaration() {
        let text = |more: Value| {
            let mut declaration = json!({"Type": "String"});
            declaration.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            declaration
        };
        assert!(refusal(text(json!({"AllowedValues": ["a", "b"]})), "c").contains("[a, b]"));
        assert!(refusal(text(json!({"MinLength": "3"})), "ab").contains("at least 3"));
        assert!(refusal(text(json!({"MaxLength": 1})), "ab").contains("at most 1"));
        assert!(refusal(text(json!({"AllowedPattern": "[a-z]+"})), "a1").contains("[a-z]+"));
        assert!(refusal(json!({"Type": "Number"}), "x").contains("must be a number"));
        assert!(refusal(json!({"Type": "Number", "MaxValue": 3}), "4").contains("greater than 3"));
        let told = text(json!({"AllowedPattern": "x", "ConstraintDescription": "say x"}));
        assert!(refusal(told, "y").contains("say x"));
    }

    #[test]
    fn a_parameter_of_the_store_needs_the_store() {
        let declared = json!({"Type": "AWS::SSM::Parameter::Value<String>"});
        assert!(refusal(declared, "/a/b").contains("Unable to fetch parameters [/a/b]"));
    }
}
