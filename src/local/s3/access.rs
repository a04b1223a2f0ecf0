//! Who asks, and whether they may.
//!
//! The wire library checks signatures in headers with the secret that it gets
//! here; presigned URLs are checked by [`crate::presign`] before. Then the
//! caller's IAM permissions are asked for the action that the operation means.
//! A request without any signature is refused: nothing here is public.

use std::sync::Arc;

use iotstack_local_kernel::{Caller, Cloud};
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::path::S3Path;
use s3s::{S3Error, S3Result, s3_error};

use crate::Error;
use crate::refused::refusal;

/// Whoever a signature belongs to; travels with the request.
#[derive(Debug, Clone)]
pub(crate) struct Asker(pub(crate) Caller);

/// Gives secrets to check signatures with.
pub(crate) struct Signatures(pub(crate) Arc<Cloud>);

/// Asks for permissions.
pub(crate) struct Permissions(pub(crate) Arc<Cloud>);

#[async_trait::async_trait]
impl S3Auth for Signatures {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let credentials = self.0.ports.credentials().map_err(refused)?;
        let Some(identity) = credentials.identity(access_key) else {
            return Err(unknown_key());
        };
        Ok(SecretKey::from(identity.secret))
    }
}

#[async_trait::async_trait]
impl S3Access for Permissions {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        if let Some(credentials) = cx.credentials() {
            let token = cx.headers().get("x-amz-security-token");
            let token = token.and_then(|token| token.to_str().ok());
            let caller = caller(&self.0, &credentials.access_key, token)?;
            cx.extensions_mut().insert(Asker(caller));
        }
        if let Some(owner) = cx.headers().get("x-amz-expected-bucket-owner")
            && owner.as_bytes() != self.0.account.id.as_bytes()
        {
            return Err(s3_error!(AccessDenied, "another account owns the bucket"));
        }
        let place = match cx.s3_path() {
            S3Path::Root => String::new(),
            S3Path::Bucket { bucket } => bucket.to_string(),
            S3Path::Object { bucket, key } => format!("{bucket}/{key}"),
        };
        let operation = cx.s3_op().name();
        if let Some(refusal) = refusal(operation) {
            let signed = cx.extensions_mut().get::<Asker>().is_some();
            return Err(if signed { refusal } else { anonymous() }.into());
        }
        // Many keys at once: each is judged where it is deleted.
        if operation == "DeleteObjects" {
            return match cx.extensions_mut().get::<Asker>() {
                Some(_) => Ok(()),
                None => Err(anonymous().into()),
            };
        }
        let versioned = cx.uri().query().is_some_and(|query| query.contains("versionId="));
        let action = action(operation, versioned);
        permit(&self.0, cx.extensions_mut().get(), &action, &place).map_err(S3Error::from)
    }
}

/// Whether whoever asks may do `action` on `place` (bucket, or bucket and key).
pub(crate) fn permit(
    cloud: &Cloud,
    asker: Option<&Asker>,
    action: &str,
    place: &str,
) -> Result<(), Error> {
    let Some(Asker(caller)) = asker else { return Err(anonymous()) };
    let resource = match place {
        "" => "*".to_owned(),
        place => format!("arn:{}:s3:::{place}", cloud.account.partition()),
    };
    let credentials =
        cloud.ports.credentials().map_err(|fault| Error::AccessDenied(fault.message))?;
    if credentials.allows(caller, action, &resource) {
        return Ok(());
    }
    let who = match caller {
        Caller::Root => "the root user",
        Caller::Principal { arn } => arn,
        Caller::Device { certificate_id } => certificate_id,
        Caller::Service { name } => name,
    };
    Err(Error::AccessDenied(format!(
        "{who} is not authorized to perform {action} on {resource}: no policy allows it"
    )))
}

/// Whose key it is, if the key is still good and the token is the one it came with.
pub(crate) fn caller(cloud: &Cloud, access_key: &str, token: Option<&str>) -> S3Result<Caller> {
    let credentials = cloud.ports.credentials().map_err(refused)?;
    let identity = credentials.identity(access_key).ok_or_else(unknown_key)?;
    // An empty token is what a client sends that has none.
    let token = token.filter(|token| !token.is_empty());
    if identity.session_token.is_some() && identity.session_token.as_deref() != token {
        return Err(s3_error!(InvalidToken, "the session token does not belong to the access key"));
    }
    if identity.expires.is_some_and(|expires| expires <= cloud.clock.now()) {
        return Err(s3_error!(ExpiredToken, "the session of the access key has expired"));
    }
    Ok(identity.caller)
}

pub(crate) fn unknown_key() -> S3Error {
    s3_error!(InvalidAccessKeyId, "the access key does not exist")
}

fn refused(fault: iotstack_local_kernel::Fault) -> S3Error {
    s3_error!(AccessDenied, "{}", fault.message)
}

pub(crate) fn anonymous() -> Error {
    Error::AccessDenied("the request is not signed".to_owned())
}

/// The IAM action of an operation. Most bear the operation's name.
fn action(operation: &str, versioned: bool) -> String {
    let name = match operation {
        "GetObject" | "HeadObject" | "GetObjectAttributes" => {
            if versioned {
                "GetObjectVersion"
            } else {
                "GetObject"
            }
        }
        "GetObjectTagging" if versioned => "GetObjectVersionTagging",
        "PutObjectTagging" if versioned => "PutObjectVersionTagging",
        "DeleteObjectTagging" if versioned => "DeleteObjectVersionTagging",
        "GetObjectAcl" if versioned => "GetObjectVersionAcl",
        "DeleteObject" if versioned => "DeleteObjectVersion",
        "CompleteMultipartUpload"
        | "CopyObject"
        | "CreateMultipartUpload"
        | "PostObject"
        | "UploadPart"
        | "UploadPartCopy" => "PutObject",
        "HeadBucket" | "ListObjects" | "ListObjectsV2" => "ListBucket",
        "ListBuckets" => "ListAllMyBuckets",
        "ListMultipartUploads" => "ListBucketMultipartUploads",
        "ListObjectVersions" => "ListBucketVersions",
        "ListParts" => "ListMultipartUploadParts",
        "GetBucketAccelerateConfiguration" => "GetAccelerateConfiguration",
        "GetBucketCors" => "GetBucketCORS",
        "PutBucketCors" | "DeleteBucketCors" => "PutBucketCORS",
        "GetBucketEncryption" => "GetEncryptionConfiguration",
        "PutBucketEncryption" | "DeleteBucketEncryption" => "PutEncryptionConfiguration",
        "GetBucketLifecycleConfiguration" => "GetLifecycleConfiguration",
        "PutBucketLifecycleConfiguration" | "DeleteBucketLifecycle" => "PutLifecycleConfiguration",
        "GetBucketNotificationConfiguration" => "GetBucketNotification",
        "PutBucketNotificationConfiguration" => "PutBucketNotification",
        "DeleteBucketOwnershipControls" => "PutBucketOwnershipControls",
        "DeleteBucketTagging" => "PutBucketTagging",
        "GetPublicAccessBlock" => "GetBucketPublicAccessBlock",
        "PutPublicAccessBlock" | "DeletePublicAccessBlock" => "PutBucketPublicAccessBlock",
        other => other,
    };
    format!("s3:{name}")
}
