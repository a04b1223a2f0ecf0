//! The registry as other services ask it: the kernel's port.
//!
//! Answers are copies, so that no lock is held while they are used.

use std::sync::Arc;

use iotstack_local_kernel::ports::{Registry as Port, ThingInfo};

use crate::core::Registry;
use crate::events;

impl Port for Registry {
    fn thing(&self, name: &str) -> Option<ThingInfo> {
        self.read(|state| {
            let thing = state.things.get(name)?;
            Some(ThingInfo {
                name: thing.name.clone(),
                id: thing.id.clone(),
                thing_type: thing.thing_type.as_deref().map(str::to_owned),
                attributes: thing.attributes.clone(),
                version: thing.version,
            })
        })
    }

    fn members(&self, group: &str) -> Option<Vec<Arc<str>>> {
        self.read(|state| {
            let group = state.groups.get(group)?;
            Some(state.members(group, true).into_iter().collect())
        })
    }

    fn groups_of(&self, thing: &str) -> Vec<Arc<str>> {
        self.read(|state| {
            let thing = state.things.get(thing);
            thing.map(|thing| state.groups_of(thing).into_iter().collect()).unwrap_or_default()
        })
    }

    fn events_enabled(&self, kind: &str) -> bool {
        self.read(|state| events::enabled(state, kind))
    }

    fn thing_of_certificate(&self, certificate_id: &str) -> Option<Arc<str>> {
        let principal = self.certificate_arn(certificate_id);
        self.read(|state| {
            let things = &state.principals.get(&*principal)?.things;
            // Several things share a certificate at times; then none is meant.
            match things.len() {
                1 => things.keys().next().cloned(),
                _ => things.iter().find(|(_, exclusive)| **exclusive).map(|(name, _)| name.clone()),
            }
        })
    }

    fn certificate_may(&self, certificate_id: &str, action: &str, resource: &str) -> bool {
        self.may_over_http(certificate_id, action, resource)
    }
}
