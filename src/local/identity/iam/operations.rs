//! Operations on roles and users.
//!
//! CloudFormation's handlers call the same functions below the operations. After a
//! change, what was read of an identity's policies is forgotten.

use std::collections::BTreeMap;

use iotstack_local_kernel::page::Paging;
use iotstack_local_kernel::{Call, Caller, Commit, Fault, Reply, Timestamp, id, loose};
use serde_json::{Map, Value, json};

use super::aws_policies::managed;
use super::document::{check_identity, check_trust};
use super::entity::encoded;
use super::{Entity, Iam, Kind, conflict, exists, no_policy, no_such, tags};
use crate::records::Written;

/// What a new role or user needs.
pub(crate) struct NewEntity {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) path: Option<String>,
    pub(crate) trust: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) longest_session_seconds: Option<i64>,
    pub(crate) boundary: Option<String>,
    pub(crate) tags: Vec<(String, String)>,
}

impl Iam {
    pub(super) fn create_role(&self, call: Call) -> Written {
        let input = &call.input;
        let (entity, commit) = self.add(NewEntity {
            kind: Kind::Role,
            name: loose::required(input, "RoleName")?,
            path: loose::text(input, "Path")?,
            trust: Some(loose::required(input, "AssumeRolePolicyDocument")?),
            description: loose::text(input, "Description")?,
            longest_session_seconds: loose::integer(input, "MaxSessionDuration")?,
            boundary: loose::text(input, "PermissionsBoundary")?,
            tags: tags::given(input)?,
        })?;
        Ok((json!({"Role": entity.shown(&self.account)}).into(), commit))
    }

    pub(super) fn create_user(&self, call: Call) -> Written {
        let input = &call.input;
        let (entity, commit) = self.add(NewEntity {
            kind: Kind::User,
            name: loose::required(input, "UserName")?,
            path: loose::text(input, "Path")?,
            trust: None,
            description: None,
            longest_session_seconds: None,
            boundary: loose::text(input, "PermissionsBoundary")?,
            tags: tags::given(input)?,
        })?;
        Ok((json!({"User": entity.shown(&self.account)}).into(), commit))
    }

    /// Makes a role or a user.
    pub(crate) fn add(&self, wanted: NewEntity) -> Result<(Entity, Commit), Fault> {
        check_name(&wanted.name, 64)?;
        let path = check_path(wanted.path)?;
        if let Some(trust) = &wanted.trust {
            check_trust(trust)?;
        }
        let longest = wanted.longest_session_seconds.unwrap_or(3600);
        if !(3600..=43_200).contains(&longest) {
            let reason = format!("MaxSessionDuration must be 3600 to 43200, not {longest}");
            return Err(Fault::invalid_input(reason));
        }
        if let Some(boundary) = &wanted.boundary {
            self.check_policy_arn(boundary)?;
        }
        let prefix = if wanted.kind == Kind::Role { "AROA" } else { "AIDA" };
        let entity = Entity {
            kind: wanted.kind,
            name: wanted.name,
            path,
            id: format!("{prefix}{}", id::capitals(17)),
            created: self.clock.now(),
            description: wanted.description,
            trust: wanted.trust,
            longest_session_seconds: longest,
            inline: Default::default(),
            attached: Vec::new(),
            boundary: wanted.boundary,
            tags: wanted.tags.into_iter().collect(),
        };
        let key = entity.kind.key(&entity.name);
        let (entity, commit) = self.entities.change(|entities| {
            if entities.get(&key).is_some() {
                return Err(exists(entity.kind, &entity.name));
            }
            entities.put(&key, entity.clone());
            Ok(entity)
        })?;
        self.forget();
        Ok((entity, commit))
    }

    /// Gives a user another path. A name is what keys and policies know a user by, so that
    /// it stays.
    pub(super) fn update_user(&self, call: Call) -> Written {
        let name = loose::required(&call.input, "UserName")?;
        if loose::text(&call.input, "NewUserName")?.is_some_and(|new| new != name) {
            return Err(Fault::not_implemented("another name for a user; create another user"));
        }
        let new_path = loose::text(&call.input, "NewPath")?;
        let path = new_path.map(|path| check_path(Some(path))).transpose()?;
        let ((), commit) = self.edit(Kind::User, &name, |user| {
            user.path = path.unwrap_or(std::mem::take(&mut user.path));
            Ok(())
        })?;
        Ok((Reply::empty(), commit))
    }

    /// Changes a role or a user.
    pub(crate) fn edit<R>(
        &self,
        kind: Kind,
        name: &str,
        change: impl FnOnce(&mut Entity) -> Result<R, Fault>,
    ) -> Result<(R, Commit), Fault> {
        let key = kind.key(name);
        let changed = self.entities.change(|entities| {
            let mut entity =
                entities.get(&key).cloned().ok_or_else(|| no_such(kind.word(), name))?;
            let outcome = change(&mut entity)?;
            entities.put(&key, entity);
            Ok(outcome)
        });
        self.forget();
        changed
    }

    /// Deletes a role or a user that has nothing attached any more.
    pub(crate) fn drop_entity(&self, kind: Kind, name: &str) -> Result<Commit, Fault> {
        if self.keys.find(|key| kind == Kind::User && key.user == name).is_some() {
            return Err(conflict(format!("delete the access keys of the user `{name}` first")));
        }
        let key = kind.key(name);
        let ((), commit) = self.entities.change(|entities| {
            let entity = entities.get(&key).ok_or_else(|| no_such(kind.word(), name))?;
            let word = kind.word();
            if !entity.attached.is_empty() {
                return Err(conflict(format!("detach all policies of the {word} `{name}` first")));
            }
            if !entity.inline.is_empty() {
                return Err(conflict(format!("delete all policies of the {word} `{name}` first")));
            }
            entities.remove(&key);
            Ok(())
        })?;
        self.forget();
        Ok(commit)
    }

    /// Sets an inline policy.
    pub(crate) fn set_inline(
        &self,
        kind: Kind,
        name: &str,
        policy: &str,
        document: &str,
    ) -> Result<Commit, Fault> {
        check_name(policy, 128)?;
        check_identity(document, false)?;
        let limit = if kind == Kind::Role { 10_240 } else { 2_048 };
        let ((), commit) = self.edit(kind, name, |entity| {
            entity.inline.insert(policy.to_owned(), document.to_owned());
            let plain = |text: &String| text.chars().filter(|c| !c.is_whitespace()).count();
            let total: usize = entity.inline.values().map(plain).sum();
            if total > limit {
                let what = kind.word();
                let reason = format!(
                    "the inline policies of a {what} have {limit} characters at most, not {total}"
                );
                return Err(Fault::new("LimitExceeded", 409, reason));
            }
            Ok(())
        })?;
        Ok(commit)
    }

    /// Removes an inline policy.
    pub(crate) fn drop_inline(
        &self,
        kind: Kind,
        name: &str,
        policy: &str,
    ) -> Result<Commit, Fault> {
        let ((), commit) = self.edit(kind, name, |entity| {
            let gone = entity.inline.remove(policy);
            gone.map(drop).ok_or_else(|| no_such(kind.inline(), policy))
        })?;
        Ok(commit)
    }

    /// Attaches a managed policy; one that is attached already stays.
    pub(crate) fn attach_policy(&self, kind: Kind, name: &str, arn: &str) -> Result<Commit, Fault> {
        self.check_policy_arn(arn)?;
        let ((), commit) = self.edit(kind, name, |entity| {
            if entity.attached.iter().any(|attached| attached == arn) {
                return Ok(());
            }
            if entity.attached.len() == 20 {
                let reason = format!("the {} `{name}` has 20 policies already", kind.word());
                return Err(Fault::new("LimitExceeded", 409, reason));
            }
            entity.attached.push(arn.to_owned());
            Ok(())
        })?;
        Ok(commit)
    }

    /// Detaches a managed policy.
    pub(crate) fn detach_policy(&self, kind: Kind, name: &str, arn: &str) -> Result<Commit, Fault> {
        let ((), commit) = self.edit(kind, name, |entity| {
            let before = entity.attached.len();
            entity.attached.retain(|attached| attached != arn);
            if entity.attached.len() == before { Err(no_policy(arn)) } else { Ok(()) }
        })?;
        Ok(commit)
    }

    /// Sets who may take a role.
    pub(crate) fn set_trust(&self, name: &str, document: &str) -> Result<Commit, Fault> {
        check_trust(document)?;
        let ((), commit) = self.edit(Kind::Role, name, |role| {
            role.trust = Some(document.to_owned());
            Ok(())
        })?;
        Ok(commit)
    }

    pub(super) fn get(&self, kind: Kind, call: Call) -> Result<Reply, Fault> {
        if kind == Kind::User && loose::text(&call.input, "UserName")?.is_none() {
            return self.get_caller(&call);
        }
        let entity = self.named(kind, &call)?;
        Ok(json!({ kind.title(): entity.shown(&self.account) }).into())
    }

    /// Whoever asks without naming anybody.
    fn get_caller(&self, call: &Call) -> Result<Reply, Fault> {
        match &call.caller {
            Caller::Root => Ok(json!({"User": {
                "Path": "/",
                "UserId": self.account.id,
                "Arn": self.account.global_arn("iam", "root"),
                "CreateDate": Timestamp(0).iso8601(),
            }})
            .into()),
            Caller::Principal { arn } if arn.contains(":user/") => {
                let name = arn.rsplit('/').next().unwrap_or_default();
                let missing = || no_such(Kind::User.word(), name);
                let user = self.entity(Kind::User, name).ok_or_else(missing)?;
                Ok(json!({"User": user.shown(&self.account)}).into())
            }
            _ => Err(Fault::invalid_input(
                "Must specify userName when calling with non-User credentials",
            )),
        }
    }

    pub(super) fn list(&self, kind: Kind, call: Call) -> Result<Reply, Fault> {
        let prefix = loose::text(&call.input, "PathPrefix")?.unwrap_or_else(|| "/".to_owned());
        let mut all = self.entities.all();
        all.retain(|entity| entity.kind == kind && entity.path.starts_with(&prefix));
        let shown = |entity: &Entity| entity.listed(&self.account);
        let member = if kind == Kind::Role { "Roles" } else { "Users" };
        paged(&call.input, member, all, |entity| entity.name.clone(), shown)
    }

    pub(super) fn update_role(&self, call: Call) -> Written {
        let name = loose::required(&call.input, "RoleName")?;
        let description = loose::text(&call.input, "Description")?;
        let longest = loose::integer(&call.input, "MaxSessionDuration")?;
        if let Some(longest) = longest.filter(|longest| !(3600..=43_200).contains(longest)) {
            let reason = format!("MaxSessionDuration must be 3600 to 43200, not {longest}");
            return Err(Fault::invalid_input(reason));
        }
        let (role, commit) = self.edit(Kind::Role, &name, |role| {
            role.description = description.or(role.description.take());
            role.longest_session_seconds = longest.unwrap_or(role.longest_session_seconds);
            Ok(role.shown(&self.account))
        })?;
        // The older of the two operations shows the role, the newer one nothing.
        let shown = call.operation == "UpdateRoleDescription";
        Ok((if shown { json!({"Role": role}).into() } else { Reply::empty() }, commit))
    }

    pub(super) fn update_trust(&self, call: Call) -> Written {
        let name = loose::required(&call.input, "RoleName")?;
        let document = loose::required(&call.input, "PolicyDocument")?;
        Ok((Reply::empty(), self.set_trust(&name, &document)?))
    }

    pub(super) fn delete(&self, kind: Kind, call: Call) -> Written {
        let name = loose::required(&call.input, kind.member())?;
        Ok((Reply::empty(), self.drop_entity(kind, &name)?))
    }

    pub(super) fn put_inline(&self, kind: Kind, call: Call) -> Written {
        let name = loose::required(&call.input, kind.member())?;
        let policy = loose::required(&call.input, "PolicyName")?;
        let document = loose::required(&call.input, "PolicyDocument")?;
        Ok((Reply::empty(), self.set_inline(kind, &name, &policy, &document)?))
    }

    pub(super) fn get_inline(&self, kind: Kind, call: Call) -> Result<Reply, Fault> {
        let entity = self.named(kind, &call)?;
        let policy = loose::required(&call.input, "PolicyName")?;
        let missing = || no_such(kind.inline(), &policy);
        let document = entity.inline.get(&policy).ok_or_else(missing)?;
        let mut shown = json!({"PolicyName": policy, "PolicyDocument": encoded(document)});
        shown[kind.member()] = json!(entity.name);
        Ok(shown.into())
    }

    pub(super) fn list_inline(&self, kind: Kind, call: Call) -> Result<Reply, Fault> {
        let names: Vec<String> = self.named(kind, &call)?.inline.into_keys().collect();
        paged(&call.input, "PolicyNames", names, String::clone, |name| json!(name))
    }

    pub(super) fn delete_inline(&self, kind: Kind, call: Call) -> Written {
        let name = loose::required(&call.input, kind.member())?;
        let policy = loose::required(&call.input, "PolicyName")?;
        Ok((Reply::empty(), self.drop_inline(kind, &name, &policy)?))
    }

    pub(super) fn attach(&self, kind: Kind, call: Call) -> Written {
        let name = loose::required(&call.input, kind.member())?;
        let arn = loose::required(&call.input, "PolicyArn")?;
        Ok((Reply::empty(), self.attach_policy(kind, &name, &arn)?))
    }

    pub(super) fn detach(&self, kind: Kind, call: Call) -> Written {
        let name = loose::required(&call.input, kind.member())?;
        let arn = loose::required(&call.input, "PolicyArn")?;
        Ok((Reply::empty(), self.detach_policy(kind, &name, &arn)?))
    }

    pub(super) fn list_attached(&self, kind: Kind, call: Call) -> Result<Reply, Fault> {
        let mut attached = self.named(kind, &call)?.attached;
        attached.sort();
        let shown = |arn: &String| json!({"PolicyArn": arn, "PolicyName": arn.rsplit('/').next().unwrap_or_default()});
        paged(&call.input, "AttachedPolicies", attached, String::clone, shown)
    }

    pub(super) fn put_boundary(&self, kind: Kind, call: Call) -> Written {
        let name = loose::required(&call.input, kind.member())?;
        let arn = loose::required(&call.input, "PermissionsBoundary")?;
        self.check_policy_arn(&arn)?;
        let ((), commit) = self.edit(kind, &name, |entity| {
            entity.boundary = Some(arn);
            Ok(())
        })?;
        Ok((Reply::empty(), commit))
    }

    pub(super) fn delete_boundary(&self, kind: Kind, call: Call) -> Written {
        let name = loose::required(&call.input, kind.member())?;
        let ((), commit) = self.edit(kind, &name, |entity| {
            entity.boundary = None;
            Ok(())
        })?;
        Ok((Reply::empty(), commit))
    }

    pub(super) fn tag(&self, kind: Kind, call: Call) -> Written {
        let name = loose::required(&call.input, kind.member())?;
        let more = tags::given(&call.input)?;
        let ((), commit) = self.edit(kind, &name, |entity| tags::add(&mut entity.tags, more))?;
        Ok((Reply::empty(), commit))
    }

    pub(super) fn untag(&self, kind: Kind, call: Call) -> Written {
        let name = loose::required(&call.input, kind.member())?;
        let keys = tags::named(&call.input)?;
        let ((), commit) = self.edit(kind, &name, |entity| {
            tags::remove(&mut entity.tags, &keys);
            Ok(())
        })?;
        Ok((Reply::empty(), commit))
    }

    pub(super) fn list_tags(&self, kind: Kind, call: Call) -> Result<Reply, Fault> {
        let entity = self.named(kind, &call)?;
        tags_page(&call.input, entity.tags)
    }

    pub(super) fn no_profiles(&self, call: Call) -> Result<Reply, Fault> {
        self.named(Kind::Role, &call)?;
        Ok(json!({"InstanceProfiles": [], "IsTruncated": false}).into())
    }

    pub(super) fn no_aliases(&self, _: Call) -> Result<Reply, Fault> {
        Ok(json!({"AccountAliases": [], "IsTruncated": false}).into())
    }

    /// The identity that a call names.
    fn named(&self, kind: Kind, call: &Call) -> Result<Entity, Fault> {
        let name = loose::required(&call.input, kind.member())?;
        self.entity(kind, &name).ok_or_else(|| no_such(kind.word(), &name))
    }

    fn check_policy_arn(&self, arn: &str) -> Result<(), Fault> {
        if managed(arn).is_some() || self.policies.get(arn).is_some() {
            return Ok(());
        }
        if arn.contains(":iam::aws:policy/") {
            let reason = format!("the local cloud does not know AWS's policy `{arn}`");
            return Err(Fault::new("NoSuchEntity", 404, reason));
        }
        let reason = format!("Policy {arn} does not exist or is not attachable.");
        Err(Fault::new("NoSuchEntity", 404, reason))
    }

    /// The moment, for records.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// Names of roles, users and policies.
pub(super) fn check_name(name: &str, longest: usize) -> Result<(), Fault> {
    let accepted = |c: char| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c);
    if name.is_empty() || name.len() > longest || !name.chars().all(accepted) {
        let wanted = format!("1 to {longest} letters, digits and `+=,.@_-`");
        return Err(Fault::invalid_input(format!("`{name}` is no name: {wanted} are accepted")));
    }
    Ok(())
}

/// Paths begin and end with a slash.
pub(super) fn check_path(path: Option<String>) -> Result<String, Fault> {
    let path = path.unwrap_or_else(|| "/".to_owned());
    let plain = path.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
    if !path.starts_with('/') || !path.ends_with('/') || path.len() > 512 || !plain {
        let reason = "The specified value for path is invalid. It must begin and end with / and \
                      contain only alphanumeric characters and/or / characters.";
        return Err(Fault::invalid_input(reason));
    }
    Ok(path)
}

/// A page of tags.
pub(super) fn tags_page(
    input: &Map<String, Value>,
    tags: BTreeMap<String, String>,
) -> Result<Reply, Fault> {
    let shown = |(key, value): &(String, String)| json!({"Key": key, "Value": value});
    paged(input, "Tags", tags.into_iter().collect(), |(key, _)| key.clone(), shown)
}

/// A page of a list, as IAM's operations give it.
pub(super) fn paged<T>(
    input: &Map<String, Value>,
    member: &str,
    items: Vec<T>,
    key: impl Fn(&T) -> String,
    shown: impl Fn(&T) -> Value,
) -> Result<Reply, Fault> {
    let paging = Paging { limit: "MaxItems", token: "Marker", default: 100, most: 1000 };
    let (items, next) = paging.cut(input, items, key)?;
    let items: Vec<Value> = items.iter().map(shown).collect();
    let mut reply = json!({"IsTruncated": next.is_some(), "Marker": next});
    reply[member] = Value::Array(items);
    Ok(reply.into())
}
