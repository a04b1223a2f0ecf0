//! IAM: roles, users, policies, access keys.
//!
//! Real: roles and users with inline and attached policies, permission
//! boundaries, versions of managed policies, the policies of AWS that stacks
//! like ours attach, access keys that sign, and the evaluation of all of it.
//!
//! Not offered: groups, instance profiles, identity providers, passwords,
//! multi-factor devices, service-linked roles, credential reports.

mod aws_policies;
mod document;
mod entity;
mod key;
mod managed_policy;
mod operations;
pub(crate) mod resources;
mod simulate;
mod tags;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use iotstack_local_kernel::policy::{Context, Policy, Question, Verdict};
use iotstack_local_kernel::{
    Account, Clock, Cloud, Fault, Operation, Operations, Protocol, Service, StoreError,
};

use crate::records::Records;
use aws_policies::managed;
pub(crate) use entity::{Entity, Kind};
pub(crate) use key::AccessKey;
pub(crate) use managed_policy::ManagedPolicy;

/// IAM.
pub(crate) struct Iam {
    pub(crate) account: Account,
    clock: Clock,
    entities: Records<Entity>,
    policies: Records<ManagedPolicy>,
    pub(crate) keys: Records<AccessKey>,
    /// The policies of identities, read; forgotten with every change.
    known: Mutex<Known>,
}

/// Policies that were read. The count grows with every change, so that what was
/// read before a change is not kept after it.
#[derive(Default)]
struct Known {
    changes: u64,
    rules: BTreeMap<String, Arc<Rules>>,
}

/// What an identity's policies say, and what bounds them.
struct Rules {
    policies: Vec<Policy>,
    boundary: Option<Vec<Policy>>,
}

impl Iam {
    pub(crate) fn restore(cloud: &Cloud) -> Result<Self, StoreError> {
        Ok(Iam {
            account: cloud.account.clone(),
            clock: cloud.clock.clone(),
            entities: Records::restore(&cloud.store, "iam_entities")?,
            policies: Records::restore(&cloud.store, "iam_policies")?,
            keys: Records::restore(&cloud.store, "iam_keys")?,
            known: Mutex::default(),
        })
    }

    /// A role by its ARN.
    pub(crate) fn role(&self, arn: &str) -> Option<Entity> {
        let prefix = self.account.global_arn("iam", "role/");
        let name = arn.strip_prefix(&prefix)?.rsplit('/').next()?;
        self.entities.get(&Kind::Role.key(name)).filter(|role| role.arn(&self.account) == arn)
    }

    /// An identity by its kind and name.
    pub(crate) fn entity(&self, kind: Kind, name: &str) -> Option<Entity> {
        self.entities.get(&kind.key(name))
    }

    /// What the policies of an identity say.
    pub(crate) fn verdict(&self, kind: Kind, name: &str, question: &Question<'_>) -> Verdict {
        let Some(rules) = self.rules(kind, name) else { return Verdict::Silent };
        let verdict = Verdict::all(rules.policies.iter().map(|policy| policy.verdict(question)));
        match &rules.boundary {
            Some(boundary) if verdict == Verdict::Allow => {
                // A boundary grants nothing, it only lets through.
                Verdict::all(boundary.iter().map(|policy| policy.verdict(question)))
            }
            _ => verdict,
        }
    }

    /// What is known of every request of this account.
    pub(crate) fn context(&self) -> Context {
        let now = self.clock.now();
        Context::default()
            .with("aws:CurrentTime", now.iso8601())
            .with("aws:EpochTime", now.seconds().to_string())
            .with("aws:RequestedRegion", self.account.region.clone())
            .with("aws:ResourceAccount", self.account.id.clone())
            // What stays on the machine counts as safe from listeners.
            .with("aws:SecureTransport", "true")
    }

    /// Forgets what was read, after a change.
    fn forget(&self) {
        let mut known = self.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        known.changes += 1;
        known.rules.clear();
    }

    fn rules(&self, kind: Kind, name: &str) -> Option<Arc<Rules>> {
        let key = kind.key(name);
        let lock = || self.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let changes = {
            let known = lock();
            if let Some(rules) = known.rules.get(&key) {
                return Some(rules.clone());
            }
            known.changes
        };
        let entity = self.entities.get(&key)?;
        let mut policies: Vec<Policy> =
            entity.inline.values().filter_map(|text| Policy::parse(text).ok()).collect();
        policies.extend(entity.attached.iter().filter_map(|arn| self.attached(arn)));
        let boundary = entity.boundary.as_ref();
        let boundary = boundary.map(|arn| self.attached(arn).into_iter().collect());
        let rules = Arc::new(Rules { policies, boundary });
        let mut known = lock();
        if known.changes == changes {
            known.rules.insert(key, rules.clone());
        }
        Some(rules)
    }

    /// A managed policy, of AWS or of this account.
    fn attached(&self, arn: &str) -> Option<Policy> {
        let own = || Policy::parse(self.policies.get(arn)?.document()).ok();
        managed(arn).or_else(own)
    }
}

impl Service for Iam {
    fn scopes(&self) -> &'static [&'static str] {
        &["iam"]
    }

    fn protocols(&self) -> &'static [Protocol] {
        &[Protocol::Query { namespace: "https://iam.amazonaws.com/doc/2010-05-08/" }]
    }

    fn invalid_input(&self) -> &'static str {
        "ValidationError"
    }

    fn operations(self: Arc<Self>) -> Vec<Operation> {
        use Kind::{Role, User};
        Operations::of(self)
            .named_stored("CreateRole", Iam::create_role)
            .named("GetRole", |iam: &Iam, call| iam.get(Role, call))
            .named("ListRoles", |iam: &Iam, call| iam.list(Role, call))
            .named_stored("UpdateRole", Iam::update_role)
            .named_stored("UpdateRoleDescription", Iam::update_role)
            .named_stored("UpdateAssumeRolePolicy", Iam::update_trust)
            .named_stored("DeleteRole", |iam: &Iam, call| iam.delete(Role, call))
            .named_stored("PutRolePolicy", |iam: &Iam, call| iam.put_inline(Role, call))
            .named("GetRolePolicy", |iam: &Iam, call| iam.get_inline(Role, call))
            .named("ListRolePolicies", |iam: &Iam, call| iam.list_inline(Role, call))
            .named_stored("DeleteRolePolicy", |iam: &Iam, call| iam.delete_inline(Role, call))
            .named_stored("AttachRolePolicy", |iam: &Iam, call| iam.attach(Role, call))
            .named_stored("DetachRolePolicy", |iam: &Iam, call| iam.detach(Role, call))
            .named("ListAttachedRolePolicies", |iam: &Iam, call| iam.list_attached(Role, call))
            .named_stored("PutRolePermissionsBoundary", |iam: &Iam, call| {
                iam.put_boundary(Role, call)
            })
            .named_stored("DeleteRolePermissionsBoundary", |iam: &Iam, call| {
                iam.delete_boundary(Role, call)
            })
            .named_stored("TagRole", |iam: &Iam, call| iam.tag(Role, call))
            .named_stored("UntagRole", |iam: &Iam, call| iam.untag(Role, call))
            .named("ListRoleTags", |iam: &Iam, call| iam.list_tags(Role, call))
            .named("ListInstanceProfilesForRole", Iam::no_profiles)
            .named_stored("CreateUser", Iam::create_user)
            .named("GetUser", |iam: &Iam, call| iam.get(User, call))
            .named("ListUsers", |iam: &Iam, call| iam.list(User, call))
            .named_stored("UpdateUser", Iam::update_user)
            .named_stored("PutUserPermissionsBoundary", |iam: &Iam, call| {
                iam.put_boundary(User, call)
            })
            .named_stored("DeleteUserPermissionsBoundary", |iam: &Iam, call| {
                iam.delete_boundary(User, call)
            })
            .named_stored("DeleteUser", |iam: &Iam, call| iam.delete(User, call))
            .named_stored("PutUserPolicy", |iam: &Iam, call| iam.put_inline(User, call))
            .named("GetUserPolicy", |iam: &Iam, call| iam.get_inline(User, call))
            .named("ListUserPolicies", |iam: &Iam, call| iam.list_inline(User, call))
            .named_stored("DeleteUserPolicy", |iam: &Iam, call| iam.delete_inline(User, call))
            .named_stored("AttachUserPolicy", |iam: &Iam, call| iam.attach(User, call))
            .named_stored("DetachUserPolicy", |iam: &Iam, call| iam.detach(User, call))
            .named("ListAttachedUserPolicies", |iam: &Iam, call| iam.list_attached(User, call))
            .named_stored("TagUser", |iam: &Iam, call| iam.tag(User, call))
            .named_stored("UntagUser", |iam: &Iam, call| iam.untag(User, call))
            .named("ListUserTags", |iam: &Iam, call| iam.list_tags(User, call))
            .named_stored("CreateAccessKey", Iam::create_key)
            .named("ListAccessKeys", Iam::list_keys)
            .named_stored("UpdateAccessKey", Iam::update_key)
            .named_stored("DeleteAccessKey", Iam::delete_key)
            .named_stored("CreatePolicy", Iam::create_policy)
            .named("GetPolicy", Iam::get_policy)
            .named("ListPolicies", Iam::list_policies)
            .named_stored("DeletePolicy", Iam::delete_policy)
            .named_stored("CreatePolicyVersion", Iam::create_policy_version)
            .named("GetPolicyVersion", Iam::get_policy_version)
            .named("ListPolicyVersions", Iam::list_policy_versions)
            .named_stored("DeletePolicyVersion", Iam::delete_policy_version)
            .named_stored("SetDefaultPolicyVersion", Iam::set_default_version)
            .named_stored("TagPolicy", Iam::tag_policy)
            .named_stored("UntagPolicy", Iam::untag_policy)
            .named("ListPolicyTags", Iam::list_policy_tags)
            .named("ListEntitiesForPolicy", Iam::list_entities_for_policy)
            .named("SimulatePrincipalPolicy", Iam::simulate)
            .named("ListAccountAliases", Iam::no_aliases)
            .list()
    }

    fn refused(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("CreateGroup", "there are no groups; attach policies to users"),
            ("CreateInstanceProfile", "there are no instances that could take one"),
            ("CreateLoginProfile", "nobody signs in with a password"),
            ("CreateOpenIDConnectProvider", "there are no identity providers"),
            ("CreateSAMLProvider", "there are no identity providers"),
            ("CreateServiceLinkedRole", "services of the local cloud need no role of their own"),
            ("SimulateCustomPolicy", "simulate the policies of an identity instead"),
        ]
    }
}

fn no_such(what: &str, name: &str) -> Fault {
    Fault::new("NoSuchEntity", 404, format!("The {what} with name {name} cannot be found."))
}

fn no_policy(arn: &str) -> Fault {
    Fault::new("NoSuchEntity", 404, format!("Policy {arn} was not found."))
}

fn conflict(reason: impl Into<String>) -> Fault {
    Fault::new("DeleteConflict", 409, reason)
}

fn exists(kind: Kind, name: &str) -> Fault {
    let what = kind.title();
    Fault::new("EntityAlreadyExists", 409, format!("{what} with name {name} already exists."))
}
