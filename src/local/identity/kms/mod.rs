//! KMS: symmetric keys that encrypt and decrypt, with aliases.
//!
//! Real: AES-256-GCM with the encryption context as additional data, data keys,
//! aliases, switching off and on, deletion after a waiting period on the cloud's
//! clock, tags, the keys that AWS manages for its services (`alias/aws/…`, made
//! when first used).
//!
//! Stored without effect: key policies and rotation. Not offered: asymmetric and
//! HMAC keys with signing, imported material, grants, keys in several regions.

mod cipher;
mod key;
mod operations;
pub(crate) mod resources;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use iotstack_local_kernel::page::Paging;
use iotstack_local_kernel::{
    Account, Call, Clock, Cloud, Commit, Fault, Operation, Operations, Protocol, Reply, Service,
    StoreError, id, loose,
};
use rand::Rng;
use serde_json::{Map, Value, json};

use crate::records::{Records, Written};
use crate::wire::{add_tags, moment, tag_list};
use key::{Alias, Key, State};

/// KMS.
pub(crate) struct Kms {
    account: Account,
    clock: Clock,
    keys: Records<Key>,
    aliases: Records<Alias>,
}

/// What an encryption is bound to.
pub(crate) type Context = BTreeMap<String, String>;

impl Kms {
    pub(crate) fn restore(cloud: &Cloud) -> Result<Self, StoreError> {
        Ok(Kms {
            account: cloud.account.clone(),
            clock: cloud.clock.clone(),
            keys: Records::restore(&cloud.store, "kms_keys")?,
            aliases: Records::restore(&cloud.store, "kms_aliases")?,
        })
    }

    /// Encrypts with a key (id, ARN, alias).
    pub(crate) fn seal(
        &self,
        key: &str,
        plain: &[u8],
        context: &Context,
    ) -> Result<Vec<u8>, Fault> {
        let key = self.usable(key)?;
        cipher::seal(&key.id, &key.material, plain, context)
    }

    /// Whether a key is there and may be used.
    pub(crate) fn check_usable(&self, key: &str) -> Result<(), Fault> {
        self.usable(key).map(drop)
    }

    /// Makes a key.
    fn add(&self, wanted: key::NewKey) -> Result<(Key, Commit), Fault> {
        let key = Key::new(wanted, self.clock.now(), &self.account)?;
        self.keys.change(|keys| {
            keys.put(&key.id, key.clone());
            Ok(key)
        })
    }

    /// A key by its id, ARN, alias, or alias's ARN.
    fn named(&self, wanted: &str) -> Result<Key, Fault> {
        let missing = || no_key(wanted);
        let name = local_part(wanted);
        let id = match name.strip_prefix("key/") {
            Some(id) => id.to_owned(),
            None if name.starts_with("alias/aws/") => self.managed(name)?,
            None if name.starts_with("alias/") => {
                self.aliases.get(name).ok_or_else(|| self.no_alias(name))?.target
            }
            None => name.to_owned(),
        };
        let now = self.clock.now();
        self.keys.get(&id).filter(|key| !key.is_gone(now)).ok_or_else(missing)
    }

    /// The key that AWS manages for a service, made when it is first asked for.
    fn managed(&self, alias: &str) -> Result<String, Fault> {
        if let Some(known) = self.aliases.get(alias) {
            return Ok(known.target);
        }
        let service = alias.trim_start_matches("alias/aws/");
        let wanted = key::NewKey {
            description: Some(format!("Default key that protects data of {service}")),
            managed: true,
            ..key::NewKey::default()
        };
        // Made again after a crash that forgets it; nothing was encrypted with it then.
        let (key, earlier) = self.add(wanted)?;
        drop(earlier);
        let now = self.clock.now();
        let alias =
            Alias { name: alias.to_owned(), target: key.id.clone(), created: now, changed: now };
        let (target, commit) = self.aliases.change(|aliases| {
            if let Some(known) = aliases.get(&alias.name) {
                return Ok(known.target.clone());
            }
            aliases.put(&alias.name, alias.clone());
            Ok(alias.target)
        })?;
        drop(commit);
        Ok(target)
    }

    fn usable(&self, wanted: &str) -> Result<Key, Fault> {
        let key = self.named(wanted)?;
        match key.state {
            State::Enabled => Ok(key),
            State::Disabled => {
                let reason = format!("the key {} is disabled", key.arn);
                Err(Fault::new("DisabledException", 400, reason))
            }
            State::PendingDeletion { .. } => Err(pending(&key)),
        }
    }

    /// The key that a call manages, by its id or ARN: aliases are for those who use keys.
    fn called(&self, call: &Call) -> Result<Key, Fault> {
        let wanted = loose::required(&call.input, "KeyId")?;
        if local_part(&wanted).starts_with("alias/") {
            return Err(no_key(&wanted));
        }
        self.named(&wanted)
    }

    /// Changes a key that is not about to go.
    fn edit<R>(
        &self,
        id: &str,
        change: impl FnOnce(&mut Key) -> Result<R, Fault>,
    ) -> Result<(R, Commit), Fault> {
        self.keys.change(|keys| {
            let mut key = keys.get(id).cloned().ok_or_else(|| no_key(id))?;
            let outcome = change(&mut key)?;
            keys.put(id, key);
            Ok(outcome)
        })
    }

    fn create(&self, call: Call) -> Written {
        let (key, commit) = self.add(key::NewKey::read(&call.input)?)?;
        Ok((json!({"KeyMetadata": key.shown(&self.account)}).into(), commit))
    }

    fn describe(&self, call: Call) -> Result<Reply, Fault> {
        let key = self.named(&loose::required(&call.input, "KeyId")?)?;
        Ok(json!({"KeyMetadata": key.shown(&self.account)}).into())
    }

    fn list(&self, call: Call) -> Result<Reply, Fault> {
        let now = self.clock.now();
        let mut keys = self.keys.all();
        keys.retain(|key| !key.is_gone(now));
        let shown = |key: &Key| json!({"KeyId": key.id, "KeyArn": key.arn});
        paged(&call.input, "Keys", keys, |key| key.id.clone(), shown)
    }

    fn switch(&self, call: Call, state: State) -> Written {
        let key = self.called(&call)?;
        let ((), commit) = self.edit(&key.id, |key| {
            if let State::PendingDeletion { .. } = key.state {
                return Err(pending(key));
            }
            key.state = state;
            Ok(())
        })?;
        Ok((Reply::empty(), commit))
    }

    /// Lets a key wait for its end.
    fn schedule(&self, id: &str, days: i64) -> Result<(Value, Commit), Fault> {
        if !(7..=30).contains(&days) {
            let reason = format!("PendingWindowInDays must be 7 to 30, not {days}");
            return Err(Fault::new("ValidationException", 400, reason));
        }
        let end = self.clock.now().after(Duration::from_secs(days.unsigned_abs() * 86_400));
        self.edit(id, |key| {
            if key.managed {
                let reason = "keys that AWS manages cannot be deleted";
                return Err(Fault::new("KMSInvalidStateException", 400, reason));
            }
            if let State::PendingDeletion { .. } = key.state {
                return Err(pending(key));
            }
            key.state = State::PendingDeletion { end };
            Ok(json!({
                "KeyId": key.arn,
                "DeletionDate": moment(end),
                "KeyState": "PendingDeletion",
                "PendingWindowInDays": days,
            }))
        })
    }

    fn schedule_deletion(&self, call: Call) -> Written {
        let key = self.called(&call)?;
        let days = loose::integer(&call.input, "PendingWindowInDays")?.unwrap_or(30);
        let (reply, commit) = self.schedule(&key.id, days)?;
        Ok((reply.into(), commit))
    }

    fn cancel_deletion(&self, call: Call) -> Written {
        let key = self.called(&call)?;
        let (reply, commit) = self.edit(&key.id, |key| {
            if !matches!(key.state, State::PendingDeletion { .. }) {
                let reason = format!("the key {} is not about to be deleted", key.arn);
                return Err(Fault::new("KMSInvalidStateException", 400, reason));
            }
            key.state = State::Disabled;
            Ok(json!({"KeyId": key.arn}))
        })?;
        Ok((reply.into(), commit))
    }

    fn update_description(&self, call: Call) -> Written {
        let key = self.called(&call)?;
        let description = loose::text(&call.input, "Description")?.unwrap_or_default();
        let ((), commit) = self.edit(&key.id, |key| {
            key.description = description;
            Ok(())
        })?;
        Ok((Reply::empty(), commit))
    }

    fn get_policy(&self, call: Call) -> Result<Reply, Fault> {
        let key = self.called(&call)?;
        Ok(json!({"Policy": key.policy, "PolicyName": "default"}).into())
    }

    fn put_policy(&self, call: Call) -> Written {
        let key = self.called(&call)?;
        let policy = loose::required(&call.input, "Policy")?;
        key::check_policy(&policy)?;
        let ((), commit) = self.edit(&key.id, |key| {
            key.policy = policy;
            Ok(())
        })?;
        Ok((Reply::empty(), commit))
    }

    fn list_policies(&self, call: Call) -> Result<Reply, Fault> {
        self.called(&call)?;
        Ok(json!({"PolicyNames": ["default"], "Truncated": false}).into())
    }

    fn rotate(&self, call: Call, on: bool) -> Written {
        let key = self.called(&call)?;
        let days = key::rotation_days(&call.input)?;
        let ((), commit) = self.edit(&key.id, |key| {
            if let State::PendingDeletion { .. } = key.state {
                return Err(pending(key));
            }
            key.rotation_days = on.then_some(days);
            Ok(())
        })?;
        Ok((Reply::empty(), commit))
    }

    fn rotation(&self, call: Call) -> Result<Reply, Fault> {
        let key = self.called(&call)?;
        let mut shown =
            json!({"KeyId": key.arn, "KeyRotationEnabled": key.rotation_days.is_some()});
        if let Some(days) = key.rotation_days {
            shown["RotationPeriodInDays"] = json!(days);
        }
        Ok(shown.into())
    }

    /// Gives a key another name.
    fn add_alias(&self, name: &str, target: &str) -> Result<Commit, Fault> {
        key::check_alias(name)?;
        let target = self.target(target)?;
        let now = self.clock.now();
        let ((), commit) = self.aliases.change(|aliases| {
            if aliases.get(name).is_some() {
                let arn = self.account.arn("kms", name);
                let reason = format!("An alias with the name {arn} already exists");
                return Err(Fault::new("AlreadyExistsException", 400, reason));
            }
            let alias = Alias { name: name.to_owned(), target, created: now, changed: now };
            aliases.put(name, alias);
            Ok(())
        })?;
        Ok(commit)
    }

    /// Lets an alias name another key.
    fn move_alias(&self, name: &str, target: &str) -> Result<Commit, Fault> {
        key::check_alias(name)?;
        let target = self.target(target)?;
        let now = self.clock.now();
        let ((), commit) = self.aliases.change(|aliases| {
            let mut alias = aliases.get(name).cloned().ok_or_else(|| self.no_alias(name))?;
            alias.target = target;
            alias.changed = now;
            aliases.put(name, alias);
            Ok(())
        })?;
        Ok(commit)
    }

    fn drop_alias(&self, name: &str) -> Result<Commit, Fault> {
        key::check_alias(name)?;
        let ((), commit) = self
            .aliases
            .change(|aliases| aliases.remove(name).map(drop).ok_or_else(|| self.no_alias(name)))?;
        Ok(commit)
    }

    /// The id of the key that an alias shall name.
    fn target(&self, wanted: &str) -> Result<String, Fault> {
        if local_part(wanted).starts_with("alias/") {
            let reason = "Aliases must refer to keys. Not aliases";
            return Err(Fault::new("ValidationException", 400, reason));
        }
        Ok(self.named(wanted)?.id)
    }

    fn no_alias(&self, name: &str) -> Fault {
        let reason = format!("Alias {} is not found.", self.account.arn("kms", name));
        Fault::new("NotFoundException", 400, reason)
    }

    fn create_alias(&self, call: Call) -> Written {
        let name = loose::required(&call.input, "AliasName")?;
        let target = loose::required(&call.input, "TargetKeyId")?;
        Ok((Reply::empty(), self.add_alias(&name, &target)?))
    }

    fn update_alias(&self, call: Call) -> Written {
        let name = loose::required(&call.input, "AliasName")?;
        let target = loose::required(&call.input, "TargetKeyId")?;
        Ok((Reply::empty(), self.move_alias(&name, &target)?))
    }

    fn delete_alias(&self, call: Call) -> Written {
        let name = loose::required(&call.input, "AliasName")?;
        Ok((Reply::empty(), self.drop_alias(&name)?))
    }

    fn list_aliases(&self, call: Call) -> Result<Reply, Fault> {
        let target = loose::text(&call.input, "KeyId")?.map(|key| self.named(&key)).transpose()?;
        let mut aliases = self.aliases.all();
        aliases.retain(|alias| target.as_ref().is_none_or(|key| alias.target == key.id));
        let shown = |alias: &Alias| alias.shown(&self.account);
        paged(&call.input, "Aliases", aliases, |alias| alias.name.clone(), shown)
    }

    fn tag(&self, call: Call) -> Written {
        let key = self.called(&call)?;
        let tags = loose::pairs(&call.input, "Tags", ("TagKey", "TagValue"))?;
        let ((), commit) = self.edit(&key.id, |key| {
            add_tags(&mut key.tags, tags)
                .map_err(|fault| Fault::new("TagException", 400, fault.message))
        })?;
        Ok((Reply::empty(), commit))
    }

    fn untag(&self, call: Call) -> Written {
        let key = self.called(&call)?;
        let names = loose::texts(&call.input, "TagKeys")?;
        let ((), commit) = self.edit(&key.id, |key| {
            key.tags.retain(|name, _| !names.contains(name));
            Ok(())
        })?;
        Ok((Reply::empty(), commit))
    }

    fn list_tags(&self, call: Call) -> Result<Reply, Fault> {
        let key = self.called(&call)?;
        let tags = tag_list(&key.tags, ("TagKey", "TagValue"));
        Ok(json!({"Tags": tags, "Truncated": false}).into())
    }
}

impl Service for Kms {
    fn scopes(&self) -> &'static [&'static str] {
        &["kms"]
    }

    fn protocols(&self) -> &'static [Protocol] {
        &[Protocol::AwsJson { version: "1.1", target: "TrentService" }]
    }

    fn operations(self: Arc<Self>) -> Vec<Operation> {
        Operations::of(self)
            .named_stored("CreateKey", Kms::create)
            .named("DescribeKey", Kms::describe)
            .named("ListKeys", Kms::list)
            .named_stored("EnableKey", |kms: &Kms, call| kms.switch(call, State::Enabled))
            .named_stored("DisableKey", |kms: &Kms, call| kms.switch(call, State::Disabled))
            .named_stored("ScheduleKeyDeletion", Kms::schedule_deletion)
            .named_stored("CancelKeyDeletion", Kms::cancel_deletion)
            .named_stored("UpdateKeyDescription", Kms::update_description)
            .named("GetKeyPolicy", Kms::get_policy)
            .named_stored("PutKeyPolicy", Kms::put_policy)
            .named("ListKeyPolicies", Kms::list_policies)
            .named_stored("EnableKeyRotation", |kms: &Kms, call| kms.rotate(call, true))
            .named_stored("DisableKeyRotation", |kms: &Kms, call| kms.rotate(call, false))
            .named("GetKeyRotationStatus", Kms::rotation)
            .named_stored("CreateAlias", Kms::create_alias)
            .named_stored("UpdateAlias", Kms::update_alias)
            .named_stored("DeleteAlias", Kms::delete_alias)
            .named("ListAliases", Kms::list_aliases)
            .named("Encrypt", Kms::encrypt)
            .named("Decrypt", Kms::decrypt)
            .named("ReEncrypt", Kms::re_encrypt)
            .named("GenerateDataKey", Kms::data_key)
            .named("GenerateDataKeyWithoutPlaintext", Kms::data_key)
            .named("GenerateRandom", Kms::random_bytes)
            .named_stored("TagResource", Kms::tag)
            .named_stored("UntagResource", Kms::untag)
            .named("ListResourceTags", Kms::list_tags)
            .list()
    }

    fn refused(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("CreateGrant", "permissions come from IAM alone"),
            ("GenerateDataKeyPair", "there are no asymmetric keys"),
            ("GenerateMac", "there are no HMAC keys"),
            ("GetPublicKey", "there are no asymmetric keys"),
            ("ImportKeyMaterial", "keys are made here"),
            ("ListGrants", "permissions come from IAM alone"),
            ("ListKeyRotations", "nothing is rotated"),
            ("ReplicateKey", "there is one region"),
            ("RotateKeyOnDemand", "nothing is rotated"),
            ("Sign", "there are no asymmetric keys; Signer signs firmware"),
            ("Verify", "there are no asymmetric keys; Signer signs firmware"),
            ("VerifyMac", "there are no HMAC keys"),
        ]
    }
}

fn paged<T>(
    input: &Map<String, Value>,
    member: &str,
    items: Vec<T>,
    key: impl Fn(&T) -> String,
    shown: impl Fn(&T) -> Value,
) -> Result<Reply, Fault> {
    let paging = Paging { limit: "Limit", token: "Marker", default: 100, most: 1000 };
    let (items, next) = paging.cut(input, items, key)?;
    let list: Vec<Value> = items.iter().map(shown).collect();
    let mut reply = json!({ member: list, "Truncated": next.is_some() });
    if let Some(next) = next {
        reply["NextMarker"] = json!(next);
    }
    Ok(reply.into())
}

fn random(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    rand::rng().fill(bytes.as_mut_slice());
    bytes
}

fn pending(key: &Key) -> Fault {
    let reason = format!("the key {} is about to be deleted", key.arn);
    Fault::new("KMSInvalidStateException", 400, reason)
}

fn no_key(wanted: &str) -> Fault {
    Fault::new("NotFoundException", 400, format!("Invalid keyId '{wanted}'"))
}

/// What an ARN names, such as `key/…`; a name that is no ARN as it is.
fn local_part(wanted: &str) -> &str {
    match wanted.strip_prefix("arn:") {
        Some(rest) => rest.splitn(5, ':').nth(4).unwrap_or_default(),
        None => wanted,
    }
}

/// A fresh id of a key.
fn new_id() -> String {
    id::uuid()
}
