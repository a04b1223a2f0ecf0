//! Policies: documents, versions and targets.
//!
//! A document is judged when it is stored; what several of them come to is asked
//! in `authorization.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use iotstack_local_kernel::{Call, Fault, id, tags};
use serde_json::{Value, json};

use super::input::{self, marked, name_in_arn};
use super::principals::is_identity;
use crate::core::{Changed, Registry, Tx};
use crate::fault;
use crate::policy::Document;
use crate::state::{Policy, PolicyVersion, State};

pub fn create(registry: &Registry, call: &Call) -> Changed {
    let name = call.text("policyName")?;
    let document = call.text("policyDocument")?;
    let tags = tags::read(&call.input)?;
    registry.change(|tx| {
        tx.create_policy(name, document)?;
        let arn = tx.arn(format_args!("policy/{name}"));
        tx.put_tags(&arn, tags);
        Ok(json!({
            "policyName": name,
            "policyArn": arn,
            "policyDocument": document,
            "policyVersionId": "1",
        }))
    })
}

pub fn create_version(registry: &Registry, call: &Call) -> Changed {
    let name = call.text("policyName")?;
    let document = call.text("policyDocument")?;
    let default = call.flag("setAsDefault")?;
    registry.change(|tx| {
        let version = tx.create_policy_version(name, document, default)?;
        Ok(json!({
            "policyArn": tx.arn(format_args!("policy/{name}")),
            "policyDocument": document,
            "policyVersionId": version.to_string(),
            "isDefaultVersion": default,
        }))
    })
}

pub fn set_default_version(registry: &Registry, call: &Call) -> Changed {
    let name = call.text("policyName")?;
    let version = version_number(call)?;
    registry.change(|tx| {
        version_of(tx.policy(name)?, version)?;
        let now = tx.now;
        tx.edit_policy(name, |policy| {
            policy.default = version;
            policy.modified = now;
        });
        tx.effects.rights = true;
        Ok(json!({}))
    })
}

pub fn delete_version(registry: &Registry, call: &Call) -> Changed {
    let name = call.text("policyName")?;
    let version = version_number(call)?;
    registry.change(|tx| {
        let policy = tx.policy(name)?;
        version_of(policy, version)?;
        if policy.default == version {
            return Err(fault::delete_conflict(format!(
                "version {version} is the default version of policy `{name}` and cannot be deleted"
            )));
        }
        tx.edit_policy(name, |policy| {
            policy.versions.remove(&version);
        });
        Ok(json!({}))
    })
}

pub fn delete(registry: &Registry, call: &Call) -> Changed {
    let name = call.text("policyName")?;
    registry.change(|tx| {
        tx.delete_policy(name)?;
        Ok(json!({}))
    })
}

pub fn get(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let name = call.text("policyName")?;
    registry.read(|state| {
        let policy = known(state, name)?;
        Ok(json!({
            "policyName": name,
            "policyArn": registry.account.arn("iot", format_args!("policy/{name}")),
            "policyDocument": policy.document(),
            "defaultVersionId": policy.default.to_string(),
            "creationDate": policy.created.fractional_seconds(),
            "lastModifiedDate": policy.modified.fractional_seconds(),
            "generationId": policy.generation,
        }))
    })
}

pub fn get_version(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let name = call.text("policyName")?;
    let number = version_number(call)?;
    registry.read(|state| {
        let policy = known(state, name)?;
        let version = version_of(policy, number)?;
        Ok(json!({
            "policyArn": registry.account.arn("iot", format_args!("policy/{name}")),
            "policyName": name,
            "policyDocument": version.document,
            "policyVersionId": number.to_string(),
            "isDefaultVersion": policy.default == number,
            "creationDate": version.created.fractional_seconds(),
            "lastModifiedDate": version.created.fractional_seconds(),
            "generationId": policy.generation,
        }))
    })
}

pub fn versions(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let name = call.text("policyName")?;
    registry.read(|state| {
        let policy = known(state, name)?;
        let versions: Vec<Value> = policy
            .versions
            .iter()
            .rev()
            .map(|(number, version)| {
                json!({
                    "versionId": number.to_string(),
                    "isDefaultVersion": policy.default == *number,
                    "createDate": version.created.fractional_seconds(),
                })
            })
            .collect();
        Ok(json!({"policyVersions": versions}))
    })
}

pub fn list(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    registry.read(|state| {
        let names: Vec<&Arc<str>> = state.policies.keys().collect();
        marked(call, "policies", names, |name| name.to_string(), |name| show(registry, name))
    })
}

pub fn attach(registry: &Registry, call: &Call) -> Changed {
    let (name, target) = (call.text("policyName")?, call.text("target")?);
    registry.change(|tx| {
        let target = tx.policy_target(target)?;
        tx.attach_policy(name, &target)?;
        Ok(json!({}))
    })
}

pub fn detach(registry: &Registry, call: &Call) -> Changed {
    let (name, target) = (call.text("policyName")?, call.text("target")?);
    registry.change(|tx| {
        tx.policy(name)?;
        tx.detach_policy(name, &Arc::from(target));
        Ok(json!({}))
    })
}

pub fn attach_principal(registry: &Registry, call: &Call) -> Changed {
    let (name, principal) = (call.text("policyName")?, call.text("principal")?);
    registry.change(|tx| {
        let principal = tx.principal(principal)?;
        tx.attach_policy(name, &principal)?;
        Ok(json!({}))
    })
}

pub fn detach_principal(registry: &Registry, call: &Call) -> Changed {
    let (name, principal) = (call.text("policyName")?, call.text("principal")?);
    registry.change(|tx| {
        tx.policy(name)?;
        let principal = tx.principal(principal)?;
        tx.detach_policy(name, &principal);
        Ok(json!({}))
    })
}

pub fn targets(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let name = call.text("policyName")?;
    list_targets(registry, call, name, "targets", |_| true)
}

pub fn principals(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let name = call.text("policyName")?;
    list_targets(registry, call, name, "principals", |target| {
        name_in_arn(target, "thinggroup").is_none()
    })
}

pub fn attached(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let target = call.text("target")?;
    let recursive = call.flag("recursive")?;
    registry.read(|state| {
        let mut found: BTreeSet<&Arc<str>> =
            state.principals.get(target).into_iter().flat_map(|found| &found.policies).collect();
        if let Some(group) = name_in_arn(target, "thinggroup") {
            let group =
                state.groups.get(group).ok_or_else(|| fault::not_found("thing group", group))?;
            for ancestor in state.ancestors(group).into_iter().filter(|_| recursive) {
                let arn = registry.account.arn("iot", format_args!("thinggroup/{}", ancestor.name));
                let more = state.principals.get(&*arn);
                found.extend(more.into_iter().flat_map(|found| &found.policies));
            }
        } else if let Some(id) = name_in_arn(target, "cert") {
            if !state.certificates.contains_key(id) {
                return Err(fault::not_found("certificate", id));
            }
        } else if !is_identity(target) {
            return Err(fault::invalid(format!("`{target}` can have no policies")));
        }
        let names = found.into_iter().collect();
        marked(call, "policies", names, |name| name.to_string(), |name| show(registry, name))
    })
}

pub fn of_principal(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let principal = call.text("principal")?;
    registry.read(|state| {
        let names: Vec<&Arc<str>> =
            state.principals.get(principal).into_iter().flat_map(|found| &found.policies).collect();
        marked(call, "policies", names, |name| name.to_string(), |name| show(registry, name))
    })
}

fn list_targets(
    registry: &Registry,
    call: &Call,
    name: &str,
    list: &str,
    fits: impl Fn(&str) -> bool,
) -> Result<Value, Fault> {
    registry.read(|state| {
        let targets: Vec<&Arc<str>> =
            known(state, name)?.targets.iter().filter(|target| fits(target)).collect();
        marked(call, list, targets, |target| target.to_string(), |target| json!(&**target))
    })
}

/// A policy as lists show it.
pub fn show(registry: &Registry, name: &str) -> Value {
    let arn = registry.account.arn("iot", format_args!("policy/{name}"));
    json!({"policyName": name, "policyArn": arn})
}

/// A policy that exists.
pub fn known<'s>(state: &'s State, name: &str) -> Result<&'s Policy, Fault> {
    state.policies.get(name).ok_or_else(|| fault::not_found("policy", name))
}

fn version_number(call: &Call) -> Result<u32, Fault> {
    let text = call.text("policyVersionId")?;
    text.parse().map_err(|_| fault::invalid(format!("policyVersionId `{text}` is no number")))
}

fn version_of(policy: &Policy, number: u32) -> Result<&PolicyVersion, Fault> {
    policy.versions.get(&number).ok_or_else(|| {
        fault::not_found("policy version", &format!("{} of {}", number, policy.name))
    })
}

impl Tx<'_> {
    /// Makes a policy with its first version.
    pub fn create_policy(&mut self, name: &str, document: &str) -> Result<(), Fault> {
        input::name("policy name", name, 128, "+=,.@-")?;
        let compiled = Document::parse_new(document).map_err(fault::malformed_policy)?;
        if self.state.policies.contains_key(name) {
            let arn = self.arn(format_args!("policy/{name}"));
            return Err(fault::exists("policy", name, name, &arn));
        }
        let version = PolicyVersion { document: document.to_owned(), created: self.now };
        self.put_policy(Policy {
            name: name.into(),
            created: self.now,
            modified: self.now,
            generation: id::uuid(),
            versions: BTreeMap::from([(1, version)]),
            default: 1,
            next: 2,
            targets: BTreeSet::new(),
            compiled: Arc::new(compiled),
            spreading: None,
        });
        Ok(())
    }

    /// Adds a version to a policy; gives its number.
    pub fn create_policy_version(
        &mut self,
        name: &str,
        document: &str,
        default: bool,
    ) -> Result<u32, Fault> {
        Document::parse_new(document).map_err(fault::malformed_policy)?;
        let policy = self.policy(name)?;
        if policy.versions.len() >= MOST_VERSIONS {
            return Err(fault::versions_limit("policy", name));
        }
        let number = policy.next;
        let now = self.now;
        self.edit_policy(name, |policy| {
            let version = PolicyVersion { document: document.to_owned(), created: now };
            policy.versions.insert(number, version);
            policy.next += 1;
            policy.modified = now;
            if default {
                policy.default = number;
            }
        });
        self.effects.rights |= default;
        Ok(number)
    }

    /// Deletes a policy that has one version and no targets.
    pub fn delete_policy(&mut self, name: &str) -> Result<(), Fault> {
        let policy = self.policy(name)?;
        if !policy.targets.is_empty() {
            return Err(fault::delete_conflict(format!(
                "policy `{name}` cannot be deleted: it is attached to {} principals",
                policy.targets.len()
            )));
        }
        if policy.versions.len() > 1 {
            return Err(fault::delete_conflict(format!(
                "policy `{name}` cannot be deleted: it has {} versions; delete all but the default \
                 one",
                policy.versions.len()
            )));
        }
        self.remove_policy(name);
        let arn = self.arn(format_args!("policy/{name}"));
        self.put_tags(&arn, BTreeMap::new());
        Ok(())
    }

    /// What a policy may be attached to: a certificate, an identity or a static group.
    pub fn policy_target(&self, target: &str) -> Result<Arc<str>, Fault> {
        let Some(name) = name_in_arn(target, "thinggroup") else { return self.principal(target) };
        let group = self.group(name)?;
        if group.dynamic.is_some() {
            return Err(fault::invalid(format!(
                "thing group `{name}` is dynamic and takes no policies"
            )));
        }
        Ok(target.into())
    }

    /// Attaches a policy to a target that was checked.
    pub fn attach_policy(&mut self, name: &str, target: &Arc<str>) -> Result<(), Fault> {
        let policy = self.policy(name)?.name.clone();
        let group = name_in_arn(target, "thinggroup").is_some();
        let most = if group { MOST_PER_GROUP } else { MOST_PER_PRINCIPAL };
        if let Some(found) = self.state.principals.get(target) {
            if found.policies.contains(&policy) {
                return Ok(());
            }
            if found.policies.len() >= most {
                return Err(fault::limit(format!(
                    "`{target}` has {most} policies, the most that can be attached"
                )));
            }
        }
        self.edit_principal(target, |principal| {
            principal.policies.insert(policy.clone());
        });
        if let Some(found) = self.state.policies.get_mut(&policy) {
            found.targets.insert(target.clone());
        }
        self.target_changed(target, group);
        Ok(())
    }

    /// Takes a policy off a target; one that has it not is no error.
    pub fn detach_policy(&mut self, name: &str, target: &Arc<str>) {
        if !self.state.principals.contains_key(target) {
            return;
        }
        self.edit_principal(target, |principal| {
            principal.policies.remove(name);
        });
        if let Some(found) = self.state.policies.get_mut(name) {
            found.targets.remove(target);
        }
        self.target_changed(target, name_in_arn(target, "thinggroup").is_some());
    }

    fn target_changed(&mut self, target: &Arc<str>, group: bool) {
        match group {
            true => self.effects.rights = true,
            false => self.effects.principals.push(target.clone()),
        }
    }
}

const MOST_PER_GROUP: usize = 2;
const MOST_PER_PRINCIPAL: usize = 10;
/// Versions that a policy or a template keeps.
pub const MOST_VERSIONS: usize = 5;
