//! Things: the operations, and the rules that CloudFormation and provisioning
//! follow too.
//!
//! A name never changes; a version grows with every change. The number of
//! attributes depends on whether the thing has a type.

use std::collections::BTreeMap;
use std::sync::Arc;

use iotstack_local_kernel::{Call, CloudEvent, Fault, id};
use serde_json::{Value, json};

use super::input::{attribute_payload, check_attribute, expect_version, listed, thing_name};
use crate::core::{Changed, Registry, Tx};
use crate::state::Thing;
use crate::{events, fault};

/// What a new thing shall be.
#[derive(Debug, Default, Clone)]
pub struct NewThing {
    pub name: String,
    pub thing_type: Option<String>,
    pub attributes: BTreeMap<String, String>,
    pub billing_group: Option<String>,
}

/// How a thing shall change.
#[derive(Debug, Default, Clone)]
pub struct ThingChange {
    pub thing_type: Option<String>,
    pub remove_type: bool,
    /// New attributes, and whether they are merged into the old ones.
    pub attributes: Option<(BTreeMap<String, String>, bool)>,
    pub expected_version: Option<i64>,
}

pub fn create(registry: &Registry, call: &Call) -> Changed {
    let new = NewThing {
        name: call.text("thingName")?.to_owned(),
        thing_type: call.optional_text("thingTypeName")?.map(str::to_owned),
        attributes: attribute_payload(&call.input)?.unwrap_or_default().0,
        billing_group: call.optional_text("billingGroupName")?.map(str::to_owned),
    };
    registry.change(|tx| {
        tx.check_new_thing(&new)?;
        let thing = tx.create_thing(new);
        Ok(json!({
            "thingName": &*thing.name,
            "thingArn": tx.arn(format_args!("thing/{}", thing.name)),
            "thingId": thing.id,
        }))
    })
}

pub fn update(registry: &Registry, call: &Call) -> Changed {
    let name = call.text("thingName")?;
    let change = ThingChange {
        thing_type: call.optional_text("thingTypeName")?.map(str::to_owned),
        remove_type: call.flag("removeThingType")?,
        attributes: attribute_payload(&call.input)?,
        expected_version: call.optional_integer("expectedVersion")?,
    };
    registry.change(|tx| {
        tx.update_thing(name, change)?;
        Ok(json!({}))
    })
}

pub fn delete(registry: &Registry, call: &Call) -> Changed {
    let name = call.text("thingName")?;
    let expected = call.optional_integer("expectedVersion")?;
    registry.change(|tx| {
        tx.delete_thing(name, expected)?;
        Ok(json!({}))
    })
}

pub fn describe(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let name = call.text("thingName")?;
    registry.read(|state| {
        let thing = state.things.get(name).ok_or_else(|| fault::not_found("thing", name))?;
        let mut answer = show(registry, thing);
        answer["defaultClientId"] = json!(&*thing.name);
        answer["thingId"] = json!(thing.id);
        if let Some(group) = &thing.billing_group {
            answer["billingGroupName"] = json!(&**group);
        }
        Ok(answer)
    })
}

pub fn list(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let thing_type = call.optional_text("thingTypeName")?;
    let attribute = call.optional_text("attributeName")?;
    let value = call.optional_text("attributeValue")?;
    let prefix = call.flag("usePrefixAttributeValue")?;
    if value.is_some() && attribute.is_none() {
        return Err(fault::invalid("attributeValue needs attributeName"));
    }
    registry.read(|state| {
        let fits = |thing: &&Thing| {
            let of_type = thing_type.is_none_or(|name| thing.thing_type.as_deref() == Some(name));
            let with = attribute.is_none_or(|name| {
                thing.attributes.get(name).is_some_and(|found| match value {
                    Some(value) if prefix => found.starts_with(value),
                    Some(value) => found == value,
                    None => true,
                })
            });
            of_type && with
        };
        let things = state.things.values().filter(fits);
        listed(
            call,
            "things",
            things,
            |thing| thing.name.to_string(),
            |thing| show(registry, thing),
        )
    })
}

fn show(registry: &Registry, thing: &Thing) -> Value {
    let mut answer = json!({
        "thingName": &*thing.name,
        "thingArn": registry.account.arn("iot", format_args!("thing/{}", thing.name)),
        "attributes": thing.attributes,
        "version": thing.version,
    });
    if let Some(thing_type) = &thing.thing_type {
        answer["thingTypeName"] = json!(&**thing_type);
    }
    answer
}

impl Tx<'_> {
    /// Whether a thing can be made; one that exists may only be the same.
    pub fn check_new_thing(&self, new: &NewThing) -> Result<(), Fault> {
        thing_name(&new.name)?;
        if let Some(name) = &new.thing_type {
            self.check_usable_type(name)?;
        }
        if let Some(name) = &new.billing_group
            && !self.state.billing_groups.contains_key(&**name)
        {
            return Err(fault::not_found("billing group", name));
        }
        for (key, value) in &new.attributes {
            check_attribute(key, value)?;
        }
        let kept = present(new.attributes.clone());
        check_attributes(&kept, new.thing_type.as_deref())?;
        if let Some(thing) = self.state.things.get(&*new.name) {
            let same = thing.attributes == kept
                && thing.thing_type.as_deref() == new.thing_type.as_deref()
                && thing.billing_group.as_deref() == new.billing_group.as_deref();
            if !same {
                let arn = self.arn(format_args!("thing/{}", new.name));
                return Err(fault::exists("thing", &new.name, &thing.id, &arn));
            }
        }
        Ok(())
    }

    /// Makes a thing that was checked; one that exists stays as it is.
    pub fn create_thing(&mut self, new: NewThing) -> Thing {
        if let Some(thing) = self.state.things.get(&*new.name) {
            return thing.clone();
        }
        let thing = Thing {
            name: new.name.as_str().into(),
            id: id::uuid(),
            thing_type: new.thing_type.as_deref().map(|name| self.type_key(name)),
            attributes: present(new.attributes),
            version: 1,
            billing_group: new.billing_group.as_deref().map(Arc::from),
            groups: Default::default(),
            principals: Default::default(),
        };
        self.put_thing(thing.clone());
        events::thing(self, &thing, "CREATED");
        if let Some(thing_type) = &thing.thing_type {
            events::type_association(self, &thing, thing_type, "ADDED");
        }
        self.thing_changed(&thing.name, true);
        thing
    }

    /// Changes a thing.
    pub fn update_thing(&mut self, name: &str, change: ThingChange) -> Result<(), Fault> {
        let thing = self.thing(name)?;
        expect_version("thing", name, change.expected_version, thing.version)?;
        if change.remove_type && change.thing_type.is_some() {
            return Err(fault::invalid("thingTypeName and removeThingType exclude each other"));
        }
        let before = thing.thing_type.clone();
        let attributes = match change.attributes {
            None => thing.attributes.clone(),
            Some((new, false)) => present(new),
            Some((new, true)) => {
                let mut merged = thing.attributes.clone();
                merged.extend(new);
                present(merged)
            }
        };
        let after = match &change.thing_type {
            Some(name) => {
                self.check_usable_type(name)?;
                Some(self.type_key(name))
            }
            None if change.remove_type => None,
            None => before.clone(),
        };
        check_attributes(&attributes, after.as_deref())?;
        self.edit_thing(name, |thing| {
            thing.attributes = attributes;
            thing.thing_type = after.clone();
            thing.version += 1;
        });
        let thing = self.thing(name)?.clone();
        events::thing(self, &thing, "UPDATED");
        if before != after {
            if let Some(before) = &before {
                events::type_association(self, &thing, before, "REMOVED");
            }
            if let Some(after) = &after {
                events::type_association(self, &thing, after, "ADDED");
            }
        }
        self.thing_changed(&thing.name, true);
        Ok(())
    }

    /// Deletes a thing; one that does not exist is no error.
    pub fn delete_thing(&mut self, name: &str, expected: Option<i64>) -> Result<(), Fault> {
        let Some(thing) = self.state.things.get(name) else { return Ok(()) };
        expect_version("thing", name, expected, thing.version)?;
        if !thing.principals.is_empty() {
            return Err(fault::invalid(format!(
                "thing `{name}` cannot be deleted: it is still attached to {} principals; detach \
                 them first",
                thing.principals.len()
            )));
        }
        let thing = thing.clone();
        for group in &thing.groups {
            self.leave_group(&thing.name, group);
        }
        self.remove_thing(name);
        self.state.indexed.remove(name);
        self.state.stale.remove(name);
        let arn = self.arn(format_args!("thing/{name}"));
        self.put_tags(&arn, BTreeMap::new());
        events::thing(self, &thing, "DELETED");
        self.effects.events.push(CloudEvent::ThingChanged { thing: thing.name, exists: false });
        Ok(())
    }

    /// Whether a thing may have these attributes and this type.
    pub fn check_changed_thing(
        &self,
        attributes: &BTreeMap<String, String>,
        thing_type: Option<&str>,
        new_type: bool,
    ) -> Result<(), Fault> {
        if let Some(name) = thing_type.filter(|_| new_type) {
            self.check_usable_type(name)?;
        }
        for (key, value) in attributes {
            check_attribute(key, value)?;
        }
        check_attributes(&present(attributes.clone()), thing_type)
    }

    /// Lets others know that a thing is new or has changed.
    pub fn thing_changed(&mut self, name: &Arc<str>, exists: bool) {
        self.effects.events.push(CloudEvent::ThingChanged { thing: name.clone(), exists });
        if let Some(thing) = self.state.things.get(name) {
            self.effects.principals.extend(thing.principals.iter().cloned());
        }
        self.mark(name);
    }

    fn check_usable_type(&self, name: &str) -> Result<(), Fault> {
        let found =
            self.state.types.get(name).ok_or_else(|| fault::not_found("thing type", name))?;
        if found.deprecated.is_some() {
            return Err(fault::invalid(format!(
                "thing type `{name}` is deprecated and takes no more things"
            )));
        }
        Ok(())
    }

    /// The shared name of a type that exists.
    fn type_key(&self, name: &str) -> Arc<str> {
        self.state.types.get_key_value(name).map_or_else(|| Arc::from(name), |(key, _)| key.clone())
    }
}

/// An empty value removes an attribute.
fn present(mut attributes: BTreeMap<String, String>) -> BTreeMap<String, String> {
    attributes.retain(|_, value| !value.is_empty());
    attributes
}

fn check_attributes(
    attributes: &BTreeMap<String, String>,
    thing_type: Option<&str>,
) -> Result<(), Fault> {
    let most = if thing_type.is_some() { WITH_TYPE } else { WITHOUT_TYPE };
    if attributes.len() > most {
        let kind = if thing_type.is_some() { "with a type" } else { "without a type" };
        return Err(fault::invalid(format!(
            "a thing {kind} has at most {most} attributes, not {}",
            attributes.len()
        )));
    }
    let size: usize = attributes.iter().map(|(key, value)| key.len() + value.len()).sum();
    if size > LARGEST {
        return Err(fault::invalid(format!(
            "the attributes of a thing have at most {LARGEST} bytes, not {size}"
        )));
    }
    Ok(())
}

const WITH_TYPE: usize = 50;
const WITHOUT_TYPE: usize = 3;
const LARGEST: usize = 47 * 1024;
