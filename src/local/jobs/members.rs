//! What the engine must know of the registry, asked before the engine is locked.
//!
//! The engine asks for groups while it works, but no other service may be called
//! under its lock. So the answers are fetched first; what changes in between comes
//! again over the bus.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use iotstack_jobs::Membership;
use iotstack_local_kernel::Fault;
use iotstack_local_kernel::ports::Registry;

/// The things and groups that a request names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Named {
    things: BTreeSet<String>,
    groups: BTreeMap<String, Vec<Arc<str>>>,
}

impl Named {
    /// Asks the registry about every target.
    pub(crate) fn of(targets: &[String], registry: &dyn Registry) -> Result<Named, Fault> {
        let mut named = Named::default();
        for target in targets {
            if let Some((_, thing)) = target.split_once(":thing/") {
                if registry.thing(thing).is_some() {
                    named.things.insert(thing.to_owned());
                }
            } else if let Some((_, group)) = target.split_once(":thinggroup/")
                && let Some(members) = registry.members(group)
            {
                named.groups.insert(group.to_owned(), members);
            }
        }
        Ok(named)
    }

    /// The things that are in a group of only one of both.
    pub(crate) fn difference(&self, other: &Named) -> BTreeSet<Arc<str>> {
        let all = |named: &Named| -> BTreeSet<(String, Arc<str>)> {
            let pairs = named.groups.iter();
            pairs.flat_map(|(g, things)| things.iter().map(|t| (g.clone(), t.clone()))).collect()
        };
        all(self).symmetric_difference(&all(other)).map(|(_, thing)| thing.clone()).collect()
    }
}

impl Membership for Named {
    fn thing_exists(&self, thing: &str) -> bool {
        self.things.contains(thing)
    }

    fn group_exists(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    fn each_member(&self, group: &str, visit: &mut dyn FnMut(&str)) {
        self.groups.get(group).into_iter().flatten().for_each(|thing| visit(thing));
    }

    fn is_member(&self, group: &str, thing: &str) -> bool {
        self.groups.get(group).is_some_and(|things| things.iter().any(|each| &**each == thing))
    }
}

/// A thing that has changed its groups, and those in which it is now.
pub(crate) struct Moved {
    pub groups: Vec<Arc<str>>,
}

impl Membership for Moved {
    fn thing_exists(&self, _: &str) -> bool {
        true
    }

    fn group_exists(&self, group: &str) -> bool {
        self.is_member(group, "")
    }

    fn each_member(&self, _: &str, _: &mut dyn FnMut(&str)) {}

    fn is_member(&self, group: &str, _: &str) -> bool {
        self.groups.iter().any(|each| &**each == group)
    }
}
