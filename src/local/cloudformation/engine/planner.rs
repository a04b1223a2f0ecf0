//! What happens to each resource, with the reasons.
//!
//! What a resource that is new or replaced will be called is known only later, so
//! values that ask for it are compared as [`LATER`] and told as dynamic. Attributes
//! of a resource that is changed in place may change as well, except those that name
//! it: a new attribute of a custom resource can matter, the ARN of a function with
//! new code cannot. Properties that may hold a secret parameter are shown as
//! asterisks, before and afterwards.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use iotstack_assembly::Resource as Declared;
use iotstack_assembly::diff::Replacement;
use iotstack_assembly::intrinsic::{Target, Trail, each_reference};
use iotstack_assembly::template::is_custom;
use iotstack_local_kernel::Account;
use serde_json::{Map, Value, json};

use super::evaluate::{Known, LATER};
use super::plan::{self, Detail, PlannedChange, Present, attribute_of, compare, metadata_of};
use super::{Prepared, judge, prepare_again};
use crate::state::{Definition, MASK, Output, Resource};
use crate::{Error, Result};

/// What happens to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Effect {
    Unchanged,
    Modified,
    MayReplace,
    Replaced,
    Added,
}

/// Looks at one resource after the other.
pub(super) struct Planner<'a> {
    prepared: &'a Prepared,
    present: &'a Present,
    old: Option<Prepared>,
    account: &'a Account,
    name: &'a str,
    id: &'a str,
    effects: BTreeMap<&'a str, Effect>,
    masks: bool,
}

impl<'a> Planner<'a> {
    /// Nothing looked at yet.
    pub(super) fn new(
        prepared: &'a Prepared,
        present: &'a Present,
        account: &'a Account,
        (name, id): (&'a str, &'a str),
    ) -> Self {
        let before = present.definition.as_ref();
        Planner {
            prepared,
            present,
            old: before.and_then(|before| prepare_again(before, account, name).ok()),
            account,
            name,
            id,
            effects: BTreeMap::new(),
            masks: has_secrets(&prepared.definition)
                || before.is_some_and(|before| has_secrets(before)),
        }
    }

    /// What happens to a resource of the template. Those that it needs come before.
    pub(super) fn resource(&mut self, logical_id: &'a str) -> Result<Option<PlannedChange>> {
        let declared = &self.prepared.template.resources[logical_id];
        let present =
            self.present.resources.get(logical_id).filter(|resource| resource.status.exists());
        let after = self.evaluated(logical_id, declared)?;
        let Some(present) = present else {
            self.effects.insert(logical_id, Effect::Added);
            return Ok(Some(self.added(logical_id, declared, &after)));
        };
        let mut details = self.details(declared, present, &after);
        let failed = present.status.has_failed();
        self.other_details(declared, present, &mut details);
        if details.is_empty() && !failed {
            self.effects.insert(logical_id, Effect::Unchanged);
            return Ok(None);
        }
        let effect = details.iter().map(effect_of).max().unwrap_or(Effect::Modified);
        self.effects.insert(logical_id, effect);
        let mut scope: Vec<String> = Vec::new();
        for detail in &details {
            if !scope.contains(&detail.attribute) {
                scope.push(detail.attribute.clone());
            }
        }
        let policy = declared.update_replace_policy.as_deref();
        let policy_action = (effect == Effect::Replaced).then(|| {
            match policy {
                Some("Retain" | "RetainExceptOnCreate") => "ReplaceAndRetain",
                Some("Snapshot") => "ReplaceAndSnapshot",
                _ => "ReplaceAndDelete",
            }
            .to_owned()
        });
        let before = context(&self.shown_before(logical_id, present), None);
        let shown = self.shown_after(declared, &after);
        Ok(Some(PlannedChange {
            action: "Modify".to_owned(),
            logical_id: logical_id.to_owned(),
            physical_id: present.physical_id.clone(),
            kind: declared.kind.clone(),
            replacement: Some(
                match effect {
                    Effect::Replaced | Effect::Added => "True",
                    Effect::MayReplace => "Conditional",
                    Effect::Modified | Effect::Unchanged => "False",
                }
                .to_owned(),
            ),
            policy_action,
            scope,
            details,
            before: Some(before),
            after: Some(context(&shown, Some(declared))),
        }))
    }

    fn added(&self, logical_id: &str, declared: &Declared, after: &Value) -> PlannedChange {
        let shown = self.shown_after(declared, after);
        PlannedChange {
            action: "Add".to_owned(),
            logical_id: logical_id.to_owned(),
            kind: declared.kind.clone(),
            after: Some(context(&shown, Some(declared))),
            ..PlannedChange::default()
        }
    }

    /// What happens to a resource that the template has no more.
    pub(super) fn removed(&self, resource: &Resource) -> PlannedChange {
        let policy = match resource.deletion_policy.as_deref() {
            Some("Retain" | "RetainExceptOnCreate") => "Retain",
            Some("Snapshot") => "Snapshot",
            _ => "Delete",
        };
        let before = self.shown_before(&resource.logical_id, resource);
        PlannedChange {
            action: "Remove".to_owned(),
            logical_id: resource.logical_id.clone(),
            physical_id: resource.physical_id.clone(),
            kind: resource.kind.clone(),
            policy_action: Some(policy.to_owned()),
            before: Some(context(&before, None)),
            ..PlannedChange::default()
        }
    }

    fn foreseen(&self) -> Foreseen<'_> {
        Foreseen { present: self.present, effects: &self.effects, needs: &self.prepared.needs }
    }

    /// The properties as they would be, as far as that is known.
    fn evaluated(&self, logical_id: &str, declared: &Declared) -> Result<Value> {
        let known = self.foreseen();
        let scope = self.prepared.scope(self.account, self.name, self.id, &known);
        let mut properties = scope.object(&declared.properties).map_err(|reason| {
            Error::invalid(format!("Template error: resource {logical_id}: {reason}"))
        })?;
        if let Some(facts) = iotstack_schema::resource_type(&declared.kind) {
            judge::coerce(facts, &mut properties);
        }
        Ok(Value::Object(properties))
    }

    /// What differs in the properties.
    fn details(&self, declared: &Declared, present: &Resource, after: &Value) -> Vec<Detail> {
        let mut details = Vec::new();
        for change in compare(&declared.kind, &present.properties, after) {
            let name = change.path.first().cloned().unwrap_or_default();
            let later = change.new.as_ref().is_some_and(mentions_later);
            let (source, cause) = self.source(&present.logical_id, &name, declared, later);
            let is_dynamic = matches!(source, "ResourceReference" | "ResourceAttribute") && later;
            let (before, after) = if self.hides(declared, &name) {
                (change.old.map(|_| MASK.to_owned()), change.new.map(|_| MASK.to_owned()))
            } else {
                (change.old.as_ref().map(text_of), change.new.as_ref().map(text_of))
            };
            details.push(Detail {
                attribute: "Properties".to_owned(),
                path: Some(format!("/Properties/{}", change.path.join("/"))),
                name: Some(name),
                recreation: match change.replacement {
                    Replacement::Always => "Always",
                    Replacement::Conditional => "Conditionally",
                    Replacement::Never => "Never",
                }
                .to_owned(),
                change: kind_of_change(&before, &after).to_owned(),
                before,
                after,
                evaluation: if is_dynamic { "Dynamic" } else { "Static" }.to_owned(),
                source: source.to_owned(),
                cause,
            });
        }
        details
    }

    /// What differs besides the properties.
    fn other_details(&self, declared: &Declared, present: &Resource, details: &mut Vec<Detail>) {
        let facts = iotstack_schema::resource_type(&declared.kind);
        let is_tagged = facts
            .is_some_and(|facts| facts.tagging.as_ref().is_some_and(|tagging| tagging.updatable));
        let mut add = |attribute: &str, before: Option<String>, after: Option<String>| {
            details.push(Detail {
                attribute: attribute.to_owned(),
                name: (attribute == "Tags").then(|| "Tags".to_owned()),
                recreation: "Never".to_owned(),
                change: kind_of_change(&before, &after).to_owned(),
                before,
                after,
                evaluation: "Static".to_owned(),
                source: "DirectModification".to_owned(),
                ..Detail::default()
            });
        };
        if is_tagged && present.stack_tags != self.prepared.definition.tags {
            let tags = |tags: &BTreeMap<String, String>| Some(json!(tags).to_string());
            add("Tags", tags(&present.stack_tags), tags(&self.prepared.definition.tags));
        }
        let metadata = metadata_of(declared);
        if present.metadata != metadata {
            add("Metadata", present.metadata.clone(), metadata);
        }
        if present.deletion_policy != declared.deletion_policy {
            let (before, after) = (&present.deletion_policy, &declared.deletion_policy);
            add("DeletionPolicy", before.clone(), after.clone());
        }
        if present.replace_policy != declared.update_replace_policy {
            let (before, after) = (&present.replace_policy, &declared.update_replace_policy);
            add("UpdateReplacePolicy", before.clone(), after.clone());
        }
        if details.is_empty() && self.present.nested_changes.contains(&present.logical_id) {
            details.push(Detail {
                attribute: "Properties".to_owned(),
                name: Some("TemplateURL".to_owned()),
                recreation: "Never".to_owned(),
                change: "Modify".to_owned(),
                evaluation: "Dynamic".to_owned(),
                source: "Automatic".to_owned(),
                ..Detail::default()
            });
        }
    }

    /// What makes a property differ.
    fn source(
        &self,
        logical_id: &str,
        property: &str,
        declared: &Declared,
        later: bool,
    ) -> (&'static str, Option<String>) {
        let raw = declared.properties.get(property);
        let old = self.old.as_ref();
        let old_raw = old
            .and_then(|old| old.template.resources.get(logical_id))
            .and_then(|resource| resource.properties.get(property));
        if raw != old_raw {
            return ("DirectModification", None);
        }
        let mut found = ("DirectModification", None);
        let Some(raw) = raw else { return found };
        each_reference(raw, &Trail::Root, &mut |target, _| {
            let (id, attribute) = match target {
                Target::Name(id) => (id, None),
                Target::Attribute(id, attribute) => (id, Some(attribute)),
                Target::Condition(_) | Target::Mapping(_) => return,
            };
            if let Some(parameter) = self.prepared.definition.parameters.get(id) {
                let before = old.and_then(|old| old.definition.parameters.get(id));
                if before != Some(parameter) && !later {
                    found = ("ParameterReference", Some(id.to_owned()));
                }
            } else if self.effects.get(id).is_some_and(|effect| *effect != Effect::Unchanged) {
                found = match attribute {
                    Some(attribute) => ("ResourceAttribute", Some(format!("{id}.{attribute}"))),
                    None => ("ResourceReference", Some(id.to_owned())),
                };
            }
        });
        found
    }

    /// The outputs, as far as they are known.
    pub(super) fn outputs(&self) -> Result<Vec<Output>> {
        let known = self.foreseen();
        let scope = self.prepared.scope(self.account, self.name, self.id, &known);
        let found = plan::outputs(self.prepared, &scope)
            .map_err(|reason| Error::invalid(format!("Template error: {reason}")))?;
        for output in &found {
            let Some(export) = &output.export else { continue };
            if let Some((_, stack)) = self.present.exports.get(export) {
                return Err(Error::invalid(format!(
                    "Export with name {export} is already exported by stack {stack}"
                )));
            }
        }
        Ok(found)
    }

    /// Whether a property may hold a secret parameter's value.
    fn hides(&self, declared: &Declared, property: &str) -> bool {
        let mut hides = false;
        if self.masks
            && let Some(raw) = declared.properties.get(property)
        {
            each_reference(raw, &Trail::Root, &mut |target, _| {
                let parameter =
                    target.id().and_then(|id| self.prepared.definition.parameters.get(id));
                hides |= parameter.is_some_and(|parameter| parameter.is_secret);
            });
        }
        hides
    }

    fn shown_after(&self, declared: &Declared, after: &Value) -> Value {
        if !self.masks {
            return after.clone();
        }
        let known = self.foreseen();
        let mut scope = self.prepared.scope(self.account, self.name, self.id, &known);
        scope.masked = true;
        scope.object(&declared.properties).map_or(Value::Null, Value::Object)
    }

    fn shown_before(&self, logical_id: &str, present: &Resource) -> Value {
        if !self.masks {
            return present.properties.clone();
        }
        let nothing = BTreeMap::new();
        let found = self.old.as_ref().and_then(|old| {
            let known = Foreseen { present: self.present, effects: &nothing, needs: &old.needs };
            let declared = old.template.resources.get(logical_id)?;
            let mut scope = old.scope(self.account, self.name, self.id, &known);
            scope.masked = true;
            scope.object(&declared.properties).ok()
        });
        found.map_or(Value::Null, Value::Object)
    }
}

/// Resources as they will be, as far as that is known.
struct Foreseen<'a> {
    present: &'a Present,
    effects: &'a BTreeMap<&'a str, Effect>,
    /// The resources of the template whose condition holds.
    needs: &'a IndexMap<String, Vec<String>>,
}

impl Foreseen<'_> {
    fn refuse_absent(&self, logical_id: &str) -> Result<(), String> {
        if self.needs.contains_key(logical_id) {
            return Ok(());
        }
        Err(format!(
            "Unresolved resource dependencies [{logical_id}] in the Resources block of the template"
        ))
    }

    fn found(&self, logical_id: &str) -> Option<(&Resource, Effect)> {
        let resource = self.present.resources.get(logical_id)?;
        let effect = self.effects.get(logical_id).copied().unwrap_or(Effect::Unchanged);
        (resource.status.exists() && effect < Effect::MayReplace).then_some((resource, effect))
    }
}

impl Known for Foreseen<'_> {
    fn reference(&self, logical_id: &str) -> Result<Value, String> {
        self.refuse_absent(logical_id)?;
        let found = self.found(logical_id).and_then(|(resource, _)| resource.physical_id.clone());
        Ok(found.map_or_else(|| json!(LATER), Value::String))
    }

    fn attribute(&self, logical_id: &str, attribute: &str) -> Result<Value, String> {
        self.refuse_absent(logical_id)?;
        match self.found(logical_id) {
            Some((resource, Effect::Unchanged)) => attribute_of(resource, attribute),
            Some((resource, _)) if names_resource(resource, attribute) => {
                attribute_of(resource, attribute)
            }
            _ => Ok(json!(LATER)),
        }
    }

    fn import(&self, name: &str) -> Result<Value, String> {
        match self.present.exports.get(name) {
            Some((value, _)) => Ok(json!(value)),
            None if name.contains(LATER) => Ok(json!(LATER)),
            None => Err(format!("No export named {name} found.")),
        }
    }
}

/// Whether an attribute stays the same as long as the resource does.
fn names_resource(resource: &Resource, attribute: &str) -> bool {
    let Some(facts) = iotstack_schema::resource_type(&resource.kind) else { return false };
    if is_custom(&resource.kind) {
        return false;
    }
    matches!(attribute, "Arn" | "Id")
        || facts.primary_identifier.iter().any(|path| path.to_string() == attribute)
}

fn kind_of_change(before: &Option<String>, after: &Option<String>) -> &'static str {
    match (before, after) {
        (None, _) => "Add",
        (_, None) => "Remove",
        _ => "Modify",
    }
}

fn effect_of(detail: &Detail) -> Effect {
    match (detail.recreation.as_str(), detail.evaluation.as_str()) {
        ("Always", "Static") => Effect::Replaced,
        ("Always" | "Conditionally", _) => Effect::MayReplace,
        _ => Effect::Modified,
    }
}

fn has_secrets(definition: &Definition) -> bool {
    definition.parameters.values().any(|parameter| parameter.is_secret)
}

fn mentions_later(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(LATER),
        Value::Array(items) => items.iter().any(mentions_later),
        Value::Object(map) => map.values().any(mentions_later),
        _ => false,
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn context(properties: &Value, declared: Option<&Declared>) -> String {
    let mut context = Map::new();
    context.insert("Properties".to_owned(), properties.clone());
    if let Some(declared) = declared {
        if !declared.metadata.is_empty() {
            context.insert("Metadata".to_owned(), Value::Object(declared.metadata.clone()));
        }
        if let Some(policy) = &declared.deletion_policy {
            context.insert("DeletionPolicy".to_owned(), json!(policy));
        }
        if let Some(policy) = &declared.update_replace_policy {
            context.insert("UpdateReplacePolicy".to_owned(), json!(policy));
        }
    }
    Value::Object(context).to_string()
}
