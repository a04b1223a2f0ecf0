//! Billing groups: made, described, filled and emptied.
//!
//! A thing is in one at most. Nothing is billed, and traffic is not counted.

use std::collections::BTreeMap;
use std::sync::Arc;

use iotstack_local_kernel::{Call, Fault, id, tags};
use serde_json::{Map, Value, json};

use super::input::{
    billing_group_name, description, expect_version, listed, name_or_arn, object, text_of,
};
use crate::core::{Changed, Registry, Tx};
use crate::fault;
use crate::state::{BillingGroup, Thing};

pub fn create(registry: &Registry, call: &Call) -> Changed {
    let name = call.text("billingGroupName")?;
    let properties = object(&call.input, "billingGroupProperties")?;
    let tags = tags::read(&call.input)?;
    registry.change(|tx| {
        let group = tx.create_billing_group(name, &properties)?;
        let arn = tx.arn(format_args!("billinggroup/{name}"));
        tx.put_tags(&arn, tags);
        Ok(json!({"billingGroupName": name, "billingGroupArn": arn, "billingGroupId": group.id}))
    })
}

pub fn update(registry: &Registry, call: &Call) -> Changed {
    let name = call.text("billingGroupName")?;
    let properties = object(&call.input, "billingGroupProperties")?;
    let expected = call.optional_integer("expectedVersion")?;
    registry.change(|tx| {
        let version = tx.update_billing_group(name, &properties, expected)?;
        Ok(json!({"version": version}))
    })
}

pub fn delete(registry: &Registry, call: &Call) -> Changed {
    let name = call.text("billingGroupName")?;
    let expected = call.optional_integer("expectedVersion")?;
    registry.change(|tx| {
        tx.delete_billing_group(name, expected)?;
        Ok(json!({}))
    })
}

pub fn describe(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let name = call.text("billingGroupName")?;
    registry.read(|state| {
        let group = state
            .billing_groups
            .get(name)
            .ok_or_else(|| fault::not_found("billing group", name))?;
        let mut properties = json!({});
        if let Some(description) = &group.description {
            properties["billingGroupDescription"] = json!(description);
        }
        Ok(json!({
            "billingGroupName": name,
            "billingGroupId": group.id,
            "billingGroupArn": registry.account.arn("iot", format_args!("billinggroup/{name}")),
            "version": group.version,
            "billingGroupProperties": properties,
            "billingGroupMetadata": {"creationDate": group.created.fractional_seconds()},
        }))
    })
}

pub fn list(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let prefix = call.optional_text("namePrefixFilter")?.unwrap_or_default();
    registry.read(|state| {
        let groups = state.billing_groups.keys().filter(|name| name.starts_with(prefix));
        listed(
            call,
            "billingGroups",
            groups,
            |name| name.to_string(),
            |name| {
                let arn = registry.account.arn("iot", format_args!("billinggroup/{name}"));
                json!({"groupName": &**name, "groupArn": arn})
            },
        )
    })
}

pub fn things(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let name = call.text("billingGroupName")?;
    registry.read(|state| {
        if !state.billing_groups.contains_key(name) {
            return Err(fault::not_found("billing group", name));
        }
        let things = state.things.values().filter(|thing| is_in(thing, name));
        listed(call, "things", things, |thing| thing.name.to_string(), |thing| json!(&*thing.name))
    })
}

pub fn add_thing(registry: &Registry, call: &Call) -> Changed {
    set_group(registry, call, true)
}

pub fn remove_thing(registry: &Registry, call: &Call) -> Changed {
    set_group(registry, call, false)
}

fn set_group(registry: &Registry, call: &Call, member: bool) -> Changed {
    let thing = name_or_arn(call, "thingName", "thingArn", "thing")?;
    let group = name_or_arn(call, "billingGroupName", "billingGroupArn", "billinggroup")?;
    registry.change(|tx| {
        let found = tx.thing(&thing)?;
        if !tx.state.billing_groups.contains_key(&*group) {
            return Err(fault::not_found("billing group", &group));
        }
        match (&found.billing_group, member) {
            (Some(other), true) if **other != *group => {
                return Err(fault::invalid(format!(
                    "thing `{thing}` is in billing group `{other}` already; a thing is in one at most"
                )));
            }
            (other, false) if other.as_deref() != Some(group.as_str()) => {
                return Err(fault::invalid(format!(
                    "thing `{thing}` is not in billing group `{group}`"
                )));
            }
            _ => {}
        }
        tx.edit_thing(&thing, |thing| {
            thing.billing_group = member.then(|| Arc::from(group.as_str()));
        });
        Ok(json!({}))
    })
}

fn is_in(thing: &Thing, group: &str) -> bool {
    thing.billing_group.as_deref() == Some(group)
}

impl Tx<'_> {
    /// Makes a billing group; one that exists must be the same.
    pub fn create_billing_group(
        &mut self,
        name: &str,
        properties: &Map<String, Value>,
    ) -> Result<BillingGroup, Fault> {
        billing_group_name(name)?;
        let text = description(text_of(properties, "billingGroupDescription")?, "a billing group")?;
        if let Some(found) = self.state.billing_groups.get(name) {
            if found.description == text {
                return Ok(found.clone());
            }
            let arn = self.arn(format_args!("billinggroup/{name}"));
            return Err(fault::exists("billing group", name, &found.id, &arn));
        }
        let group = BillingGroup {
            name: name.into(),
            id: id::uuid(),
            version: 1,
            created: self.now,
            description: text,
        };
        self.put_billing_group(group.clone());
        Ok(group)
    }

    /// Changes a billing group; gives its new version.
    pub fn update_billing_group(
        &mut self,
        name: &str,
        properties: &Map<String, Value>,
        expected: Option<i64>,
    ) -> Result<i64, Fault> {
        let mut group = self
            .state
            .billing_groups
            .get(name)
            .cloned()
            .ok_or_else(|| fault::not_found("billing group", name))?;
        expect_version("billing group", name, expected, group.version)?;
        group.description =
            description(text_of(properties, "billingGroupDescription")?, "a billing group")?;
        group.version += 1;
        let version = group.version;
        self.put_billing_group(group);
        Ok(version)
    }

    /// Deletes a billing group that no thing is in; one that does not exist is no error.
    pub fn delete_billing_group(&mut self, name: &str, expected: Option<i64>) -> Result<(), Fault> {
        let Some(group) = self.state.billing_groups.get(name) else { return Ok(()) };
        expect_version("billing group", name, expected, group.version)?;
        if self.state.things.values().any(|thing| is_in(thing, name)) {
            return Err(fault::invalid(format!(
                "billing group `{name}` cannot be deleted: things are in it"
            )));
        }
        self.remove_billing_group(name);
        let arn = self.arn(format_args!("billinggroup/{name}"));
        self.put_tags(&arn, BTreeMap::new());
        Ok(())
    }
}
