//! Keys and aliases: the records, and how the API shows them.
//!
//! A key's material never leaves this crate; no record here is `Debug`. What keys
//! are used for is in [`super::operations`].

use iotstack_local_kernel::policy::Policy;
use iotstack_local_kernel::{Account, Fault, Timestamp, loose};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{new_id, random};
use crate::wire::{Tags, add_tags, moment, violating};

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
        for (given, member, known, what) in [
            (spec, "keySpec", SPECS, "keys of the kind"),
            (loose::text(input, "KeyUsage")?, "keyUsage", USAGES, "keys for"),
            (loose::text(input, "Origin")?, "origin", ORIGINS, "keys from"),
        ] {
            // The first of each is what is offered.
            match given.filter(|given| known.first() != Some(&given.as_str())) {
                Some(given) if known.contains(&given.as_str()) => {
                    return Err(Fault::not_implemented(format!("kms {what} {given}")));
                }
                Some(given) => {
                    let known = known.join(", ");
                    let wanted = format!("Member must satisfy enum value set: [{known}]");
                    return Err(violating(member, Some(&given), &wanted));
                }
                None => {}
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

/// Aliases that users may make, change and delete.
pub(super) fn check_alias(name: &str) -> Result<(), Fault> {
    let refuse = |reason: String| Err(Fault::new("ValidationException", 400, reason));
    let violating = |wanted| Err(violating("aliasName", Some(name), wanted));
    if name.len() > 256 {
        return violating("Member must have length less than or equal to 256");
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || ":/_-".contains(c);
    if !name.chars().all(plain) {
        return violating("Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$");
    }
    let Some(rest) = name.strip_prefix("alias/").filter(|rest| !rest.is_empty()) else {
        return refuse("Alias must start with the prefix \"alias/\"".to_owned());
    };
    if rest.contains(':') {
        return refuse(format!("{name} contains invalid characters for an alias"));
    }
    if rest.starts_with("aws/") {
        return Err(Fault::new("NotAuthorizedException", 400, ""));
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

/// The kinds of keys that AWS knows; the first is the one that is offered.
const SPECS: &[&str] = &[
    "SYMMETRIC_DEFAULT",
    "ECC_NIST_EDWARDS25519",
    "ECC_NIST_P256",
    "ECC_NIST_P384",
    "ECC_NIST_P521",
    "ECC_SECG_P256K1",
    "HMAC_224",
    "HMAC_256",
    "HMAC_384",
    "HMAC_512",
    "ML_DSA_44",
    "ML_DSA_65",
    "ML_DSA_87",
    "RSA_2048",
    "RSA_3072",
    "RSA_4096",
    "SM2",
];
const USAGES: &[&str] = &["ENCRYPT_DECRYPT", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT", "SIGN_VERIFY"];
const ORIGINS: &[&str] = &["AWS_KMS", "AWS_CLOUDHSM", "EXTERNAL", "EXTERNAL_KEY_STORE"];
