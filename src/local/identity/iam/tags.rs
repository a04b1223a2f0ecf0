//! Tags of roles, users and policies.
//!
//! Their keys differ in more than their case, and a list that breaks a rule changes nothing.

use std::collections::BTreeMap;

use iotstack_local_kernel::{Fault, loose, violation, violations};
use serde_json::{Map, Value};

/// The tags that a request gives.
pub(super) fn given(input: &Map<String, Value>) -> Result<Vec<(String, String)>, Fault> {
    let tags = loose::pairs(input, "Tags", ("Key", "Value"))?;
    check_count("tags", tags.len())?;
    for (at, (key, value)) in tags.iter().enumerate() {
        check(&format!("tags.{}.member.key", at + 1), key, 128)?;
        check(&format!("tags.{}.member.value", at + 1), value, 256)?;
        if tags[..at].iter().any(|(other, _)| other.eq_ignore_ascii_case(key)) {
            let reason =
                "Duplicate tag keys found. Please note that Tag keys are case insensitive.";
            return Err(Fault::invalid_input(reason));
        }
    }
    Ok(tags)
}

/// The keys of tags that a request takes away.
pub(super) fn named(input: &Map<String, Value>) -> Result<Vec<String>, Fault> {
    let keys = loose::texts(input, "TagKeys")?;
    check_count("tagKeys", keys.len())?;
    for (at, key) in keys.iter().enumerate() {
        check(&format!("tagKeys.{}.member", at + 1), key, 128)?;
    }
    Ok(keys)
}

/// Adds tags, which replace those of the same key.
pub(super) fn add(
    tags: &mut BTreeMap<String, String>,
    more: Vec<(String, String)>,
) -> Result<(), Fault> {
    let mut together = tags.clone();
    for (key, value) in more {
        together.retain(|other, _| !other.eq_ignore_ascii_case(&key));
        together.insert(key, value);
    }
    if together.len() > MOST {
        let reason = format!("50 tags are accepted, not {}", together.len());
        return Err(Fault::new("LimitExceeded", 409, reason));
    }
    *tags = together;
    Ok(())
}

/// Takes tags away; what is not there is no error.
pub(super) fn remove(tags: &mut BTreeMap<String, String>, keys: &[String]) {
    tags.retain(|key, _| !keys.iter().any(|gone| gone.eq_ignore_ascii_case(key)));
}

fn check_count(member: &str, count: usize) -> Result<(), Fault> {
    if count <= MOST {
        return Ok(());
    }
    let wanted = "Member must have length less than or equal to 50";
    Err(Fault::invalid_input(violations(&[violation(member, None, wanted)])))
}

fn check(member: &str, text: &str, longest: usize) -> Result<(), Fault> {
    let known = |c: char| c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-@".contains(c);
    let wanted = if text.chars().count() > longest {
        format!("Member must have length less than or equal to {longest}")
    } else if !text.chars().all(known) {
        "Member must satisfy regular expression pattern: [\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]+".to_owned()
    } else {
        return Ok(());
    };
    Err(Fault::invalid_input(violations(&[violation(member, Some(text), &wanted)])))
}

const MOST: usize = 50;
