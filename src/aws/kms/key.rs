//! KMS keys.

use iotstack_core::{Arn, Construct, DeletionPolicy, Expr, Pseudo, Scope, Value, text};

use super::CfnKey;
use crate::iam::{self, Grant, Grantee, Principal, Statement};
use crate::s3::Removal;

/// A symmetric key that rotates every year and that the account's IAM policies govern.
#[derive(Debug, Clone, Default)]
pub struct Key {
    /// What it encrypts.
    pub description: Value<String>,
    /// What happens to the key when it leaves the stack: kept where nothing is said.
    pub removal: Removal,
}

impl Key {
    /// A key that exists already. Its own policy must let the account's IAM policies
    /// govern, or name whoever is given permissions here.
    pub fn from_arn(arn: impl Into<String>) -> KeyRef {
        KeyRef { arn: Expr::from(arn.into()) }
    }
}

impl Construct for Key {
    type Ref = KeyRef;

    fn build(self, scope: &Scope) -> KeyRef {
        let root = text!("arn:{}:iam::{}:root", Pseudo::Partition, Pseudo::AccountId);
        let policy = Statement {
            sid: "AccountGoverns".into(),
            principals: vec![Principal::Aws(root)],
            ..Statement::allow(["kms:*"], ["*"])
        };
        let key = CfnKey::new()
            .description(self.description)
            .enable_key_rotation(true)
            .key_policy(iam::document([policy]));
        let key = scope.resource("Resource", key);
        key.removal_policy(DeletionPolicy::from(self.removal));
        KeyRef { arn: key.attribute(CfnKey::ARN) }
    }
}

/// What a [`Key`] leaves in the hand.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyRef {
    arn: Expr,
}

impl KeyRef {
    /// The ARN.
    pub fn arn(&self) -> Arn<Key> {
        Arn::from_expr(self.arn.clone())
    }

    /// Lets `to` decrypt.
    pub fn grant_decrypt(&self, to: &impl Grantee) -> Grant {
        to.allow(Statement::allow(["kms:Decrypt"], [self.arn.clone()]))
    }

    /// Lets `to` encrypt; writing to S3 in parts needs decryption too.
    pub fn grant_encrypt(&self, to: &impl Grantee) -> Grant {
        to.allow(Statement::allow(["kms:GenerateDataKey", "kms:Decrypt"], [self.arn.clone()]))
    }
}
