//! What a caller has to agree to: that the template gives permissions, and
//! names of its own to what holds them.
//!
//! Macros would need a consent of their own; they are refused anyway, except
//! the language extensions, which need none here as they add nothing.

use iotstack_assembly::Template;

use crate::{Error, Result};

/// The capabilities that a template needs, and the types for which it does.
pub fn needed(template: &Template) -> (Vec<&'static str>, Vec<&str>) {
    let mut kinds: Vec<&str> = Vec::new();
    let mut is_named = false;
    for resource in template.resources.values() {
        let Some((_, name)) = TYPES.iter().find(|(kind, _)| *kind == resource.kind) else {
            continue;
        };
        is_named |= !name.is_empty() && resource.properties.contains_key(*name);
        if !kinds.contains(&resource.kind.as_str()) {
            kinds.push(&resource.kind);
        }
    }
    match (kinds.is_empty(), is_named) {
        (true, _) => (Vec::new(), kinds),
        (false, false) => (vec!["CAPABILITY_IAM"], kinds),
        (false, true) => (vec!["CAPABILITY_NAMED_IAM"], kinds),
    }
}

/// Checks that the caller agreed to all that the template needs.
///
/// # Errors
/// The capabilities that are missing.
pub fn check(template: &Template, given: &[String]) -> Result<()> {
    let has = |name: &str| given.iter().any(|given| given == name);
    // Who agrees to names agrees to permissions.
    let agrees =
        |name: &str| has(name) || (name == "CAPABILITY_IAM" && has("CAPABILITY_NAMED_IAM"));
    let (needed, _) = needed(template);
    let missing: Vec<&'static str> = needed.into_iter().filter(|name| !agrees(name)).collect();
    if missing.is_empty() { Ok(()) } else { Err(Error::Capabilities(missing)) }
}

/// The types that give permissions, each with the property that names the resource.
const TYPES: &[(&str, &str)] = &[
    ("AWS::IAM::AccessKey", ""),
    ("AWS::IAM::Group", "GroupName"),
    ("AWS::IAM::GroupPolicy", ""),
    ("AWS::IAM::InstanceProfile", "InstanceProfileName"),
    ("AWS::IAM::ManagedPolicy", "ManagedPolicyName"),
    ("AWS::IAM::Policy", ""),
    ("AWS::IAM::Role", "RoleName"),
    ("AWS::IAM::RolePolicy", ""),
    ("AWS::IAM::User", "UserName"),
    ("AWS::IAM::UserPolicy", ""),
    ("AWS::IAM::UserToGroupAddition", ""),
];
