//! Reading what clients send.
//!
//! The query format knows only texts: numbers and flags are read from them, an empty
//! text counts as absent, and an empty list is told from none, because it takes away
//! what a stack has.

use std::collections::BTreeMap;

use iotstack_local_kernel::{Call, Cloud, violation, violations};
use serde_json::Value;

use crate::engine::functions::scalar;
use crate::engine::parameters::Given;
use crate::engine::source;
use crate::engine::stack_policy::{LONGEST, StackPolicy};
use crate::state::{Definition, OnFailure};
use crate::{Error, Result};

/// A member that is a text if it is there; an empty one counts as absent.
pub fn text<'a>(call: &'a Call, name: &str) -> Option<&'a str> {
    call.input.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// A member that must be a text.
pub fn required<'a>(call: &'a Call, name: &str) -> Result<&'a str> {
    text(call, name)
        .ok_or_else(|| Error::invalid(violations(&[format!("{name} must not be empty")])))
}

/// A member that is true or false if it is there.
pub fn flag(call: &Call, name: &str) -> Result<Option<bool>> {
    match call.input.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(*value)),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
        Some(other) => Err(Error::invalid(format!("{name} must be true or false, not {other}"))),
    }
}

/// A member that is a whole number if it is there.
pub fn number(call: &Call, name: &str) -> Result<Option<u32>> {
    match call.input.get(name).and_then(scalar).filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => text
            .parse()
            .map(Some)
            .map_err(|_| Error::invalid(format!("{name} must be a whole number, not {text}"))),
    }
}

/// The items of a list. A list that is there and empty is told from none.
pub fn items<'a>(call: &'a Call, name: &str) -> Option<&'a [Value]> {
    match call.input.get(name)? {
        Value::Array(items) => Some(items),
        Value::String(text) if text.is_empty() => Some(&[]),
        _ => None,
    }
}

/// The texts of a list.
pub fn texts(call: &Call, name: &str) -> Option<Vec<String>> {
    Some(items(call, name)?.iter().filter_map(scalar).map(|text| text.into_owned()).collect())
}

/// A stack policy that a request brings, in itself or through a URL; judged.
pub async fn policy(
    cloud: &Cloud,
    call: &Call,
    (body, url): (&str, &str),
) -> Result<Option<String>> {
    let policy = match (text(call, body), text(call, url)) {
        (None, None) => return Ok(None),
        (Some(policy), None) => policy.to_owned(),
        (None, Some(location)) => source::object(cloud, url, location, LONGEST).await?,
        (Some(_), Some(_)) => {
            return Err(Error::invalid(format!("only one of {body} and {url} can be given")));
        }
    };
    StackPolicy::parse(&policy)?;
    Ok(Some(policy))
}

/// The parameters of a request.
pub fn parameters(call: &Call) -> Result<Vec<Given>> {
    let mut given: Vec<Given> = Vec::new();
    for item in items(call, "Parameters").unwrap_or_default() {
        let part = |name: &str| item.get(name).and_then(scalar).map(|text| text.into_owned());
        let Some(name) = part("ParameterKey").filter(|name| !name.is_empty()) else {
            return Err(Error::invalid("a parameter needs a ParameterKey"));
        };
        let keeps = part("UsePreviousValue").is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let value = part("ParameterValue");
        if keeps && value.as_deref().is_some_and(|value| !value.is_empty()) {
            return Err(Error::invalid(format!(
                "Invalid input for parameter key {name}. Cannot specify usePreviousValue as true and non empty value for a parameter"
            )));
        }
        if given.iter().any(|other| other.name == name) {
            return Err(Error::invalid(format!("parameter {name} is given twice")));
        }
        let value = if keeps { None } else { Some(value.unwrap_or_default()) };
        given.push(Given { name, value });
    }
    Ok(given)
}

/// The tags of a request, if it has any to say.
pub fn tags(call: &Call) -> Result<Option<BTreeMap<String, String>>> {
    let Some(items) = items(call, "Tags") else { return Ok(None) };
    let mut tags = BTreeMap::new();
    for item in items {
        let part = |name: &str| item.get(name).and_then(scalar).map(|text| text.into_owned());
        let (Some(key), Some(value)) = (part("Key"), part("Value")) else {
            return Err(Error::invalid("a tag needs a Key and a Value"));
        };
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(Error::invalid(format!(
                "tag {key}: a key has 1 to 128 characters, a value up to 256"
            )));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(Error::invalid(format!(
                "tag {key}: keys that begin with aws: belong to AWS"
            )));
        }
        tags.insert(key, value);
    }
    if tags.len() > 50 {
        return Err(Error::invalid(format!("{} tags; at most 50 are accepted", tags.len())));
    }
    Ok(Some(tags))
}

/// The parts of a definition that a request gives; what it does not speak of stays.
pub fn definition(call: &Call, before: Option<&Definition>) -> Result<Definition> {
    let before = before.cloned().unwrap_or_default();
    let capabilities = texts(call, "Capabilities").unwrap_or_default();
    for name in &capabilities {
        if !CAPABILITIES.contains(&name.as_str()) {
            return Err(Error::invalid(format!(
                "capability {name} is none of {}",
                CAPABILITIES.join(", ")
            )));
        }
    }
    Ok(Definition {
        tags: tags(call)?.unwrap_or(before.tags),
        capabilities,
        notification_arns: texts(call, "NotificationARNs").unwrap_or(before.notification_arns),
        role_arn: text(call, "RoleARN").map(str::to_owned).or(before.role_arn),
        ..Definition::default()
    })
}

/// What a failure leads to.
pub fn on_failure(call: &Call, name: &str) -> Result<Option<OnFailure>> {
    match text(call, name) {
        None => Ok(None),
        Some("ROLLBACK") => Ok(Some(OnFailure::RollBack)),
        Some("DO_NOTHING") => Ok(Some(OnFailure::DoNothing)),
        Some("DELETE") => Ok(Some(OnFailure::Delete)),
        Some(other) => Err(Error::invalid(format!(
            "{name} must be ROLLBACK, DO_NOTHING or DELETE, not {other}"
        ))),
    }
}

/// The name of a new stack or change set.
pub fn new_name<'a>(call: &'a Call, member: &str) -> Result<&'a str> {
    let name = required(call, member)?;
    let fits = name.len() <= 128
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|each| each.is_ascii_alphanumeric() || each == '-');
    if fits {
        Ok(name)
    } else {
        let wanted = "a letter, then letters, digits and hyphens, 128 at most";
        Err(Error::invalid(violations(&[violation(member, Some(name), wanted)])))
    }
}

const CAPABILITIES: &[&str] = &["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"];
