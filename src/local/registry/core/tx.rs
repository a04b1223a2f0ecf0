//! One change of the state: what is changed is stored with it.
//!
//! Records go into their map and into the batch by the same call, so that neither
//! can be forgotten.

use std::sync::Arc;
use std::time::Duration;

use iotstack_local_kernel::{Account, Batch, Fault, Message, Timestamp};

use super::{Effects, Registry};
use crate::fault;
use crate::state::{
    BillingGroup, Ca, Certificate, FleetMetric, Group, Policy, Principal, RoleAlias, State,
    Template, Thing, ThingType, table,
};

/// A change that is under way. The state is locked for it.
pub struct Tx<'a> {
    pub state: &'a mut State,
    pub account: &'a Account,
    pub now: Timestamp,
    pub effects: Effects,
    batch: Batch,
    policy_delay: Duration,
}

/// Puts a record into its map and into the batch, and takes it out again.
macro_rules! records {
    ($($put:ident / $remove:ident: $field:ident, $record:ty, $table:ident, $key:ident;)*) => {
        $(
            pub fn $put(&mut self, record: $record) {
                self.batch.put(table::$table, &*record.$key, &record);
                self.state.$field.insert(record.$key.clone(), record);
            }

            pub fn $remove(&mut self, key: &str) -> Option<$record> {
                let removed = self.state.$field.remove(key);
                if removed.is_some() {
                    self.batch.remove(table::$table, key);
                }
                removed
            }
        )*
    };
}

impl<'a> Tx<'a> {
    pub fn new(state: &'a mut State, registry: &'a Registry) -> Self {
        Tx {
            state,
            account: &registry.account,
            now: registry.clock.now(),
            effects: Effects::default(),
            batch: registry.store.batch(),
            policy_delay: registry.policy_delay,
        }
    }

    pub fn finish(self) -> (Batch, Effects) {
        (self.batch, self.effects)
    }

    records! {
        put_thing / remove_thing: things, Thing, THINGS, name;
        put_type / remove_type: types, ThingType, TYPES, name;
        put_group / remove_group: groups, Group, GROUPS, name;
        put_billing_group / remove_billing_group: billing_groups, BillingGroup, BILLING_GROUPS, name;
        put_certificate / remove_certificate: certificates, Certificate, CERTIFICATES, id;
        put_ca / remove_ca: cas, Ca, CAS, id;
        put_policy / remove_policy: policies, Policy, POLICIES, name;
        put_template / remove_template: templates, Template, TEMPLATES, name;
        put_role_alias / remove_role_alias: role_aliases, RoleAlias, ROLE_ALIASES, name;
        put_fleet_metric / remove_fleet_metric: fleet_metrics, FleetMetric, FLEET_METRICS, name;
    }

    /// Changes a thing that exists and stores it.
    pub fn edit_thing(&mut self, name: &str, edit: impl FnOnce(&mut Thing)) {
        if let Some(thing) = self.state.things.get_mut(name) {
            edit(thing);
            self.batch.put(table::THINGS, name, thing);
        }
    }

    /// Changes a group that exists and stores it.
    pub fn edit_group(&mut self, name: &str, edit: impl FnOnce(&mut Group)) {
        if let Some(group) = self.state.groups.get_mut(name) {
            edit(group);
            self.batch.put(table::GROUPS, name, group);
        }
    }

    /// Changes a certificate that exists and stores it.
    pub fn edit_certificate(&mut self, id: &str, edit: impl FnOnce(&mut Certificate)) {
        if let Some(certificate) = self.state.certificates.get_mut(id) {
            edit(certificate);
            self.batch.put(table::CERTIFICATES, id, certificate);
        }
    }

    /// Changes a policy that exists, stores it and makes it ready to judge.
    pub fn edit_policy(&mut self, name: &str, edit: impl FnOnce(&mut Policy)) {
        if let Some(policy) = self.state.policies.get_mut(name) {
            let (default, earlier) = (policy.default, policy.compiled.clone());
            edit(policy);
            policy.compile();
            if policy.default != default
                && let Some(until) = policy.spread(earlier, self.policy_delay, self.now)
            {
                self.effects.rights_at = Some(until);
            }
            self.batch.put(table::POLICIES, name, policy);
        }
    }

    /// Changes what is attached to a principal and stores it.
    pub fn edit_principal(&mut self, key: &Arc<str>, edit: impl FnOnce(&mut Principal)) {
        let principal = self.state.principals.entry(key.clone()).or_default();
        edit(principal);
        if principal.is_empty() {
            self.state.principals.remove(key);
            self.batch.remove(table::PRINCIPALS, &**key);
        } else {
            self.batch.put(table::PRINCIPALS, &**key, principal);
        }
    }

    /// Sets the tags of a resource; none removes them.
    pub fn put_tags(&mut self, arn: &str, tags: std::collections::BTreeMap<String, String>) {
        if tags.is_empty() {
            if self.state.tags.remove(arn).is_some() {
                self.batch.remove(table::TAGS, arn);
            }
        } else {
            self.batch.put(table::TAGS, arn, &tags);
            self.state.tags.insert(arn.to_owned(), tags);
        }
    }

    /// Stores the settings after a change.
    pub fn save_settings(&mut self) {
        self.batch.put(table::SETTINGS, "settings", &self.state.settings);
    }

    pub fn arn(&self, resource: impl std::fmt::Display) -> String {
        self.account.arn("iot", resource)
    }

    pub fn thing(&self, name: &str) -> Result<&Thing, Fault> {
        self.state.things.get(name).ok_or_else(|| fault::not_found("thing", name))
    }

    pub fn group(&self, name: &str) -> Result<&Group, Fault> {
        self.state.groups.get(name).ok_or_else(|| fault::not_found("thing group", name))
    }

    pub fn certificate(&self, id: &str) -> Result<&Certificate, Fault> {
        self.state.certificates.get(id).ok_or_else(|| fault::not_found("certificate", id))
    }

    pub fn policy(&self, name: &str) -> Result<&Policy, Fault> {
        self.state.policies.get(name).ok_or_else(|| fault::not_found("policy", name))
    }

    /// A message of the service, published after the change is made.
    pub fn publish(&mut self, topic: String, payload: &serde_json::Value) {
        let message = Message::new(topic, payload.to_string(), self.now);
        self.effects.messages.push(message);
    }

    /// Marks a thing to be judged by the queries of dynamic groups.
    pub fn mark(&mut self, thing: &Arc<str>) {
        if self.state.any_dynamic() {
            self.state.stale.insert(thing.clone());
            self.effects.dirty = true;
        }
    }
}
