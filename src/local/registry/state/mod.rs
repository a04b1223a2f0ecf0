//! The registry's state: records, how they refer to each other, how they are
//! stored.
//!
//! Each record is stored under its own key; what can be derived (the members of
//! a group, the targets of a policy) is not stored but rebuilt at start. Records
//! are changed only through [`crate::core::Tx`], which stores what it changes.

pub mod certificate;
mod group;
mod policy;
mod settings;
mod template;
mod thing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use iotstack_local_kernel::{Store, StoreError, Timestamp};
use serde::de::DeserializeOwned;

pub use certificate::{Ca, CertStatus, Certificate, Ownership, Principal, RegistrationConfig};
pub use group::{BillingGroup, DynamicQuery, Group};
pub use policy::{Policy, PolicyVersion};
pub use settings::{Logging, Settings};
pub use template::{FleetMetric, Hook, RoleAlias, Template, TemplateVersion};
pub use thing::{Thing, ThingType};

use crate::index::{self, Indexed};

/// Everything that the registry knows.
#[derive(Default)]
pub struct State {
    pub things: BTreeMap<Arc<str>, Thing>,
    pub types: BTreeMap<Arc<str>, ThingType>,
    pub groups: BTreeMap<Arc<str>, Group>,
    pub billing_groups: BTreeMap<Arc<str>, BillingGroup>,
    pub certificates: BTreeMap<Arc<str>, Certificate>,
    pub cas: BTreeMap<Arc<str>, Ca>,
    pub policies: BTreeMap<Arc<str>, Policy>,
    /// What is attached to certificates (by ARN), identities and groups (by ARN).
    pub principals: BTreeMap<Arc<str>, Principal>,
    pub templates: BTreeMap<Arc<str>, Template>,
    pub role_aliases: BTreeMap<Arc<str>, RoleAlias>,
    pub fleet_metrics: BTreeMap<Arc<str>, FleetMetric>,
    pub tags: BTreeMap<String, BTreeMap<String, String>>,
    pub settings: Settings,
    /// What indexing knows of things beyond the registry.
    pub indexed: BTreeMap<Arc<str>, Indexed>,
    /// The names of the dynamic groups. Derived.
    pub dynamic: BTreeSet<Arc<str>>,
    /// Things that must be judged by the queries of dynamic groups.
    pub stale: BTreeSet<Arc<str>>,
    /// Certificates that are deleted unless they are used in time.
    pub expiring: BTreeSet<(Timestamp, Arc<str>)>,
}

/// The tables of the store.
pub mod table {
    pub const BILLING_GROUPS: &str = "registry/billing-groups";
    pub const CA: &str = "registry/local-ca";
    pub const CAS: &str = "registry/ca-certificates";
    pub const CERTIFICATES: &str = "registry/certificates";
    pub const FLEET_METRICS: &str = "registry/fleet-metrics";
    pub const GROUPS: &str = "registry/groups";
    pub const POLICIES: &str = "registry/policies";
    pub const PRINCIPALS: &str = "registry/principals";
    pub const ROLE_ALIASES: &str = "registry/role-aliases";
    pub const SETTINGS: &str = "registry/settings";
    pub const TAGS: &str = "registry/tags";
    pub const TEMPLATES: &str = "registry/templates";
    pub const THINGS: &str = "registry/things";
    pub const TYPES: &str = "registry/types";
}

impl State {
    /// Reads all records and derives the rest.
    ///
    /// # Errors
    /// [`StoreError`] for a record that cannot be read.
    pub fn restore(store: &Store) -> Result<Self, StoreError> {
        let mut state = State {
            things: load(store, table::THINGS)?,
            types: load(store, table::TYPES)?,
            groups: load(store, table::GROUPS)?,
            billing_groups: load(store, table::BILLING_GROUPS)?,
            certificates: load(store, table::CERTIFICATES)?,
            cas: load(store, table::CAS)?,
            policies: load(store, table::POLICIES)?,
            principals: load(store, table::PRINCIPALS)?,
            templates: load(store, table::TEMPLATES)?,
            role_aliases: load(store, table::ROLE_ALIASES)?,
            fleet_metrics: load(store, table::FLEET_METRICS)?,
            tags: store.load(table::TAGS)?.into_iter().collect(),
            settings: store
                .load(table::SETTINGS)?
                .into_iter()
                .next()
                .map_or_else(Settings::default, |(_, settings): (String, Settings)| settings),
            ..State::default()
        };
        state.derive();
        Ok(state)
    }

    fn derive(&mut self) {
        for (name, thing) in &self.things {
            for group in &thing.groups {
                if let Some(group) = self.groups.get_mut(group) {
                    group.members.insert(name.clone());
                }
            }
        }
        let parents: Vec<_> = self
            .groups
            .values()
            .filter_map(|group| Some((group.parent.clone()?, group.name.clone())))
            .collect();
        for (parent, child) in parents {
            if let Some(parent) = self.groups.get_mut(&parent) {
                parent.children.insert(child);
            }
        }
        for group in self.groups.values_mut() {
            group.compiled = group
                .dynamic
                .as_ref()
                .and_then(|dynamic| index::parse(&dynamic.query).ok())
                .map(Arc::new);
            if group.dynamic.is_some() {
                self.dynamic.insert(group.name.clone());
            }
        }
        for policy in self.policies.values_mut() {
            policy.compile();
        }
        for (key, principal) in &self.principals {
            for policy in &principal.policies {
                if let Some(policy) = self.policies.get_mut(policy) {
                    policy.targets.insert(key.clone());
                }
            }
            for thing in principal.things.keys() {
                if let Some(thing) = self.things.get_mut(thing) {
                    thing.principals.insert(key.clone());
                }
            }
        }
        for certificate in self.certificates.values() {
            if let Some(expires) = certificate.expires() {
                self.expiring.insert((expires, certificate.id.clone()));
            }
        }
    }

    /// Whether there is a dynamic group.
    pub fn any_dynamic(&self) -> bool {
        !self.dynamic.is_empty()
    }

    /// The groups of a thing with all their ancestors.
    pub fn groups_of(&self, thing: &Thing) -> BTreeSet<Arc<str>> {
        let mut found = BTreeSet::new();
        for group in &thing.groups {
            let mut next = Some(group.clone());
            while let Some(name) = next {
                next = self.groups.get(&name).and_then(|group| group.parent.clone());
                // What was found before brought its ancestors along.
                if !found.insert(name) {
                    break;
                }
            }
        }
        found
    }

    /// From the root down to the parent of `group`.
    pub fn ancestors(&self, group: &Group) -> Vec<&Group> {
        let mut found = Vec::new();
        let mut next = group.parent.as_ref();
        while let Some(parent) = next.and_then(|name| self.groups.get(name)) {
            found.push(parent);
            next = parent.parent.as_ref();
        }
        found.reverse();
        found
    }

    /// The things of a group and, if `recursive`, of all groups below it.
    pub fn members(&self, group: &Group, recursive: bool) -> BTreeSet<Arc<str>> {
        let mut found = group.members.clone();
        if recursive {
            for child in group.children.iter().filter_map(|child| self.groups.get(child)) {
                found.append(&mut self.members(child, true));
            }
        }
        found
    }

    /// The thing that a client with this certificate stands for: the one that it
    /// is attached to exclusively, or the one that its client id names.
    pub fn thing_of_client(&self, principal: &str, client_id: &str) -> Option<&Thing> {
        let principal = self.principals.get(principal)?;
        let name = principal
            .things
            .iter()
            .find(|(_, exclusive)| **exclusive)
            .map(|(name, _)| name)
            .or_else(|| principal.things.get_key_value(client_id).map(|(name, _)| name))?;
        self.things.get(name)
    }
}

fn load<T: DeserializeOwned>(
    store: &Store,
    table: &str,
) -> Result<BTreeMap<Arc<str>, T>, StoreError> {
    Ok(store.load(table)?.into_iter().map(|(key, value)| (Arc::from(key), value)).collect())
}
