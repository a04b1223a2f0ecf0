//! Buckets.

use iotstack_core::{
    Arn, Construct, DeletionPolicy, Duration, Expr, Handle, Name, Pseudo, Scope, Value, object,
    text,
};

use super::{CfnBucket, CfnBucketPolicy};
use crate::iam::{self, Condition, Grant, Grantee, Principal, Statement};
use crate::kms::KeyRef;

/// A bucket that nobody but its account can reach, over TLS only.
///
/// ```
/// use iotstack_aws::s3::{Bucket, Lifecycle};
/// use iotstack_core::{Duration, default};
///
/// let firmware = Bucket {
///     versioned: true,
///     lifecycle: vec![Lifecycle { expire_old_versions: Some(Duration::days(365)), ..default() }],
///     ..default()
/// };
/// # let _ = firmware;
/// ```
#[derive(Debug, Clone, Default)]
pub struct Bucket {
    /// The name, unique in the whole partition; CloudFormation makes one where none is
    /// given.
    pub bucket_name: Value<String>,
    /// Keeps every version of every object. AWS Signer and presigned job documents need it.
    pub versioned: bool,
    /// How objects are encrypted; with keys of S3 where nothing is said.
    pub encryption: Encryption,
    /// What happens to objects as they grow old.
    pub lifecycle: Vec<Lifecycle>,
    /// What happens to the bucket when it leaves the stack: kept where nothing is said.
    pub removal: Removal,
}

/// How a bucket encrypts its objects.
#[derive(Debug, Clone, Default)]
pub enum Encryption {
    /// With keys of S3.
    #[default]
    S3Managed,
    /// With a KMS key, and a bucket key that keeps the number of calls to KMS low.
    Kms(KeyRef),
}

/// What happens to a resource that holds data when it leaves the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Removal {
    /// It stays in the account.
    #[default]
    Retain,
    /// It is deleted with everything in it.
    Delete,
}

impl From<Removal> for DeletionPolicy {
    fn from(removal: Removal) -> Self {
        match removal {
            // A bucket of a failed first deployment holds nothing worth keeping.
            Removal::Retain => DeletionPolicy::RetainExceptOnCreate,
            Removal::Delete => DeletionPolicy::Delete,
        }
    }
}

/// What happens to objects as they grow old.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lifecycle {
    /// The rule's name.
    pub id: Option<String>,
    /// Only objects whose key begins with this; all where nothing is said.
    pub prefix: Option<String>,
    /// Moves versions that are not the newest to Intelligent-Tiering after this time.
    pub tier_old_versions: Option<Duration>,
    /// Deletes versions that are not the newest after this time.
    pub expire_old_versions: Option<Duration>,
    /// Deletes objects after this time.
    pub expire: Option<Duration>,
    /// Gives up uploads in parts that were not finished after this time.
    pub abort_uploads: Option<Duration>,
}

impl Bucket {
    /// A bucket that exists already. Grants work on the grantee's side; to change the
    /// bucket itself is a finding of `scope`.
    pub fn from_name(scope: &Scope, name: impl Into<String>) -> BucketRef {
        let name = Expr::from(name.into());
        let arn = text!("arn:{}:s3:::{}", Pseudo::Partition, name.clone());
        BucketRef { name, arn, key: None, source: Source::Existing(scope.clone()) }
    }
}

impl Construct for Bucket {
    type Ref = BucketRef;

    fn build(self, scope: &Scope) -> BucketRef {
        let (algorithm, key_arn, key) = match self.encryption {
            Encryption::S3Managed => ("AES256", Expr::Null, None),
            Encryption::Kms(key) => ("aws:kms", key.arn().into(), Some(key)),
        };
        let encryption = object! {
            "ServerSideEncryptionConfiguration": [object! {
                "BucketKeyEnabled": key.as_ref().map_or(Expr::Null, |_| true.into()),
                "ServerSideEncryptionByDefault": object! {
                    "SSEAlgorithm": algorithm,
                    "KMSMasterKeyID": key_arn,
                },
            }],
        };
        let mut bucket = CfnBucket::new()
            .bucket_name(self.bucket_name)
            .bucket_encryption(encryption)
            .ownership_controls(object! {
                "Rules": [object! { "ObjectOwnership": "BucketOwnerEnforced" }],
            })
            .public_access_block_configuration(object! {
                "BlockPublicAcls": true,
                "BlockPublicPolicy": true,
                "IgnorePublicAcls": true,
                "RestrictPublicBuckets": true,
            });
        if self.versioned {
            bucket = bucket.versioning_configuration(object! { "Status": "Enabled" });
        }
        if !self.lifecycle.is_empty() {
            let rules = self.lifecycle.into_iter().map(Expr::from);
            bucket = bucket.lifecycle_configuration(object! { "Rules": Expr::list(rules) });
        }
        let bucket = scope.resource("Resource", bucket);
        bucket.removal_policy(self.removal.into());

        let arn = bucket.attribute(CfnBucket::ARN);
        let tls_only = Statement {
            sid: "TlsOnly".into(),
            principals: vec![Principal::Everybody],
            conditions: vec![Condition::new("Bool", "aws:SecureTransport", "false")],
            ..Statement::deny(["s3:*"], [arn.clone(), text!("{}/*", arn.clone())])
        };
        let policy = CfnBucketPolicy::new(bucket.reference(), iam::document([tls_only]));
        scope.child("Policy").resource("Resource", policy).removal_policy(self.removal.into());
        BucketRef { name: bucket.reference(), arn, key, source: Source::Placed(bucket) }
    }
}

impl From<Lifecycle> for Expr {
    fn from(rule: Lifecycle) -> Expr {
        let days = |time: Duration| Expr::Int(time.as_days() as i64);
        object! {
            "Id": rule.id.map_or(Expr::Null, Expr::from),
            "Status": "Enabled",
            "Prefix": rule.prefix.map_or(Expr::Null, Expr::from),
            "ExpirationInDays": rule.expire.map_or(Expr::Null, days),
            "NoncurrentVersionTransitions": rule.tier_old_versions.map_or(Expr::Null, |time| {
                Expr::list([object! {
                    "StorageClass": "INTELLIGENT_TIERING",
                    "TransitionInDays": days(time),
                }])
            }),
            "NoncurrentVersionExpiration": rule
                .expire_old_versions
                .map_or(Expr::Null, |time| object! { "NoncurrentDays": days(time) }),
            "AbortIncompleteMultipartUpload": rule
                .abort_uploads
                .map_or(Expr::Null, |time| object! { "DaysAfterInitiation": days(time) }),
        }
    }
}

/// What a [`Bucket`] leaves in the hand.
#[derive(Debug, Clone)]
pub struct BucketRef {
    name: Expr,
    arn: Expr,
    key: Option<KeyRef>,
    source: Source,
}

/// Where a bucket comes from.
#[derive(Debug, Clone)]
enum Source {
    Placed(Handle<CfnBucket>),
    /// Made elsewhere, and referred to in this scope.
    Existing(Scope),
}

impl BucketRef {
    /// The ARN.
    pub fn arn(&self) -> Arn<Bucket> {
        Arn::from_expr(self.arn.clone())
    }

    /// The name.
    pub fn name(&self) -> Name<Bucket> {
        Name::from_expr(self.name.clone())
    }

    /// Changes the bucket's L1 resource. That of a bucket which exists already is not
    /// here, so changing it is a finding.
    pub fn cfn(&self, change: impl FnOnce(&mut CfnBucket)) {
        match &self.source {
            Source::Placed(bucket) => bucket.edit(change),
            Source::Existing(scope) => {
                let name = self.name.as_text().unwrap_or_default();
                let message =
                    format!("bucket `{name}` is made elsewhere and cannot be changed here");
                scope.error("existing-resource", message);
            }
        }
    }

    /// Lets `to` read all objects and their versions, and list them.
    pub fn grant_read(&self, to: &impl Grantee) -> Grant {
        self.grant_read_below("", to)
    }

    /// Lets `to` read the objects whose key begins with `prefix`.
    pub fn grant_read_below(&self, prefix: &str, to: &impl Grantee) -> Grant {
        if let Some(key) = &self.key {
            let _ = key.grant_decrypt(to);
        }
        let _ = to.allow(Statement::allow(
            ["s3:GetObject", "s3:GetObjectVersion"],
            [text!("{}/{}*", self.arn.clone(), prefix)],
        ));
        to.allow(Statement::allow(["s3:ListBucket"], [self.arn.clone()]))
    }

    /// Lets `to` read single objects whose key it knows, and nothing else.
    pub fn grant_get(&self, to: &impl Grantee) -> Grant {
        if let Some(key) = &self.key {
            let _ = key.grant_decrypt(to);
        }
        to.allow(Statement::allow(
            ["s3:GetObject", "s3:GetObjectVersion"],
            [text!("{}/*", self.arn.clone())],
        ))
    }

    /// Lets `to` write objects.
    pub fn grant_put(&self, to: &impl Grantee) -> Grant {
        if let Some(key) = &self.key {
            let _ = key.grant_encrypt(to);
        }
        to.allow(Statement::allow(
            ["s3:PutObject", "s3:AbortMultipartUpload"],
            [text!("{}/*", self.arn.clone())],
        ))
    }
}
