//! Two resources with one name in the account.
//!
//! Resources of one type are told apart by the properties that identify them. If two
//! have the same, the second cannot be made. Resources under conditions are left alone,
//! because usually only one of them exists at a time.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use iotstack_assembly::intrinsic::{Trail, each_reference};
use iotstack_assembly::{Resource, intrinsic::Target};
use iotstack_schema::ResourceType;
use serde_json::Value;

use crate::value::shown;
use crate::{Code, Findings, Rule, Subject};

/// The rule.
pub(super) struct PhysicalNames;

impl Rule for PhysicalNames {
    fn codes(&self) -> Vec<&'static Code> {
        vec![&DUPLICATE_NAME]
    }

    fn template(&self, subject: &Subject<'_>, findings: &mut Findings<'_>) {
        let mut identifiers: HashMap<&str, Option<Vec<&'static str>>> = HashMap::new();
        let mut single: HashMap<(&str, &str), &str> = HashMap::new();
        let mut several: HashMap<(&str, String), &str> = HashMap::new();
        for (id, resource) in &subject.template.resources {
            let kind = resource.kind.as_str();
            let names = identifiers.entry(kind).or_insert_with(|| identifier(kind));
            let Some(names) = names.as_deref() else { continue };
            if resource.condition.is_some() {
                continue;
            }
            let first = match names {
                // By far the most frequent: one name, written out.
                [name] if resource.properties.get(*name).is_some_and(Value::is_string) => {
                    let value = resource.properties[*name].as_str().unwrap_or_default();
                    taken(single.entry((kind, value)), id)
                }
                names => match joined(resource, names) {
                    Some(key) => taken(several.entry((kind, key)), id),
                    None => None,
                },
            };
            if let Some(first) = first {
                tell(first, id, resource, names, findings);
            }
        }
    }
}

/// The first holder of a name, if it is taken.
fn taken<'a, K>(entry: Entry<'_, K, &'a str>, id: &'a str) -> Option<&'a str> {
    match entry {
        Entry::Occupied(first) => Some(first.get()),
        Entry::Vacant(free) => {
            free.insert(id);
            None
        }
    }
}

fn tell(
    first: &str,
    id: &str,
    resource: &Resource,
    names: &[&'static str],
    findings: &mut Findings<'_>,
) {
    let Some(name) = names.last() else { return };
    let value = resource.properties.get(*name).map(shown).unwrap_or_default();
    let trail = Trail::Root.key("Resources");
    let trail = trail.key(id);
    let trail = trail.key("Properties");
    findings.advise(
        &DUPLICATE_NAME,
        &trail.key(name),
        format!(
            "`{first}` and `{id}` are the same {}: both have {} {value}",
            resource.kind,
            names.join(", ")
        ),
        "give them different names, or leave the name away and let CloudFormation choose",
    );
}

/// The properties that identify a resource of a type, if a template can set them all.
fn identifier(kind: &str) -> Option<Vec<&'static str>> {
    if kind == "AWS::IoT::Policy" {
        return Some(vec!["PolicyName"]);
    }
    let facts: &'static ResourceType = iotstack_schema::resource_type(kind)?;
    let names: Option<Vec<&'static str>> = facts
        .primary_identifier
        .iter()
        .map(|path| match path.segments() {
            [name] if !facts.is_read_only(&[name]) => Some(*name),
            _ => None,
        })
        .collect();
    names.filter(|names| !names.is_empty())
}

/// The identifying values as one text; `None` where one is absent or not certain.
fn joined(resource: &Resource, names: &[&str]) -> Option<String> {
    let mut key = String::new();
    for name in names {
        let value = resource.properties.get(*name)?;
        if !is_certain(value) {
            return None;
        }
        key.push_str(&value.to_string());
        key.push('\u{0}');
    }
    Some(key)
}

/// Whether equal texts of this value mean equal values in one deployment.
fn is_certain(value: &Value) -> bool {
    let mut is_certain = true;
    each_reference(value, &Trail::Root, &mut |target, _| {
        let is_absent = target == Target::Name("AWS::NoValue");
        is_certain &= !is_absent && !matches!(target, Target::Condition(_));
    });
    is_certain && !value.to_string().contains("Fn::Transform")
}

static DUPLICATE_NAME: Code = Code::error(
    "duplicate-name",
    "Two resources of one type have the same name, or the same identifying properties, so AWS \
     refuses the second one, or the second overwrites the first.",
);

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use serde_json::{Value, json};

    fn two(first: Value, second: Value) -> iotstack_assembly::Diagnostics {
        findings(json!({
            "Parameters": {"P": {"Type": "String"}},
            "Resources": {
                "A": {"Type": "AWS::IoT::Thing", "Properties": {"ThingName": first}},
                "B": {"Type": "AWS::IoT::Thing", "Properties": {"ThingName": second}},
                "C": {"Type": "AWS::IoT::ThingGroup", "Properties": {"ThingGroupName": {"Ref": "P"}}}
            }
        }))
    }

    #[test]
    fn accepts_different_names() {
        clean(&two(json!("a"), json!("b")));
        clean(&two(json!({"Fn::Sub": "${P}-a"}), json!({"Fn::Sub": "${P}-b"})));
    }

    #[test]
    fn finds_the_same_name_twice() {
        assert_eq!(
            only(&two(json!("pump"), json!("pump"))),
            "duplicate-name Resources/B/Properties/ThingName: `A` and `B` are the same \
             AWS::IoT::Thing: both have ThingName the text `pump`"
        );
        has_codes(
            &two(json!({"Fn::Sub": "${P}-a"}), json!({"Fn::Sub": "${P}-a"})),
            &["duplicate-name"],
        );
    }

    #[test]
    fn leaves_resources_under_conditions_alone() {
        clean(&findings(json!({
            "Conditions": {"C": {"Fn::Equals": [{"Ref": "AWS::Region"}, "x"]}, "D": {"Fn::Not": [{"Condition": "C"}]}},
            "Resources": {
                "A": {"Type": "AWS::IoT::Thing", "Condition": "C", "Properties": {"ThingName": "a"}},
                "B": {"Type": "AWS::IoT::Thing", "Condition": "D", "Properties": {"ThingName": "a"}}
            }
        })));
    }
}
