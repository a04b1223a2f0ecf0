//! Which things are in which groups.
//!
//! A thing is in at most ten groups and in one group of a hierarchy at most.
//! Dynamic groups are joined and left by their query alone; a static group may
//! push the youngest of them out.

use std::sync::Arc;

use iotstack_local_kernel::{Call, Fault};
use serde_json::{Value, json};

use super::input::{listed, name_or_arn, texts};
use crate::core::{Changed, Registry, Tx};
use crate::fault;

pub fn add(registry: &Registry, call: &Call) -> Changed {
    let thing = name_or_arn(call, "thingName", "thingArn", "thing")?;
    let group = name_or_arn(call, "thingGroupName", "thingGroupArn", "thinggroup")?;
    let over = call.flag("overrideDynamicGroups")?;
    registry.change(|tx| {
        tx.check_membership(&thing, std::slice::from_ref(&group), &[], over)?;
        tx.apply_membership(&thing, &[group], &[]);
        Ok(json!({}))
    })
}

pub fn remove(registry: &Registry, call: &Call) -> Changed {
    let thing = name_or_arn(call, "thingName", "thingArn", "thing")?;
    let group = name_or_arn(call, "thingGroupName", "thingGroupArn", "thinggroup")?;
    registry.change(|tx| {
        tx.check_membership(&thing, &[], std::slice::from_ref(&group), false)?;
        tx.apply_membership(&thing, &[], &[group]);
        Ok(json!({}))
    })
}

pub fn update(registry: &Registry, call: &Call) -> Changed {
    let thing = call.text("thingName")?;
    let add = texts(&call.input, "thingGroupsToAdd")?;
    let remove = texts(&call.input, "thingGroupsToRemove")?;
    let over = call.flag("overrideDynamicGroups")?;
    registry.change(|tx| {
        tx.check_membership(thing, &add, &remove, over)?;
        tx.apply_membership(thing, &add, &remove);
        Ok(json!({}))
    })
}

pub fn groups(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let name = call.text("thingName")?;
    registry.read(|state| {
        let thing = state.things.get(name).ok_or_else(|| fault::not_found("thing", name))?;
        listed(
            call,
            "thingGroups",
            &thing.groups,
            |group| group.to_string(),
            |group| {
                let arn = registry.account.arn("iot", format_args!("thinggroup/{group}"));
                json!({"groupName": &**group, "groupArn": arn})
            },
        )
    })
}

impl Tx<'_> {
    /// Whether a thing may join and leave these groups at once.
    pub fn check_membership(
        &self,
        thing: &str,
        add: &[String],
        remove: &[String],
        over: bool,
    ) -> Result<(), Fault> {
        let found = self.thing(thing)?;
        for name in add.iter().chain(remove) {
            if self.group(name)?.dynamic.is_some() {
                return Err(fault::invalid(format!(
                    "things join and leave the dynamic thing group `{name}` by its query alone"
                )));
            }
        }
        self.check_joining(found.groups.iter(), thing, add, remove, over)
    }

    /// The same for a thing with these groups, which may not exist yet.
    pub fn check_joining<'g>(
        &self,
        groups: impl Iterator<Item = &'g Arc<str>>,
        thing: &str,
        add: &[String],
        remove: &[String],
        over: bool,
    ) -> Result<(), Fault> {
        let mut stays: Vec<&str> = Vec::new();
        let mut dynamic = 0;
        for group in groups {
            if remove.iter().any(|name| **name == **group) {
                continue;
            }
            match self.state.groups.get(group).is_some_and(|group| group.dynamic.is_some()) {
                true => dynamic += 1,
                false => stays.push(group),
            }
        }
        for name in add {
            if stays.contains(&name.as_str()) {
                continue;
            }
            let root = self.root(name);
            if let Some(other) = stays.iter().find(|other| self.root(other) == root) {
                return Err(fault::invalid(format!(
                    "thing `{thing}` cannot be in thing group `{name}` and in `{other}`: both are \
                     in the hierarchy of `{root}`"
                )));
            }
            stays.push(name);
        }
        let all = stays.len() + if over { 0 } else { dynamic };
        if !add.is_empty() && all > MOST_GROUPS {
            return Err(fault::invalid(format!(
                "thing `{thing}` would be in {all} thing groups; {MOST_GROUPS} are the most"
            )));
        }
        Ok(())
    }

    /// Lets a thing join and leave groups, after it was checked.
    pub fn apply_membership(&mut self, thing: &str, add: &[String], remove: &[String]) {
        let Some(name) = self.state.things.get(thing).map(|thing| thing.name.clone()) else {
            return;
        };
        for group in remove {
            self.if_member(&name, group, true, Self::leave_group);
        }
        for group in add {
            self.if_member(&name, group, false, Self::join_group);
        }
        // A static group goes before the youngest dynamic ones.
        while self.state.things.get(thing).is_some_and(|thing| thing.groups.len() > MOST_GROUPS) {
            let Some(youngest) = self.youngest_dynamic(thing) else { break };
            self.leave_group(&name, &youngest);
        }
    }

    /// The dynamic group of a thing that was made last.
    pub fn youngest_dynamic(&self, thing: &str) -> Option<Arc<str>> {
        self.state
            .things
            .get(thing)?
            .groups
            .iter()
            .filter_map(|group| self.state.groups.get(group))
            .filter(|group| group.dynamic.is_some())
            .max_by_key(|group| group.created)
            .map(|group| group.name.clone())
    }

    fn if_member(
        &mut self,
        thing: &Arc<str>,
        group: &str,
        member: bool,
        act: fn(&mut Self, &Arc<str>, &Arc<str>),
    ) {
        let Some((group, found)) = self.state.groups.get_key_value(group) else { return };
        if found.members.contains(thing) == member {
            let group = group.clone();
            act(self, thing, &group);
        }
    }

    /// The root of a group's hierarchy.
    fn root<'n>(&'n self, name: &'n str) -> &'n str {
        let mut root = name;
        while let Some(parent) =
            self.state.groups.get(root).and_then(|group| group.parent.as_deref())
        {
            root = parent;
        }
        root
    }
}

/// How many groups a thing can be in.
pub const MOST_GROUPS: usize = 10;
