//! Keys and aliases: the records, and how the API shows them.
//!
//! A key's material never leaves this crate; no record here is `Debug`. What keys
//! are used for is in [`super::operations`].

use iotstack_local_kernel::policy::Policy;
use iotstack_local_kernel::{Account, Fault, Timestamp, loose};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{new_id, random};
use crate::wire::{Tags, add_tags, moment};

/// A key. Not `Debug`, for its material.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Key {
    pub(super) id: String,
    pub(super) arn: String,
    pub(super) material: Vec<u8>,
    pub(super) created: Timestamp,
    pub(super) description: String,
    pub(super) policy: String,
    pub(super) state: State,
    pub(super) rotation_days: Option<i64>,
    /// Whether AWS manages it for a service.
    pub(super) managed: bool,
    pub(super) tags: Tags,
}

/// Whether a key may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum State {
    Enabled,
    Disabled,
    PendingDeletion { end: Timestamp },
}

/// Another name of a key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Alias {
    /// With `alias/` in front.
    pub(super) name: String,
    pub(super) target: String,
    pub(super) created: Timestamp,
    pub(super) changed: Timestamp,
}

/// What a new key needs.
#[derive(Debug, Default)]
pub(crate) struct NewKey {
    pub(super) description: Option<String>,
    pub(super) policy: Option<String>,
    pub(super) tags: Vec<(String, String)>,
    pub(super) managed: bool,
}

impl NewKey {
    /// From the members of `CreateKey`, which templates share but for the policy.
    pub(super) fn read(input: &Map<String, Value>) -> Result<Self, Fault> {
        let spec = loose::text(input, "KeySpec")?;
        let spec = spec.or(loose::text(input, "CustomerMasterKeySpec")?);
        for (given, only, what) in [
            (spec, "SYMMETRIC_DEFAULT", "keys of the kind"),
            (loose::text(input, "KeyUsage")?, "ENCRYPT_DECRYPT", "keys for"),
            (loose::text(input, "Origin")?, "AWS_KMS", "keys from"),
        ] {
            if let Some(given) = given.filter(|given| given != only) {
                return Err(Fault::not_implemented(format!("kms {what} {given}")));
            }
        }
        if loose::flag(input, "MultiRegion")?.unwrap_or(false) {
            return Err(Fault::not_implemented("kms keys in several regions"));
        }
        Ok(NewKey {
            description: loose::text(input, "Description")?,
            policy: loose::text(input, "Policy")?,
            tags: loose::pairs(input, "Tags", ("TagKey", "TagValue"))?,
            managed: false,
        })
    }
}

impl Key {
    pub(super) fn new(wanted: NewKey, now: Timestamp, account: &Account) -> Result<Self, Fault> {
        let id = new_id();
        let policy = wanted.policy.unwrap_or_else(|| default_policy(account));
        check_policy(&policy)?;
        let mut tags = Tags::new();
        add_tags(&mut tags, wanted.tags)
            .map_err(|fault| Fault::new("TagException", 400, fault.message))?;
        Ok(Key {
            arn: account.arn("kms", format!("key/{id}")),
            id,
            material: random(32),
            created: now,
            description: wanted.description.unwrap_or_default(),
            policy,
            state: State::Enabled,
            rotation_days: wanted.managed.then_some(365),
            managed: wanted.managed,
            tags,
        })
    }

    pub(super) fn is_gone(&self, now: Timestamp) -> bool {
        matches!(self.state, State::PendingDeletion { end } if end <= now)
    }

    /// As `DescribeKey` shows it.
    pub(super) fn shown(&self, account: &Account) -> Value {
        let state = match self.state {
            State::Enabled => "Enabled",
            State::Disabled => "Disabled",
            State::PendingDeletion { .. } => "PendingDeletion",
        };
        let mut shown = json!({
            "AWSAccountId": account.id,
            "KeyId": self.id,
            "Arn": self.arn,
            "CreationDate": moment(self.created),
            "Enabled": self.state == State::Enabled,
            "Description": self.description,
            "KeyUsage": "ENCRYPT_DECRYPT",
            "KeyState": state,
            "Origin": "AWS_KMS",
            "KeyManager": if self.managed { "AWS" } else { "CUSTOMER" },
            "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
            "KeySpec": "SYMMETRIC_DEFAULT",
            "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
            "MultiRegion": false,
        });
        if let State::PendingDeletion { end } = self.state {
            shown["DeletionDate"] = moment(end);
        }
        shown
    }
}

impl Alias {
    pub(super) fn shown(&self, account: &Account) -> Value {
        json!({
            "AliasName": self.name,
            "AliasArn": account.arn("kms", &self.name),
            "TargetKeyId": self.target,
            "CreationDate": moment(self.created),
            "LastUpdatedDate": moment(self.changed),
        })
    }
}

/// Policies of keys are stored; a document that AWS would refuse is refused.
pub(super) fn check_policy(policy: &str) -> Result<(), Fault> {
    let refuse = |reason: String| Fault::new("MalformedPolicyDocumentException", 400, reason);
    if policy.len() > 32_768 {
        return Err(refuse(format!("a key policy has 32768 bytes at most, not {}", policy.len())));
    }
    Policy::parse(policy)
        .map(drop)
        .map_err(|reason| refuse(format!("the policy is not valid: {reason}")))
}

/// Every how many days a key shall be said to rotate: a year if nothing is said.
pub(super) fn rotation_days(input: &Map<String, Value>) -> Result<i64, Fault> {
    let days = loose::integer(input, "RotationPeriodInDays")?.unwrap_or(365);
    if (90..=2560).contains(&days) {
        return Ok(days);
    }
    let reason = format!("RotationPeriodInDays must be 90 to 2560, not {days}");
    Err(Fault::new("ValidationException", 400, reason))
}

/// Aliases that users may make.
pub(super) fn check_alias(name: &str) -> Result<(), Fault> {
    let rest = name.strip_prefix("alias/").unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/_-".contains(c);
    let own = rest.starts_with("aws/");
    if rest.is_empty() || name.len() > 256 || own || !rest.chars().all(plain) {
        let wanted = "`alias/` and letters, digits, `/_-`, not `alias/aws/…`";
        let reason = format!("`{name}` is no alias: {wanted} are accepted");
        return Err(Fault::new("InvalidAliasNameException", 400, reason));
    }
    Ok(())
}

fn default_policy(account: &Account) -> String {
    json!({
        "Version": "2012-10-17",
        "Id": "key-default-1",
        "Statement": [{
            "Sid": "Enable IAM User Permissions",
            "Effect": "Allow",
            "Principal": {"AWS": account.global_arn("iam", "root")},
            "Action": "kms:*",
            "Resource": "*",
        }],
    })
    .to_string()
}
