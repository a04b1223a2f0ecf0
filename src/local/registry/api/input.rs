//! Reading inputs: names, attributes, pages.
//!
//! What breaks a rule of AWS is refused with the value received and what would be
//! accepted. Whether something exists is not asked here.

use std::collections::BTreeMap;
use std::str::FromStr;

use iotstack_local_kernel::page::page;
use iotstack_local_kernel::{Call, Fault};
use iotstack_protocol::{BillingGroupName, ThingGroupName, ThingName, ThingTypeName};
use serde_json::{Map, Value, json};

use crate::fault;

/// Checks the name of a thing.
pub fn thing_name(name: &str) -> Result<(), Fault> {
    checked::<ThingName>(name)
}

/// Checks the name of a thing type.
pub fn type_name(name: &str) -> Result<(), Fault> {
    checked::<ThingTypeName>(name)
}

/// Checks the name of a thing group.
pub fn group_name(name: &str) -> Result<(), Fault> {
    checked::<ThingGroupName>(name)
}

/// Checks the name of a billing group.
pub fn billing_group_name(name: &str) -> Result<(), Fault> {
    checked::<BillingGroupName>(name)
}

/// Checks that a name has `1..=longest` of the allowed characters.
pub fn name(what: &str, name: &str, longest: usize, extra: &str) -> Result<(), Fault> {
    let fits = !name.is_empty()
        && name.len() <= longest
        && name.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || byte == b'_' || extra.as_bytes().contains(&byte)
        });
    if fits {
        return Ok(());
    }
    Err(fault::invalid(format!(
        "{what} `{name}` must have 1 to {longest} of the characters a-z, A-Z, 0-9, `_` and `{extra}`"
    )))
}

/// Attributes, and whether they are merged into those that are there.
pub type AttributePayload = (BTreeMap<String, String>, bool);

/// The attributes of an `attributePayload`, and whether they are merged.
pub fn attribute_payload(members: &Map<String, Value>) -> Result<Option<AttributePayload>, Fault> {
    let Some(payload) = members.get("attributePayload").filter(|payload| !payload.is_null()) else {
        return Ok(None);
    };
    let Value::Object(payload) = payload else {
        return Err(fault::invalid(format!("attributePayload must be an object, not {payload}")));
    };
    let merge = match payload.get("merge") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(merge)) => *merge,
        Some(other) => {
            return Err(fault::invalid(format!("merge must be true or false, not {other}")));
        }
    };
    Ok(Some((attributes(payload.get("attributes"))?, merge)))
}

/// A map of texts.
pub fn attributes(value: Option<&Value>) -> Result<BTreeMap<String, String>, Fault> {
    let mut found = BTreeMap::new();
    match value {
        None | Some(Value::Null) => {}
        Some(Value::Object(members)) => {
            for (key, value) in members {
                let Value::String(value) = value else {
                    return Err(fault::invalid(format!(
                        "attribute `{key}` must be a text, not {value}"
                    )));
                };
                check_attribute(key, value)?;
                found.insert(key.clone(), value.clone());
            }
        }
        Some(other) => {
            return Err(fault::invalid(format!("attributes must be an object, not {other}")));
        }
    }
    Ok(found)
}

/// An object that may be missing.
pub fn object(members: &Map<String, Value>, name: &str) -> Result<Map<String, Value>, Fault> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(object)) => Ok(object.clone()),
        Some(other) => Err(fault::invalid(format!("{name} must be an object, not {other}"))),
    }
}

/// A text of an object, if it is there.
pub fn text_of(members: &Map<String, Value>, name: &str) -> Result<Option<String>, Fault> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(fault::invalid(format!("{name} must be a text, not {other}"))),
    }
}

/// A list of texts; an empty one if it is missing.
pub fn texts(members: &Map<String, Value>, name: &str) -> Result<Vec<String>, Fault> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| {
                item.as_str()
                    .map(str::to_owned)
                    .ok_or_else(|| fault::invalid(format!("{name} must hold texts, not {item}")))
            })
            .collect(),
        Some(other) => Err(fault::invalid(format!("{name} must be a list, not {other}"))),
    }
}

/// A description of at most 2028 characters.
pub fn description(text: Option<String>, what: &str) -> Result<Option<String>, Fault> {
    match text {
        Some(text) if text.chars().count() > LONGEST_DESCRIPTION => Err(fault::invalid(format!(
            "the description of {what} has {} characters; {LONGEST_DESCRIPTION} are the most",
            text.chars().count()
        ))),
        text => Ok(text.filter(|text| !text.is_empty())),
    }
}

/// Checks `expectedVersion` if it is given.
pub fn expect_version(
    what: &str,
    name: &str,
    expected: Option<i64>,
    actual: i64,
) -> Result<(), Fault> {
    match expected {
        Some(expected) if expected != actual => {
            Err(fault::version_conflict(what, name, expected, actual))
        }
        _ => Ok(()),
    }
}

/// One page of a list by `maxResults` and `nextToken`: the answer under `name`.
pub fn listed<T>(
    call: &Call,
    name: &str,
    items: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> String,
    show: impl Fn(T) -> Value,
) -> Result<Value, Fault> {
    let limit = size(call, "maxResults", 250, 25)?;
    let (items, next) = page(items, key, call.optional_text("nextToken")?, limit)?;
    let mut answer = json!({ name: items.into_iter().map(show).collect::<Vec<_>>() });
    if let Some(next) = next {
        answer["nextToken"] = json!(next);
    }
    Ok(answer)
}

/// One page of a list by `pageSize` and `marker`, in either order.
pub fn marked<T>(
    call: &Call,
    name: &str,
    mut items: Vec<T>,
    key: impl Fn(&T) -> String,
    show: impl Fn(T) -> Value,
) -> Result<Value, Fault> {
    let limit = size(call, "pageSize", 250, 25)?;
    items.sort_by_key(|item| key(item));
    // AWS lists the newest first unless asked otherwise; here the order is that
    // of the names, as creation times of one batch are often the same.
    let marker = call.optional_text("marker")?;
    let (items, next) = page(items, key, marker, limit)?;
    let mut answer = json!({ name: items.into_iter().map(show).collect::<Vec<_>>() });
    if let Some(next) = next {
        answer["nextMarker"] = json!(next);
    }
    Ok(answer)
}

/// How long a page shall be.
pub fn size(call: &Call, name: &str, most: i64, usual: usize) -> Result<usize, Fault> {
    match call.optional_integer(name)? {
        None => Ok(usual),
        Some(asked) if (1..=most).contains(&asked) => Ok(usize::try_from(asked).unwrap_or(usual)),
        Some(asked) => Err(fault::invalid(format!("{name} must be 1 to {most}, not {asked}"))),
    }
}

/// The name at the end of an ARN of a kind, or the name itself.
pub fn name_or_arn(call: &Call, name: &str, arn: &str, kind: &str) -> Result<String, Fault> {
    if let Some(found) = call.optional_text(name)? {
        return Ok(found.to_owned());
    }
    match call.optional_text(arn)? {
        Some(found) => name_in_arn(found, kind)
            .map(str::to_owned)
            .ok_or_else(|| fault::invalid(format!("{arn} `{found}` is no ARN of a {kind}"))),
        None => Err(fault::invalid(format!("{name} or {arn} is required"))),
    }
}

/// `name` of `arn:…:kind/name`.
pub fn name_in_arn<'a>(arn: &'a str, kind: &str) -> Option<&'a str> {
    let mut parts = arn.splitn(6, ':');
    (parts.next()? == "arn").then_some(())?;
    (parts.nth(1)? == "iot").then_some(())?;
    parts.nth(2)?.strip_prefix(kind)?.strip_prefix('/').filter(|name| !name.is_empty())
}

fn checked<T: FromStr>(name: &str) -> Result<(), Fault>
where
    T::Err: std::fmt::Display,
{
    name.parse::<T>().map(drop).map_err(|error| fault::invalid(error.to_string()))
}

/// Checks the alphabet and the length of an attribute.
pub fn check_attribute(key: &str, value: &str) -> Result<(), Fault> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.,@/:#-".contains(&byte);
    if key.is_empty() || key.len() > 128 || !key.bytes().all(plain) {
        return Err(fault::invalid(format!(
            "attribute name `{key}` must have 1 to 128 of the characters a-z, A-Z, 0-9 and `_.,@/:#-`"
        )));
    }
    let value_fits = |byte: u8| plain(byte) || b"=[]".contains(&byte);
    if value.len() > 800 || !value.bytes().all(value_fits) {
        return Err(fault::invalid(format!(
            "value `{value}` of attribute `{key}` must have at most 800 of the characters a-z, A-Z, \
             0-9 and `_.,@/:#=[]-`"
        )));
    }
    Ok(())
}

const LONGEST_DESCRIPTION: usize = 2028;
