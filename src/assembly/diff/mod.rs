//! What changes between two templates.
//!
//! [`diff`] compares them offline: resources with their properties, what a change
//! replaces or deletes, the other sections, and permissions. Whether a property's
//! change replaces the resource is asked of [`ReplacementFacts`], so that this file
//! knows no resource type.
//!
//! The answer is data. How it looks, and what needs a human's approval, is decided by
//! the program, with [`TemplateDiff::broadening`] and [`TemplateDiff::destructive`].
//! A change set knows more (parameters' values, for one); this needs no account.

mod permissions;
mod propagate;
mod rename;
mod statement;
mod values;

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::Value;

pub use permissions::{Attachment, PermissionDiff};
pub use rename::PossibleRename;
pub use statement::{Effect, Statement};
pub use values::describe_value;

use crate::{Resource, Template};

/// Compares two templates.
pub fn diff(old: &Template, new: &Template, facts: &dyn ReplacementFacts) -> TemplateDiff {
    let mut resources: Vec<ResourceChange> = Vec::new();
    for (id, resource) in &old.resources {
        if !new.resources.contains_key(id) {
            resources.push(ResourceChange::removed(id, resource));
        }
    }
    for (id, resource) in &new.resources {
        match old.resources.get(id) {
            None => resources.push(ResourceChange::added(id, resource)),
            Some(before) => resources.extend(ResourceChange::between(id, before, resource, facts)),
        }
    }
    propagate::through_references(&mut resources, old, new, facts);
    TemplateDiff {
        sections: sections(old, new),
        permissions: permissions::between(old, new),
        possible_renames: rename::among(&resources),
        resources,
    }
}

/// What is known about the effect of changing a property.
pub trait ReplacementFacts {
    /// What a change at `path` below the properties of `resource_type` does. Items of
    /// lists are written as numbers.
    fn replacement(&self, resource_type: &str, path: &[&str]) -> Replacement;

    /// Whether resources of this type hold data that is lost with them.
    fn is_stateful(&self, resource_type: &str) -> bool {
        let _ = resource_type;
        false
    }
}

/// Nothing is known: every change might replace.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFacts;

impl ReplacementFacts for NoFacts {
    fn replacement(&self, _: &str, _: &[&str]) -> Replacement {
        Replacement::Conditional
    }
}

/// Whether a change replaces the resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Replacement {
    /// The resource is updated in place.
    Never,
    /// That depends on the service, or nothing is known about it.
    Conditional,
    /// The resource is replaced by a new one.
    Always,
}

/// Everything that differs between two templates.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateDiff {
    /// Removed resources in the old order, then the others in the new.
    pub resources: Vec<ResourceChange>,
    /// Changes outside the resources.
    pub sections: Vec<SectionChange>,
    /// What is permitted now that was not, and the reverse.
    pub permissions: PermissionDiff,
    /// Pairs of a removed and an added resource that look like one.
    pub possible_renames: Vec<PossibleRename>,
}

impl TemplateDiff {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty() && self.sections.is_empty()
    }

    /// Whether somebody may do more after this change than before.
    pub fn broadening(&self) -> bool {
        self.permissions.is_broadening()
    }

    /// Whether a resource is deleted or replaced, or may be.
    pub fn destructive(&self) -> bool {
        self.resources.iter().any(|change| change.impact.is_destructive())
    }

    /// Leaves out what tools write for themselves: CDK's metadata resource with its
    /// condition, and the rule and parameter that check the bootstrap version.
    pub fn hide_tooling(&mut self) {
        self.resources.retain(|change| change.kind() != "AWS::CDK::Metadata");
        self.sections.retain(|change| !TOOLING.contains(&(change.section, change.name.as_str())));
    }

    /// The change of one resource.
    pub fn resource(&self, logical_id: &str) -> Option<&ResourceChange> {
        self.resources.iter().find(|change| change.logical_id == logical_id)
    }
}

/// What happens to a resource, in the order of weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Impact {
    /// It is made.
    Create,
    /// It is updated in place.
    Update,
    /// It leaves the stack and lives on, as its policy retains it.
    Orphan,
    /// It is updated, or replaced.
    MayReplace,
    /// It is replaced by a new one.
    Replace,
    /// It is deleted.
    Destroy,
}

impl Impact {
    /// Whether something that exists is lost, or may be.
    pub fn is_destructive(self) -> bool {
        self >= Impact::MayReplace
    }
}

/// What happens to one resource, and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceChange {
    /// The logical id.
    pub logical_id: String,
    /// The construct's path, where the template tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub construct: Option<String>,
    /// The type before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_type: Option<String>,
    /// The type after. CloudFormation refuses to change the type of a logical id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_type: Option<String>,
    /// What happens to it.
    pub impact: Impact,
    /// The differing properties, each as deep as both sides have the same form. Empty
    /// for resources that are added or removed.
    pub properties: Vec<PropertyChange>,
    /// Differing attributes of the resource, such as `DeletionPolicy`.
    pub attributes: Vec<PropertyChange>,
    /// Whether a replaced or removed resource lives on outside the stack.
    pub keeps_old: bool,
    /// The resource before.
    #[serde(skip)]
    pub old: Option<Resource>,
    /// The resource after.
    #[serde(skip)]
    pub new: Option<Resource>,
}

impl ResourceChange {
    fn added(id: &str, resource: &Resource) -> Self {
        ResourceChange::new(id, None, Some(resource), Impact::Create)
    }

    fn removed(id: &str, resource: &Resource) -> Self {
        let keeps_old = retains(resource.deletion_policy.as_deref());
        let impact = if keeps_old { Impact::Orphan } else { Impact::Destroy };
        ResourceChange { keeps_old, ..ResourceChange::new(id, Some(resource), None, impact) }
    }

    /// The change between two versions; `None` if they are the same.
    fn between(
        id: &str,
        old: &Resource,
        new: &Resource,
        facts: &dyn ReplacementFacts,
    ) -> Option<Self> {
        let mut change = ResourceChange::new(id, Some(old), Some(new), Impact::Update);
        values::compare_maps(&old.properties, &new.properties, &mut |path, old, new| {
            let keys: Vec<&str> = path.iter().map(String::as_str).collect();
            change.properties.push(PropertyChange {
                replacement: facts.replacement(&change.new_type_or_empty(), &keys),
                path: path.to_vec(),
                old: old.cloned(),
                new: new.cloned(),
                caused_by: None,
            });
        });
        values::compare_maps(&attributes(old), &attributes(new), &mut |path, old, new| {
            change.attributes.push(PropertyChange {
                replacement: Replacement::Never,
                path: path.to_vec(),
                old: old.cloned(),
                new: new.cloned(),
                caused_by: None,
            });
        });
        if old.kind == new.kind && change.properties.is_empty() && change.attributes.is_empty() {
            return None;
        }
        change.weigh();
        Some(change)
    }

    fn new(id: &str, old: Option<&Resource>, new: Option<&Resource>, impact: Impact) -> Self {
        let latest = new.or(old);
        ResourceChange {
            logical_id: id.to_owned(),
            construct: latest.and_then(Resource::construct_path).map(str::to_owned),
            old_type: old.map(|resource| resource.kind.clone()),
            new_type: new.map(|resource| resource.kind.clone()),
            impact,
            properties: Vec::new(),
            attributes: Vec::new(),
            keeps_old: false,
            old: old.cloned(),
            new: new.cloned(),
        }
    }

    /// The type, after the change if it has one then.
    pub fn kind(&self) -> &str {
        self.new_type.as_deref().or(self.old_type.as_deref()).unwrap_or_default()
    }

    /// Whether the resource's type changes, which CloudFormation refuses.
    pub fn changes_type(&self) -> bool {
        matches!((&self.old_type, &self.new_type), (Some(old), Some(new)) if old != new)
    }

    /// Sets the impact of an update from its properties.
    fn weigh(&mut self) {
        let worst = self.properties.iter().map(|change| change.replacement).max();
        self.impact = match worst {
            _ if self.changes_type() => Impact::Replace,
            Some(Replacement::Always) => Impact::Replace,
            Some(Replacement::Conditional) => Impact::MayReplace,
            Some(Replacement::Never) | None => Impact::Update,
        };
        let policy = self.new.as_ref().and_then(|new| new.update_replace_policy.as_deref());
        self.keeps_old = self.impact >= Impact::MayReplace && retains(policy);
    }

    fn new_type_or_empty(&self) -> String {
        self.new_type.clone().unwrap_or_default()
    }
}

/// One difference inside a resource.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PropertyChange {
    /// The keys below the properties, or below the resource for its attributes.
    pub path: Vec<String>,
    /// The value before; `None` where it was absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    /// The value after; `None` where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
    /// What this change alone does to the resource.
    pub replacement: Replacement,
    /// The resource whose replacement changes this value, where the template's text is
    /// the same before and after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caused_by: Option<String>,
}

/// One difference outside the resources.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SectionChange {
    /// The section, such as `Outputs`.
    pub section: &'static str,
    /// The name inside the section; empty where the section is one value.
    pub name: String,
    /// The value before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    /// The value after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
}

/// Compares what lies outside the resources.
fn sections(old: &Template, new: &Template) -> Vec<SectionChange> {
    let mut changes = Vec::new();
    let text = |text: &Option<String>| text.clone().map(Value::String);
    for (section, old, new) in [
        ("AWSTemplateFormatVersion", text(&old.format_version), text(&new.format_version)),
        ("Description", text(&old.description), text(&new.description)),
        ("Transform", old.transform.clone(), new.transform.clone()),
    ] {
        if old != new {
            changes.push(SectionChange { section, name: String::new(), old, new });
        }
    }
    let metadata = |template: &Template| template.metadata.clone().into_iter().collect();
    let other = |template: &Template| template.other.clone().into_iter().collect();
    for (section, old, new) in [
        ("Metadata", &metadata(old), &metadata(new)),
        ("Parameters", &old.parameters, &new.parameters),
        ("Rules", &old.rules, &new.rules),
        ("Mappings", &old.mappings, &new.mappings),
        ("Conditions", &old.conditions, &new.conditions),
        ("Outputs", &old.outputs, &new.outputs),
        ("Other", &other(old), &other(new)),
    ] {
        named(section, old, new, &mut changes);
    }
    changes
}

fn named(
    section: &'static str,
    old: &IndexMap<String, Value>,
    new: &IndexMap<String, Value>,
    changes: &mut Vec<SectionChange>,
) {
    let added = new.keys().filter(|name| !old.contains_key(*name));
    for name in old.keys().chain(added) {
        let (old, new) = (old.get(name), new.get(name));
        let same = matches!((old, new), (Some(old), Some(new)) if values::same(old, new));
        if !same {
            changes.push(SectionChange {
                section,
                name: name.clone(),
                old: old.cloned(),
                new: new.cloned(),
            });
        }
    }
}

/// A resource's attributes besides type and properties.
fn attributes(resource: &Resource) -> serde_json::Map<String, Value> {
    match resource.to_value() {
        Value::Object(mut fields) => {
            fields.shift_remove("Type");
            fields.shift_remove("Properties");
            fields
        }
        _ => serde_json::Map::new(),
    }
}

fn retains(policy: Option<&str>) -> bool {
    matches!(policy, Some("Retain" | "RetainExceptOnCreate"))
}

/// What tools write into templates for themselves.
const TOOLING: &[(&str, &str)] = &[
    ("Conditions", "CDKMetadataAvailable"),
    ("Rules", "CheckBootstrapVersion"),
    ("Parameters", "BootstrapVersion"),
];

#[cfg(test)]
mod tests;
