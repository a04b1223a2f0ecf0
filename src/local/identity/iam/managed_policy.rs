//! Managed policies of the account, with their versions.
//!
//! A document is read before it is kept, so that only policies that can be asked
//! are attached. Those of AWS are in [`super::aws_policies`] and cannot be changed.

use std::collections::BTreeMap;

use iotstack_local_kernel::{Call, Commit, Fault, Reply, Timestamp, id, loose};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::aws_policies::managed;
use super::document::check_identity;
use super::entity::{encoded, shown_tags};
use super::operations::{check_name, check_path, paged, tags_page};
use super::{Entity, Iam, Kind, conflict, no_policy, tags};
use crate::records::Written;

/// A managed policy.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ManagedPolicy {
    pub(crate) arn: String,
    name: String,
    id: String,
    path: String,
    description: Option<String>,
    created: Timestamp,
    updated: Timestamp,
    /// The oldest first; at most five.
    versions: Vec<PolicyVersion>,
    default: u32,
    /// How many versions there ever were.
    counted: u32,
    tags: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct PolicyVersion {
    number: u32,
    document: String,
    created: Timestamp,
}

impl ManagedPolicy {
    /// The document that counts.
    pub(crate) fn document(&self) -> &str {
        let default = self.versions.iter().find(|version| version.number == self.default);
        default.map(|version| version.document.as_str()).unwrap_or_default()
    }

    /// As lists show it: without description and tags.
    pub(super) fn listed(&self, (attached, bounds): (usize, usize)) -> Value {
        json!({
            "PolicyName": self.name,
            "PolicyId": self.id,
            "Arn": self.arn,
            "Path": self.path,
            "DefaultVersionId": format!("v{}", self.default),
            "AttachmentCount": attached,
            "PermissionsBoundaryUsageCount": bounds,
            "IsAttachable": true,
            "CreateDate": self.created.iso8601(),
            "UpdateDate": self.updated.iso8601(),
        })
    }

    fn version(&self, version: &str) -> Result<&PolicyVersion, Fault> {
        let number = version.strip_prefix('v').and_then(|number| number.parse::<u32>().ok());
        let found = self.versions.iter().find(|version| Some(version.number) == number);
        let reason =
            format!("Policy {} version {version} does not exist or is not attachable.", self.arn);
        found.ok_or_else(|| Fault::new("NoSuchEntity", 404, reason))
    }

    fn shown_version(&self, version: &PolicyVersion, document: bool) -> Value {
        json!({
            "VersionId": format!("v{}", version.number),
            "IsDefaultVersion": version.number == self.default,
            "CreateDate": version.created.iso8601(),
            "Document": document.then(|| encoded(&version.document)),
        })
    }
}

impl Iam {
    /// Makes a managed policy.
    pub(crate) fn add_policy(
        &self,
        name: &str,
        path: Option<String>,
        document: &str,
        description: Option<String>,
        tags: Vec<(String, String)>,
    ) -> Result<(ManagedPolicy, Commit), Fault> {
        check_name(name, 128)?;
        let path = check_path(path)?;
        check_document(document)?;
        let arn = self.account.global_arn("iam", format!("policy{path}{name}"));
        let now = self.now();
        let policy = ManagedPolicy {
            arn: arn.clone(),
            name: name.to_owned(),
            id: format!("ANPA{}", id::capitals(17)),
            path,
            description,
            created: now,
            updated: now,
            versions: vec![PolicyVersion {
                number: 1,
                document: document.to_owned(),
                created: now,
            }],
            default: 1,
            counted: 1,
            tags: tags.into_iter().collect(),
        };
        self.policies.change(|policies| {
            if policies.get(&arn).is_some() {
                let reason = format!(
                    "A policy called {name} already exists. Duplicate names are not allowed."
                );
                return Err(Fault::new("EntityAlreadyExists", 409, reason));
            }
            policies.put(&arn, policy.clone());
            Ok(policy)
        })
    }

    /// Adds a version; without `keep` the oldest goes if there are five.
    pub(crate) fn add_version(
        &self,
        arn: &str,
        document: &str,
        default: bool,
        keep: bool,
    ) -> Result<(Value, Commit), Fault> {
        check_document(document)?;
        let now = self.now();
        self.edit_policy(arn, |policy| {
            if policy.versions.len() == 5 {
                if keep {
                    let reason = "a policy has 5 versions at most; delete one first";
                    return Err(Fault::new("LimitExceeded", 409, reason));
                }
                let oldest = policy.versions.iter().position(|v| v.number != policy.default);
                policy.versions.remove(oldest.unwrap_or(0));
            }
            policy.counted += 1;
            let version = PolicyVersion {
                number: policy.counted,
                document: document.to_owned(),
                created: now,
            };
            policy.versions.push(version.clone());
            policy.updated = now;
            if default {
                policy.default = version.number;
            }
            Ok(policy.shown_version(&version, false))
        })
    }

    /// Deletes a policy that nobody has attached.
    pub(crate) fn drop_policy(&self, arn: &str) -> Result<Commit, Fault> {
        self.own_policy(arn)?;
        let users = self.attached_to(arn);
        if let Some(Entity { kind, name, .. }) = users.first() {
            let reason = format!("the policy is attached to the {} `{name}`", kind.word());
            return Err(conflict(reason));
        }
        let ((), commit) = self.policies.change(|policies| {
            let policy = policies.get(arn).ok_or_else(|| no_policy(arn))?;
            if policy.versions.len() > 1 {
                return Err(conflict("delete all versions but the default first"));
            }
            policies.remove(arn);
            Ok(())
        })?;
        self.forget();
        Ok(commit)
    }

    /// Deletes all versions but the default.
    pub(crate) fn drop_old_versions(&self, arn: &str) -> Result<Commit, Fault> {
        let ((), commit) = self.edit_policy(arn, |policy| {
            let default = policy.default;
            policy.versions.retain(|version| version.number == default);
            Ok(())
        })?;
        Ok(commit)
    }

    /// A policy of this account.
    pub(crate) fn own_policy(&self, arn: &str) -> Result<ManagedPolicy, Fault> {
        self.policies.get(arn).ok_or_else(|| no_policy(arn))
    }

    /// Who has a policy attached, in order.
    pub(crate) fn attached_to(&self, arn: &str) -> Vec<Entity> {
        let mut all = self.entities.all();
        all.retain(|entity| {
            entity.attached.iter().any(|attached| attached == arn)
                || entity.boundary.as_deref() == Some(arn)
        });
        all
    }

    /// How many have a policy attached, and how many are bounded by it.
    pub(super) fn uses(&self, arn: &str) -> (usize, usize) {
        let all = self.entities.all();
        let attached = |entity: &&Entity| entity.attached.iter().any(|attached| attached == arn);
        let bounded = |entity: &&Entity| entity.boundary.as_deref() == Some(arn);
        (all.iter().filter(attached).count(), all.iter().filter(bounded).count())
    }

    pub(super) fn tag_policy(&self, call: Call) -> Written {
        let arn = loose::required(&call.input, "PolicyArn")?;
        let more = tags::given(&call.input)?;
        let ((), commit) = self.edit_policy(&arn, |policy| tags::add(&mut policy.tags, more))?;
        Ok((Reply::empty(), commit))
    }

    pub(super) fn untag_policy(&self, call: Call) -> Written {
        let arn = loose::required(&call.input, "PolicyArn")?;
        let keys = tags::named(&call.input)?;
        let ((), commit) = self.edit_policy(&arn, |policy| {
            tags::remove(&mut policy.tags, &keys);
            Ok(())
        })?;
        Ok((Reply::empty(), commit))
    }

    pub(super) fn list_policy_tags(&self, call: Call) -> Result<Reply, Fault> {
        let policy = self.own_policy(&loose::required(&call.input, "PolicyArn")?)?;
        tags_page(&call.input, policy.tags)
    }

    pub(super) fn create_policy(&self, call: Call) -> Written {
        let input = &call.input;
        let (policy, commit) = self.add_policy(
            &loose::required(input, "PolicyName")?,
            loose::text(input, "Path")?,
            &loose::required(input, "PolicyDocument")?,
            loose::text(input, "Description")?,
            tags::given(input)?,
        )?;
        let mut shown = policy.listed((0, 0));
        if !policy.tags.is_empty() {
            shown["Tags"] = shown_tags(&policy.tags);
        }
        Ok((json!({"Policy": shown}).into(), commit))
    }

    pub(super) fn get_policy(&self, call: Call) -> Result<Reply, Fault> {
        let arn = loose::required(&call.input, "PolicyArn")?;
        let uses = self.uses(&arn);
        if managed(&arn).is_some() {
            let name = arn.rsplit('/').next().unwrap_or_default();
            let shown = json!({
                "PolicyName": name,
                "Arn": arn,
                "DefaultVersionId": "v1",
                "AttachmentCount": uses.0,
                "PermissionsBoundaryUsageCount": uses.1,
                "IsAttachable": true,
            });
            return Ok(json!({"Policy": shown}).into());
        }
        let policy = self.own_policy(&arn)?;
        let mut shown = policy.listed(uses);
        shown["Description"] = json!(policy.description);
        shown["Tags"] = shown_tags(&policy.tags);
        Ok(json!({"Policy": shown}).into())
    }

    pub(super) fn list_policies(&self, call: Call) -> Result<Reply, Fault> {
        let scope = loose::text(&call.input, "Scope")?.unwrap_or_else(|| "All".to_owned());
        if scope == "AWS" {
            return Err(Fault::not_implemented("the list of AWS's policies"));
        }
        let only_attached = loose::flag(&call.input, "OnlyAttached")?.unwrap_or(false);
        let mut all = self.policies.all();
        let prefix = loose::text(&call.input, "PathPrefix")?.unwrap_or_else(|| "/".to_owned());
        all.retain(|policy| {
            policy.path.starts_with(&prefix)
                && (!only_attached || !self.attached_to(&policy.arn).is_empty())
        });
        let shown = |policy: &ManagedPolicy| policy.listed(self.uses(&policy.arn));
        paged(&call.input, "Policies", all, |policy| policy.arn.clone(), shown)
    }

    pub(super) fn delete_policy(&self, call: Call) -> Written {
        let arn = loose::required(&call.input, "PolicyArn")?;
        Ok((Reply::empty(), self.drop_policy(&arn)?))
    }

    pub(super) fn create_policy_version(&self, call: Call) -> Written {
        let arn = loose::required(&call.input, "PolicyArn")?;
        let document = loose::required(&call.input, "PolicyDocument")?;
        let default = loose::flag(&call.input, "SetAsDefault")?.unwrap_or(false);
        let (version, commit) = self.add_version(&arn, &document, default, true)?;
        Ok((json!({"PolicyVersion": version}).into(), commit))
    }

    pub(super) fn get_policy_version(&self, call: Call) -> Result<Reply, Fault> {
        let policy = self.own_policy(&loose::required(&call.input, "PolicyArn")?)?;
        let version = policy.version(&loose::required(&call.input, "VersionId")?)?;
        Ok(json!({"PolicyVersion": policy.shown_version(version, true)}).into())
    }

    pub(super) fn list_policy_versions(&self, call: Call) -> Result<Reply, Fault> {
        let policy = self.own_policy(&loose::required(&call.input, "PolicyArn")?)?;
        let newest_first = policy.versions.iter().rev();
        let versions: Vec<Value> =
            newest_first.map(|version| policy.shown_version(version, false)).collect();
        Ok(json!({"Versions": versions, "IsTruncated": false}).into())
    }

    pub(super) fn delete_policy_version(&self, call: Call) -> Written {
        let arn = loose::required(&call.input, "PolicyArn")?;
        let wanted = loose::required(&call.input, "VersionId")?;
        let ((), commit) = self.edit_policy(&arn, |policy| {
            let number = policy.version(&wanted)?.number;
            if number == policy.default {
                return Err(conflict("the default version cannot be deleted"));
            }
            policy.versions.retain(|version| version.number != number);
            Ok(())
        })?;
        Ok((Reply::empty(), commit))
    }

    pub(super) fn set_default_version(&self, call: Call) -> Written {
        let arn = loose::required(&call.input, "PolicyArn")?;
        let wanted = loose::required(&call.input, "VersionId")?;
        let now = self.now();
        let ((), commit) = self.edit_policy(&arn, |policy| {
            policy.default = policy.version(&wanted)?.number;
            policy.updated = now;
            Ok(())
        })?;
        Ok((Reply::empty(), commit))
    }

    pub(super) fn list_entities_for_policy(&self, call: Call) -> Result<Reply, Fault> {
        let arn = loose::required(&call.input, "PolicyArn")?;
        let attached = self.attached_to(&arn);
        let filter = loose::text(&call.input, "EntityFilter")?;
        let list = |wanted: Kind| -> Vec<Value> {
            if filter.as_deref().is_some_and(|filter| filter != wanted.title()) {
                return Vec::new();
            }
            let fitting = attached.iter().filter(|entity| entity.kind == wanted);
            let (name, id) = (wanted.member(), wanted.id_member());
            let shown = |entity: &Entity| json!({ name: entity.name, id: entity.id });
            fitting.map(shown).collect()
        };
        Ok(json!({
            "PolicyRoles": list(Kind::Role),
            "PolicyUsers": list(Kind::User),
            "PolicyGroups": [],
            "IsTruncated": false,
        })
        .into())
    }

    fn edit_policy<R>(
        &self,
        arn: &str,
        change: impl FnOnce(&mut ManagedPolicy) -> Result<R, Fault>,
    ) -> Result<(R, Commit), Fault> {
        let changed = self.policies.change(|policies| {
            let mut policy = policies.get(arn).cloned().ok_or_else(|| no_policy(arn))?;
            let outcome = change(&mut policy)?;
            policies.put(arn, policy);
            Ok(outcome)
        });
        self.forget();
        changed
    }
}

fn check_document(document: &str) -> Result<(), Fault> {
    check_identity(document, true)?;
    let size = document.chars().filter(|c| !c.is_whitespace()).count();
    if size > 6144 {
        let reason = format!("a managed policy has 6144 characters at most, not {size}");
        return Err(Fault::new("LimitExceeded", 409, reason));
    }
    Ok(())
}
