//! Thing groups, static and dynamic.
//!
//! A dynamic group has a query instead of a parent and takes no policies. Who is
//! in it is found by the task that follows the index, shortly after a change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use iotstack_local_kernel::{Call, CloudEvent, Fault, id, tags};
use serde_json::{Map, Value, json};

use super::input::{
    attribute_payload, description, expect_version, group_name, listed, object, text_of,
};
use crate::core::{Changed, Registry, Tx};
use crate::index::{self, THINGS_INDEX};
use crate::state::{DynamicQuery, Group};
use crate::{events, fault};

/// What a new group shall be.
#[derive(Debug, Default, Clone)]
pub struct NewGroup {
    pub name: String,
    pub parent: Option<String>,
    pub description: Option<String>,
    pub attributes: BTreeMap<String, String>,
    pub query: Option<String>,
}

pub fn create(registry: &Registry, call: &Call) -> Changed {
    let mut new = read_new(call)?;
    new.parent = call.optional_text("parentGroupName")?.map(str::to_owned);
    let tags = tags::read(&call.input)?;
    registry.change(|tx| {
        let group = tx.create_group(new)?;
        let arn = tx.arn(format_args!("thinggroup/{}", group.name));
        tx.put_tags(&arn, tags);
        Ok(json!({"thingGroupName": &*group.name, "thingGroupArn": arn, "thingGroupId": group.id}))
    })
}

pub fn create_dynamic(registry: &Registry, call: &Call) -> Changed {
    let mut new = read_new(call)?;
    new.query = Some(call.text("queryString")?.to_owned());
    check_index(call)?;
    let tags = tags::read(&call.input)?;
    registry.know_shadows();
    registry.change(|tx| {
        let group = tx.create_group(new)?;
        let arn = tx.arn(format_args!("thinggroup/{}", group.name));
        tx.put_tags(&arn, tags);
        Ok(json!({
            "thingGroupName": &*group.name,
            "thingGroupArn": arn,
            "thingGroupId": group.id,
            "indexName": THINGS_INDEX,
            "queryString": group.dynamic.map(|dynamic| dynamic.query),
            "queryVersion": index::QUERY_VERSION,
        }))
    })
}

pub fn update(registry: &Registry, call: &Call) -> Changed {
    change(registry, call, false)
}

pub fn update_dynamic(registry: &Registry, call: &Call) -> Changed {
    check_index(call)?;
    registry.know_shadows();
    change(registry, call, true)
}

pub fn delete(registry: &Registry, call: &Call) -> Changed {
    remove(registry, call, false)
}

pub fn delete_dynamic(registry: &Registry, call: &Call) -> Changed {
    remove(registry, call, true)
}

pub fn describe(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let name = call.text("thingGroupName")?;
    registry.read(|state| {
        let group = state.groups.get(name).ok_or_else(|| fault::not_found("thing group", name))?;
        let arn = |name: &str| registry.account.arn("iot", format_args!("thinggroup/{name}"));
        let mut properties = json!({"attributePayload": {"attributes": group.attributes}});
        if let Some(description) = &group.description {
            properties["thingGroupDescription"] = json!(description);
        }
        let mut metadata = json!({"creationDate": group.created.fractional_seconds()});
        if let Some(parent) = &group.parent {
            metadata["parentGroupName"] = json!(&**parent);
            let ancestors: Vec<Value> = state
                .ancestors(group)
                .iter()
                .map(|group| json!({"groupName": &*group.name, "groupArn": arn(&group.name)}))
                .collect();
            metadata["rootToParentThingGroups"] = json!(ancestors);
        }
        let mut answer = json!({
            "thingGroupName": &*group.name,
            "thingGroupId": group.id,
            "thingGroupArn": arn(&group.name),
            "version": group.version,
            "thingGroupProperties": properties,
            "thingGroupMetadata": metadata,
        });
        if let Some(dynamic) = &group.dynamic {
            answer["indexName"] = json!(THINGS_INDEX);
            answer["queryString"] = json!(dynamic.query);
            answer["queryVersion"] = json!(index::QUERY_VERSION);
            answer["status"] = json!(if dynamic.building { "BUILDING" } else { "ACTIVE" });
        }
        Ok(answer)
    })
}

pub fn list(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let parent = call.optional_text("parentGroup")?;
    let prefix = call.optional_text("namePrefixFilter")?.unwrap_or_default();
    let recursive = match call.input.get("recursive") {
        None | Some(Value::Null) => true,
        Some(_) => call.flag("recursive")?,
    };
    registry.read(|state| {
        if let Some(parent) = parent.filter(|parent| !state.groups.contains_key(*parent)) {
            return Err(fault::not_found("thing group", parent));
        }
        let below = |group: &Group| match (parent, recursive) {
            (None, true) => true,
            (None, false) => group.parent.is_none(),
            (Some(parent), false) => group.parent.as_deref() == Some(parent),
            (Some(parent), true) => {
                state.ancestors(group).iter().any(|ancestor| *ancestor.name == *parent)
            }
        };
        let groups =
            state.groups.values().filter(|group| group.name.starts_with(prefix) && below(group));
        listed(
            call,
            "thingGroups",
            groups,
            |group| group.name.to_string(),
            |group| {
                let arn = registry.account.arn("iot", format_args!("thinggroup/{}", group.name));
                json!({"groupName": &*group.name, "groupArn": arn})
            },
        )
    })
}

pub fn things(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let name = call.text("thingGroupName")?;
    let recursive = call.flag("recursive")?;
    registry.read(|state| {
        let group = state.groups.get(name).ok_or_else(|| fault::not_found("thing group", name))?;
        let members = state.members(group, recursive);
        listed(call, "things", members, |thing| thing.to_string(), |thing| json!(&*thing))
    })
}

fn read_new(call: &Call) -> Result<NewGroup, Fault> {
    let properties = object(&call.input, "thingGroupProperties")?;
    Ok(NewGroup {
        name: call.text("thingGroupName")?.to_owned(),
        description: text_of(&properties, "thingGroupDescription")?,
        attributes: attribute_payload(&properties)?.unwrap_or_default().0,
        ..NewGroup::default()
    })
}

fn check_index(call: &Call) -> Result<(), Fault> {
    if let Some(name) = call.optional_text("indexName")?.filter(|name| *name != THINGS_INDEX) {
        return Err(fault::invalid(format!(
            "index `{name}` has no dynamic groups; `{THINGS_INDEX}` has"
        )));
    }
    index::check_version(call.optional_text("queryVersion")?)
}

fn change(registry: &Registry, call: &Call, dynamic: bool) -> Changed {
    let name = call.text("thingGroupName")?;
    let expected = call.optional_integer("expectedVersion")?;
    let properties = object(&call.input, "thingGroupProperties")?;
    let query = call.optional_text("queryString")?.map(str::to_owned);
    registry.change(|tx| {
        check_kind(tx.group(name)?, dynamic)?;
        let version = tx.update_group(name, &properties, query, expected)?;
        Ok(json!({"version": version}))
    })
}

fn remove(registry: &Registry, call: &Call, dynamic: bool) -> Changed {
    let name = call.text("thingGroupName")?;
    let expected = call.optional_integer("expectedVersion")?;
    registry.change(|tx| {
        if let Some(group) = tx.state.groups.get(name) {
            check_kind(group, dynamic)?;
        }
        tx.delete_group(name, expected)?;
        Ok(json!({}))
    })
}

fn check_kind(group: &Group, dynamic: bool) -> Result<(), Fault> {
    match (group.dynamic.is_some(), dynamic) {
        (true, false) => Err(fault::invalid(format!(
            "thing group `{}` is dynamic: use the operations of dynamic thing groups",
            group.name
        ))),
        (false, true) => {
            Err(fault::invalid(format!("thing group `{}` is not dynamic", group.name)))
        }
        _ => Ok(()),
    }
}

impl Tx<'_> {
    /// Makes a group; one that exists must be the same.
    pub fn create_group(&mut self, new: NewGroup) -> Result<Group, Fault> {
        group_name(&new.name)?;
        let description = description(new.description, "a thing group")?;
        if new.attributes.len() > MOST_ATTRIBUTES {
            return Err(fault::invalid(format!(
                "a thing group has at most {MOST_ATTRIBUTES} attributes, not {}",
                new.attributes.len()
            )));
        }
        let compiled = match &new.query {
            Some(query) => Some(Arc::new(self.check_dynamic(query)?)),
            None => None,
        };
        let dynamic = new.query.map(|query| DynamicQuery { query, building: true });
        if let Some(found) = self.state.groups.get(&*new.name) {
            let same_query = found.dynamic.as_ref().map(|dynamic| &dynamic.query)
                == dynamic.as_ref().map(|dynamic| &dynamic.query);
            if found.parent.as_deref() == new.parent.as_deref()
                && found.description == description
                && found.attributes == new.attributes
                && same_query
            {
                return Ok(found.clone());
            }
            let arn = self.arn(format_args!("thinggroup/{}", new.name));
            return Err(fault::exists("thing group", &new.name, &found.id, &arn));
        }
        if let Some(parent) = &new.parent {
            self.check_parent(parent)?;
        }
        if dynamic.is_some() && self.state.dynamic.len() >= MOST_DYNAMIC {
            return Err(fault::limit(format!("{MOST_DYNAMIC} dynamic thing groups are the most")));
        }
        let group = Group {
            name: new.name.as_str().into(),
            id: id::uuid(),
            version: 1,
            created: self.now,
            parent: new.parent.as_deref().map(Arc::from),
            description,
            attributes: new.attributes,
            dynamic,
            members: BTreeSet::new(),
            children: BTreeSet::new(),
            compiled,
        };
        self.put_group(group.clone());
        if let Some(parent) = &group.parent {
            let child = group.name.clone();
            self.edit_group(parent, |parent| {
                parent.children.insert(child);
            });
            events::hierarchy(self, &group, "ADDED");
        }
        events::group(self, &group, "CREATED");
        if group.dynamic.is_some() {
            self.state.dynamic.insert(group.name.clone());
            self.mark_all();
        }
        Ok(group)
    }

    /// Changes a group; gives its new version.
    pub fn update_group(
        &mut self,
        name: &str,
        properties: &Map<String, Value>,
        query: Option<String>,
        expected: Option<i64>,
    ) -> Result<i64, Fault> {
        let group = self.group(name)?;
        expect_version("thing group", name, expected, group.version)?;
        let text = description(text_of(properties, "thingGroupDescription")?, "a thing group")?;
        let attributes = match attribute_payload(properties)? {
            None => None,
            Some((new, false)) => Some(new),
            Some((new, true)) => {
                let mut merged = group.attributes.clone();
                merged.extend(new);
                Some(merged)
            }
        };
        if attributes.as_ref().is_some_and(|attributes| attributes.len() > MOST_ATTRIBUTES) {
            return Err(fault::invalid(format!(
                "a thing group has at most {MOST_ATTRIBUTES} attributes"
            )));
        }
        let compiled = match &query {
            Some(_) if group.dynamic.is_none() => {
                return Err(fault::invalid(format!("thing group `{name}` is not dynamic")));
            }
            Some(query) => Some(Arc::new(self.check_dynamic(query)?)),
            None => None,
        };
        let rebuilt = compiled.is_some();
        self.edit_group(name, |group| {
            if properties.contains_key("thingGroupDescription") {
                group.description = text;
            }
            if let Some(attributes) = attributes {
                group.attributes = attributes;
            }
            if let (Some(query), Some(compiled)) = (query, compiled) {
                group.dynamic = Some(DynamicQuery { query, building: true });
                group.compiled = Some(compiled);
            }
            group.version += 1;
        });
        let group = self.group(name)?.clone();
        events::group(self, &group, "UPDATED");
        if rebuilt {
            self.mark_all();
        }
        Ok(group.version)
    }

    /// Deletes a group without children; its members leave it.
    pub fn delete_group(&mut self, name: &str, expected: Option<i64>) -> Result<(), Fault> {
        let Some(group) = self.state.groups.get(name) else { return Ok(()) };
        expect_version("thing group", name, expected, group.version)?;
        if !group.children.is_empty() {
            return Err(fault::invalid(format!(
                "thing group `{name}` cannot be deleted: it has {} child groups",
                group.children.len()
            )));
        }
        let group = group.clone();
        let arn: Arc<str> = self.arn(format_args!("thinggroup/{name}")).into();
        if self.state.principals.contains_key(&arn) {
            return Err(fault::invalid(format!(
                "thing group `{name}` cannot be deleted: policies are attached to it"
            )));
        }
        for thing in &group.members {
            self.leave_group(thing, &group.name);
        }
        self.remove_group(name);
        self.state.dynamic.remove(name);
        if let Some(parent) = &group.parent {
            self.edit_group(parent, |parent| {
                parent.children.remove(&group.name);
            });
            events::hierarchy(self, &group, "REMOVED");
        }
        self.put_tags(&arn, BTreeMap::new());
        events::group(self, &group, "DELETED");
        Ok(())
    }

    /// Puts a thing into a group that it may join.
    pub fn join_group(&mut self, thing: &Arc<str>, group: &Arc<str>) {
        let (joins, joined) = (group.clone(), thing.clone());
        self.edit_thing(thing, |thing| {
            thing.groups.insert(joins);
        });
        if let Some(group) = self.state.groups.get_mut(group) {
            group.members.insert(joined);
        }
        self.membership_changed(thing, group, true);
    }

    /// Takes a thing out of a group.
    pub fn leave_group(&mut self, thing: &Arc<str>, group: &Arc<str>) {
        self.edit_thing(thing, |thing| {
            thing.groups.remove(group);
        });
        if let Some(found) = self.state.groups.get_mut(group) {
            found.members.remove(thing);
        }
        self.membership_changed(thing, group, false);
    }

    /// Marks all things to be judged by the queries of dynamic groups.
    pub fn mark_all(&mut self) {
        self.state.stale.extend(self.state.things.keys().cloned());
        self.effects.dirty = true;
    }

    fn membership_changed(&mut self, thing: &Arc<str>, group: &Arc<str>, member: bool) {
        events::membership(self, thing, group, member);
        self.effects.events.push(CloudEvent::MembershipChanged {
            thing: thing.clone(),
            group: group.clone(),
            member,
        });
        if let Some(found) = self.state.things.get(thing) {
            self.effects.principals.extend(found.principals.iter().cloned());
        }
        // Queries may ask for group names; joining by a query marks nothing, as
        // a group must not follow itself.
        if self.state.groups.get(group).is_some_and(|group| group.dynamic.is_none()) {
            self.mark(thing);
        }
    }

    fn check_parent(&self, parent: &str) -> Result<(), Fault> {
        let group = self.group(parent)?;
        if group.dynamic.is_some() {
            return Err(fault::invalid(format!(
                "thing group `{parent}` is dynamic and can have no child groups"
            )));
        }
        if group.children.len() >= MOST_CHILDREN {
            return Err(fault::invalid(format!(
                "thing group `{parent}` has {MOST_CHILDREN} child groups, the most"
            )));
        }
        let depth = self.state.ancestors(group).len() + 2;
        if depth > DEEPEST {
            return Err(fault::invalid(format!(
                "a hierarchy of thing groups has at most {DEEPEST} levels; below `{parent}` it \
                 would have {depth}"
            )));
        }
        Ok(())
    }

    fn check_dynamic(&self, query: &str) -> Result<index::Query, Fault> {
        let compiled = index::parse(query)?;
        if compiled.terms() > MOST_DYNAMIC_TERMS {
            return Err(fault::invalid_query(format!(
                "the query of a dynamic thing group has at most {MOST_DYNAMIC_TERMS} terms, not {}",
                compiled.terms()
            )));
        }
        if !self.state.settings.indexing.things_indexed() {
            return Err(fault::invalid(
                "dynamic thing groups need indexing of things; switch it on with \
                 UpdateIndexingConfiguration",
            ));
        }
        Ok(compiled)
    }
}

const DEEPEST: usize = 7;
const MOST_ATTRIBUTES: usize = 50;
const MOST_CHILDREN: usize = 100;
const MOST_DYNAMIC: usize = 100;
const MOST_DYNAMIC_TERMS: usize = 5;
