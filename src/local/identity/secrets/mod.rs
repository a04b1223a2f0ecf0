//! Secrets Manager: secrets with versions and stages.
//!
//! Real: create, read, replace, deletion with a recovery window on the cloud's
//! clock, restoration, versions with AWSCURRENT and AWSPREVIOUS and stages of
//! one's own, idempotency by token, tags, filters, random passwords.
//!
//! Values lie in the store alone, which its owner alone can read; they are not
//! encrypted with the KMS key that is named. Not offered: rotation, replication
//! to other regions, effects of resource policies.

mod batch;
mod filter;
mod password;
mod policy;
pub(crate) mod resources;
mod secret;
#[cfg(test)]
mod tests;
mod versions;

use std::sync::{Arc, Weak};
use std::time::Duration;

use iotstack_local_kernel::page::Paging;
use iotstack_local_kernel::ports::Secrets as SecretsPort;
use iotstack_local_kernel::{
    Account, Call, Clock, Cloud, Commit, Fault, Operation, Operations, Protocol, Reply, Service,
    StoreError, Timestamp, id, loose,
};
use serde_json::{Map, Value, json};

use crate::records::{Records, Written};
use crate::wire::{Tags, add_tags, moment};
use filter::{Filter, Order};
use secret::Secret;
use versions::Content;

/// Secrets Manager.
pub(crate) struct Secrets {
    account: Account,
    clock: Clock,
    secrets: Records<Secret>,
    cloud: Weak<Cloud>,
}

impl Secrets {
    pub(crate) fn restore(cloud: &Arc<Cloud>) -> Result<Self, StoreError> {
        Ok(Secrets {
            cloud: Arc::downgrade(cloud),
            account: cloud.account.clone(),
            clock: cloud.clock.clone(),
            secrets: Records::restore(&cloud.store, "secrets")?,
        })
    }

    /// Makes a secret, with a value or without.
    fn add(&self, input: &Map<String, Value>) -> Result<(Secret, Option<String>, Commit), Fault> {
        let name = loose::required(input, "Name")?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "/_+=.@-".contains(c);
        if name.len() > 512 || !name.chars().all(plain) {
            let accepted = "1 to 512 letters, digits and `/_+=.@-`";
            let reason = format!("`{name}` is no name of a secret: {accepted} are accepted");
            return Err(Fault::new("ValidationException", 400, reason));
        }
        if !loose::list(input, "AddReplicaRegions")?.is_empty() {
            return Err(Fault::not_implemented("secrets in several regions"));
        }
        let content = Content::read(input)?;
        let token = loose::text(input, "ClientRequestToken")?.unwrap_or_else(id::uuid);
        let mut tags = Tags::new();
        add_tags(&mut tags, loose::pairs(input, "Tags", ("Key", "Value"))?).map_err(parameter)?;
        let now = self.clock.now();
        let mut secret = Secret {
            arn: self.arn(&name),
            name: name.clone(),
            description: loose::text(input, "Description")?,
            kms_key_id: loose::text(input, "KmsKeyId")?,
            created: now,
            changed: now,
            accessed: None,
            deleted: None,
            versions: Vec::new(),
            policy: None,
            tagged: !tags.is_empty(),
            tags,
        };
        let version = match content {
            Some(content) => Some(secret.put(token.clone(), content, &[], now)?),
            None => None,
        };
        let (secret, commit) = self.secrets.change(|secrets| {
            if let Some(kept) = secrets.get(&name)
                && !kept.is_gone(now)
            {
                // The same request once more is the same secret.
                if kept.versions.iter().any(|kept| kept.id == token)
                    && kept.value(Some(&token), None).ok().map(|version| &version.content)
                        == secret.value(Some(&token), None).ok().map(|version| &version.content)
                {
                    return Ok(kept.clone());
                }
                if kept.deleted.is_some() {
                    let reason = "You can't create this secret because a secret with this name \
                                  is already scheduled for deletion.";
                    return Err(Fault::new("InvalidRequestException", 400, reason));
                }
                if kept.versions.iter().any(|kept| kept.id == token) {
                    return Err(kept.in_use(&token));
                }
                let reason =
                    format!("The operation failed because the secret {name} already exists.");
                return Err(Fault::new("ResourceExistsException", 400, reason));
            }
            secrets.put(&name, secret.clone());
            Ok(secret)
        })?;
        Ok((secret, version, commit))
    }

    /// An ARN for a secret of a name, unlike any other.
    fn arn(&self, name: &str) -> String {
        self.account.arn("secretsmanager", format!("secret:{name}-{}", tail()))
    }

    /// The secret of a name, an ARN, or an ARN without its random end.
    fn named(&self, wanted: &str) -> Result<Secret, Fault> {
        let now = self.clock.now();
        let by_name = self.secrets.get(wanted);
        let found = by_name.or_else(|| {
            let is = |secret: &Secret| {
                secret.arn == wanted
                    || secret.arn.rsplit_once('-').map(|(head, _)| head) == Some(wanted)
            };
            self.secrets.find(is)
        });
        found.filter(|secret| !secret.is_gone(now)).ok_or_else(no_secret)
    }

    fn called(&self, call: &Call) -> Result<Secret, Fault> {
        self.named(&loose::required(&call.input, "SecretId")?)
    }

    /// A secret that is not on its way out.
    fn living(&self, wanted: &str) -> Result<Secret, Fault> {
        let secret = self.named(wanted)?;
        match secret.deleted {
            None => Ok(secret),
            Some(_) => Err(secret.marked()),
        }
    }

    fn called_living(&self, call: &Call) -> Result<Secret, Fault> {
        self.living(&loose::required(&call.input, "SecretId")?)
    }

    /// Changes a secret.
    fn edit<R>(
        &self,
        name: &str,
        change: impl FnOnce(&mut Secret) -> Result<R, Fault>,
    ) -> Result<(R, Commit), Fault> {
        self.secrets.change(|secrets| {
            let mut secret = secrets.get(name).cloned().ok_or_else(no_secret)?;
            let outcome = change(&mut secret)?;
            secrets.put(name, secret);
            Ok(outcome)
        })
    }

    fn create(&self, call: Call) -> Written {
        let (secret, version, commit) = self.add(&call.input)?;
        let mut reply = secret.short();
        if let Some(version) = version {
            reply["VersionId"] = json!(version);
        }
        Ok((reply.into(), commit))
    }

    fn get_value(&self, call: Call) -> Written {
        let secret = self.called_living(&call)?;
        let input = &call.input;
        let version = loose::text(input, "VersionId")?;
        let stage = loose::text(input, "VersionStage")?;
        let shown = secret.value(version.as_deref(), stage.as_deref())?.shown();
        let mut reply = secret.short();
        merge(&mut reply, shown);
        Ok((reply.into(), self.note_access(&[secret])?))
    }

    /// Notes that secrets were read. The day is all that is told; not every read is stored.
    fn note_access(&self, read: &[Secret]) -> Result<Commit, Fault> {
        let now = self.clock.now();
        let today = |at: Timestamp| at.seconds() / 86_400 == now.seconds() / 86_400;
        let ((), commit) = self.secrets.change(|secrets| {
            for secret in read.iter().filter(|secret| !secret.accessed.is_some_and(today)) {
                if let Some(mut kept) = secrets.get(&secret.name).cloned() {
                    kept.accessed = Some(now);
                    secrets.put(&secret.name, kept);
                }
            }
            Ok(())
        })?;
        Ok(commit)
    }

    fn put_value(&self, call: Call) -> Written {
        let content = Content::read(&call.input)?.ok_or_else(|| {
            let reason = "You must provide either SecretString or SecretBinary.";
            Fault::new("InvalidRequestException", 400, reason)
        })?;
        let secret = self.called_living(&call)?;
        let token = loose::text(&call.input, "ClientRequestToken")?.unwrap_or_else(id::uuid);
        let stages = loose::texts(&call.input, "VersionStages")?;
        let now = self.clock.now();
        let (shown, commit) = self.edit(&secret.name, |secret| {
            let version = secret.put(token, content, &stages, now)?;
            let mut shown = secret.short();
            shown["VersionId"] = json!(version);
            shown["VersionStages"] = json!(secret.value(Some(&version), None)?.stages);
            Ok(shown)
        })?;
        Ok((shown.into(), commit))
    }

    fn update(&self, call: Call) -> Written {
        let input = &call.input;
        let secret = self.called_living(&call)?;
        let content = Content::read(input)?;
        let token = loose::text(input, "ClientRequestToken")?.unwrap_or_else(id::uuid);
        let description = loose::text(input, "Description")?;
        let key = loose::text(input, "KmsKeyId")?;
        let now = self.clock.now();
        let (shown, commit) = self.edit(&secret.name, |secret| {
            let mut shown = secret.short();
            if let Some(content) = content {
                shown["VersionId"] = json!(secret.put(token, content, &[], now)?);
            }
            secret.description = description.or(secret.description.take());
            secret.kms_key_id = key.or(secret.kms_key_id.take());
            secret.changed = now;
            Ok(shown)
        })?;
        Ok((shown.into(), commit))
    }

    fn delete(&self, call: Call) -> Written {
        let input = &call.input;
        let wanted = loose::required(input, "SecretId")?;
        let force = loose::flag(input, "ForceDeleteWithoutRecovery")?.unwrap_or(false);
        let window = loose::integer(input, "RecoveryWindowInDays")?;
        let days = window.unwrap_or(30);
        if !(7..=30).contains(&days) {
            let reason =
                "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).";
            return Err(Fault::new("InvalidParameterException", 400, reason));
        }
        if force && window.is_some() {
            let reason = "ForceDeleteWithoutRecovery and RecoveryWindowInDays exclude each other";
            return Err(Fault::new("InvalidParameterException", 400, reason));
        }
        let now = self.clock.now();
        let secret = match self.named(&wanted) {
            // Whoever deletes by force wants it gone, and gone it is.
            Err(fault) if force && fault.code == "ResourceNotFoundException" => {
                let arn =
                    if wanted.starts_with("arn:") { wanted.clone() } else { self.arn(&wanted) };
                let reply = json!({"ARN": arn, "Name": wanted, "DeletionDate": moment(now)});
                return Ok((reply.into(), self.erase(&wanted)?));
            }
            found => found?,
        };
        if force {
            let mut reply = secret.short();
            reply["DeletionDate"] = moment(now);
            return Ok((reply.into(), self.erase(&secret.name)?));
        }
        if secret.deleted.is_some() {
            return Err(secret.marked());
        }
        let end = now.after(Duration::from_secs(days.unsigned_abs() * 86_400));
        let (mut reply, commit) = self.edit(&secret.name, |secret| {
            secret.deleted = Some((now, end));
            Ok(secret.short())
        })?;
        reply["DeletionDate"] = moment(end);
        Ok((reply.into(), commit))
    }

    /// Deletes a secret at once.
    fn erase(&self, name: &str) -> Result<Commit, Fault> {
        let ((), commit) = self.secrets.change(|secrets| {
            secrets.remove(name);
            Ok(())
        })?;
        Ok(commit)
    }

    fn restore_secret(&self, call: Call) -> Written {
        let secret = self.called(&call)?;
        let (reply, commit) = self.edit(&secret.name, |secret| {
            secret.deleted = None;
            Ok(secret.short())
        })?;
        Ok((reply.into(), commit))
    }

    fn describe(&self, call: Call) -> Result<Reply, Fault> {
        let secret = self.called(&call)?;
        let mut shown = secret.described();
        if !secret.versions.is_empty() {
            shown["VersionIdsToStages"] = secret.stages();
        }
        Ok(shown.into())
    }

    fn list(&self, call: Call) -> Result<Reply, Fault> {
        let input = &call.input;
        let deleted = loose::flag(input, "IncludePlannedDeletion")?.unwrap_or(false);
        let filters = Filter::read_all(input)?;
        let mut all = self.listed(&filters, deleted);
        let order = Order::read(input)?;
        all.sort_by_cached_key(|secret| order.key(secret));
        let (items, next) = PAGING.cut(input, all, |secret| order.key(secret))?;
        let list: Vec<Value> = items
            .iter()
            .map(|secret| {
                let mut shown = secret.described();
                if !secret.versions.is_empty() {
                    shown["SecretVersionsToStages"] = secret.stages();
                }
                shown
            })
            .collect();
        let mut reply = json!({ "SecretList": list });
        if let Some(next) = next {
            reply["NextToken"] = json!(next);
        }
        Ok(reply.into())
    }

    /// The secrets that fit filters, by their names.
    fn listed(&self, filters: &[Filter], deleted: bool) -> Vec<Secret> {
        let now = self.clock.now();
        let mut all = self.secrets.all();
        all.retain(|secret| {
            !secret.is_gone(now)
                && (deleted || secret.deleted.is_none())
                && filters.iter().all(|filter| filter.fits(secret))
        });
        all
    }

    fn list_versions(&self, call: Call) -> Result<Reply, Fault> {
        let secret = self.called(&call)?;
        let all = loose::flag(&call.input, "IncludeDeprecated")?.unwrap_or(false);
        let shown = secret.versions.iter().filter(|version| all || !version.stages.is_empty());
        let versions: Vec<Value> = shown
            .map(|version| {
                json!({
                    "VersionId": version.id,
                    "VersionStages": version.stages,
                    "CreatedDate": moment(version.created),
                })
            })
            .collect();
        let mut reply = secret.short();
        reply["Versions"] = json!(versions);
        Ok(reply.into())
    }

    fn move_stage(&self, call: Call) -> Written {
        let input = &call.input;
        let secret = self.called_living(&call)?;
        let stage = loose::required(input, "VersionStage")?;
        let from = loose::text(input, "RemoveFromVersionId")?;
        let to = loose::text(input, "MoveToVersionId")?;
        let (reply, commit) = self.edit(&secret.name, |secret| {
            secret.move_stage(&stage, from.as_deref(), to.as_deref())?;
            Ok(secret.short())
        })?;
        Ok((reply.into(), commit))
    }

    fn tag(&self, call: Call) -> Written {
        let secret = self.called(&call)?;
        let tags = loose::pairs(&call.input, "Tags", ("Key", "Value"))?;
        let ((), commit) = self.edit(&secret.name, |secret| {
            add_tags(&mut secret.tags, tags).map_err(parameter)?;
            secret.tagged |= !secret.tags.is_empty();
            Ok(())
        })?;
        Ok((Reply::empty(), commit))
    }

    fn untag(&self, call: Call) -> Written {
        let secret = self.called(&call)?;
        let keys = loose::texts(&call.input, "TagKeys")?;
        let ((), commit) = self.edit(&secret.name, |secret| {
            secret.tags.retain(|key, _| !keys.contains(key));
            Ok(())
        })?;
        Ok((Reply::empty(), commit))
    }

    fn random_password(&self, call: Call) -> Result<Reply, Fault> {
        let wanted = password::Wanted::read(&call.input)?;
        Ok(json!({"RandomPassword": wanted.make()?}).into())
    }
}

impl SecretsPort for Secrets {
    fn value(&self, secret: &str) -> Result<String, Fault> {
        let secret = self.living(secret)?;
        match &secret.value(None, None)?.content {
            Content::Text(text) => Ok(text.clone()),
            Content::Bytes(_) => {
                let reason = format!("the secret `{}` holds bytes and no text", secret.name);
                Err(Fault::new("InvalidRequestException", 400, reason))
            }
        }
    }
}

impl Service for Secrets {
    fn scopes(&self) -> &'static [&'static str] {
        &["secretsmanager"]
    }

    fn protocols(&self) -> &'static [Protocol] {
        &[Protocol::AwsJson { version: "1.1", target: "secretsmanager" }]
    }

    fn invalid_input(&self) -> &'static str {
        "InvalidParameterException"
    }

    fn operations(self: Arc<Self>) -> Vec<Operation> {
        Operations::of(self)
            .named_stored("CreateSecret", Secrets::create)
            .named_stored("GetSecretValue", Secrets::get_value)
            .named_stored("BatchGetSecretValue", Secrets::get_values)
            .named_stored("PutSecretValue", Secrets::put_value)
            .named_stored("UpdateSecret", Secrets::update)
            .named_stored("DeleteSecret", Secrets::delete)
            .named_stored("RestoreSecret", Secrets::restore_secret)
            .named("DescribeSecret", Secrets::describe)
            .named("ListSecrets", Secrets::list)
            .named("ListSecretVersionIds", Secrets::list_versions)
            .named_stored("UpdateSecretVersionStage", Secrets::move_stage)
            .named_stored("TagResource", Secrets::tag)
            .named_stored("UntagResource", Secrets::untag)
            .named("GetResourcePolicy", Secrets::get_policy)
            .named_stored("PutResourcePolicy", Secrets::put_policy)
            .named_stored("DeleteResourcePolicy", Secrets::delete_policy)
            .named("GetRandomPassword", Secrets::random_password)
            .list()
    }

    fn refused(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("CancelRotateSecret", "nothing is rotated"),
            ("ReplicateSecretToRegions", "there is one region"),
            ("RotateSecret", "nothing is rotated"),
        ]
    }
}

/// Six characters that make an ARN unlike that of an earlier secret of the name.
fn tail() -> String {
    let mut tail = id::capitals(6);
    // AWS mixes the cases.
    if let Some(first) = tail.get_mut(..3) {
        first.make_ascii_lowercase();
    }
    tail
}

fn no_secret() -> Fault {
    let reason = "Secrets Manager can't find the specified secret.";
    Fault::new("ResourceNotFoundException", 400, reason)
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}

/// Secrets Manager's own code for bad tags.
fn parameter(fault: Fault) -> Fault {
    Fault::new("InvalidParameterException", 400, fault.message)
}

const PAGING: Paging = Paging { limit: "MaxResults", token: "NextToken", default: 100, most: 100 };
