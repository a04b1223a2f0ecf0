//! What S3 refuses, under AWS's codes.
//!
//! The messages are our own. Errors of the wire library (requests that it cannot
//! read) keep its words.

use iotstack_local_kernel::{Fault, StoreError};
use s3s::{S3Error, S3ErrorCode};

/// Why an operation was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such bucket.
    #[error("the bucket `{0}` does not exist")]
    NoSuchBucket(String),
    /// There is no such object, or its newest version is a delete marker.
    #[error("the key `{key}` does not exist")]
    NoSuchKey {
        /// The key.
        key: String,
        /// The version of the delete marker that hides it.
        marker: Option<String>,
    },
    /// There is no such version of the object.
    #[error("the key `{key}` has no version `{version}`")]
    NoSuchVersion {
        /// The key.
        key: String,
        /// The version.
        version: String,
    },
    /// A delete marker has no content.
    #[error("version `{version}` is a delete marker, which can only be deleted")]
    DeleteMarker {
        /// The marker's version.
        version: String,
    },
    /// There is no such multipart upload, or it has ended.
    #[error("the upload `{0}` does not exist; it may be completed or aborted")]
    NoSuchUpload(String),
    /// A bucket with objects, versions or delete markers cannot be deleted.
    #[error(
        "the bucket you tried to delete is not empty; delete all versions of its objects first"
    )]
    BucketNotEmpty,
    /// The bucket exists and is yours.
    #[error("the bucket `{0}` exists already, and you own it")]
    BucketAlreadyOwnedByYou(String),
    /// The name breaks S3's rules.
    #[error(
        "`{0}` is no bucket name: 3 to 63 lower-case letters, digits, dots and hyphens are accepted"
    )]
    InvalidBucketName(String),
    /// A key is longer than S3 accepts.
    #[error("the key has {0} bytes; at most 1024 are accepted")]
    KeyTooLong(usize),
    /// The reader has the object already.
    #[error("the object is still `{etag}`")]
    NotModified {
        /// The entity tag, without quotes.
        etag: String,
    },
    /// A condition of the request does not hold.
    #[error("the condition `{0}` does not hold")]
    PreconditionFailed(&'static str),
    /// A part that was named is not there or has another entity tag.
    #[error("part {0} was not uploaded, or its entity tag differs")]
    InvalidPart(i32),
    /// Parts are not listed in ascending order.
    #[error("the parts must be listed in ascending order of their numbers")]
    InvalidPartOrder,
    /// Every part but the last must have 5 MiB.
    #[error("part {number} has {size} bytes; every part but the last needs 5242880")]
    EntityTooSmall {
        /// The part.
        number: i32,
        /// Its size.
        size: u64,
    },
    /// The object is larger than the local cloud accepts.
    #[error("the object is larger than {0} bytes, the most that the local cloud keeps")]
    EntityTooLarge(u64),
    /// What arrived is not what was announced.
    #[error("the {0} that was sent does not fit the bytes that arrived")]
    BadDigest(&'static str),
    /// Fewer bytes arrived than announced.
    #[error("{received} bytes arrived, {announced} were announced")]
    IncompleteBody {
        /// How many came.
        received: u64,
        /// How many should have come.
        announced: u64,
    },
    /// The range lies behind the object's end.
    #[error("the range lies outside of the object's {0} bytes")]
    InvalidRange(u64),
    /// An argument is not acceptable.
    #[error("{0}")]
    InvalidArgument(String),
    /// The request makes no sense.
    #[error("{0}")]
    InvalidRequest(String),
    /// A policy is no JSON object.
    #[error("the policy is not valid: {0}")]
    MalformedPolicy(String),
    /// A configuration was never set.
    #[error("the bucket `{bucket}` has no {what}")]
    NotConfigured {
        /// AWS's code.
        code: &'static str,
        /// What is missing.
        what: &'static str,
        /// The bucket.
        bucket: String,
    },
    /// Something of AWS that the local cloud does not have.
    #[error("the local cloud does not offer {0}; `iotstack local --coverage` lists what it does")]
    NotImplemented(String),
    /// No permission.
    #[error("{0}")]
    AccessDenied(String),
    /// The state could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file of the state folder could not be read or written.
    #[error("the bytes of an object cannot be read or written: {0}")]
    File(String),
}

impl Error {
    /// AWS's code.
    pub fn code(&self) -> &'static str {
        match self {
            Error::NoSuchBucket(_) => "NoSuchBucket",
            Error::NoSuchKey { .. } => "NoSuchKey",
            Error::NoSuchVersion { .. } => "NoSuchVersion",
            Error::DeleteMarker { .. } => "MethodNotAllowed",
            Error::NoSuchUpload(_) => "NoSuchUpload",
            Error::BucketNotEmpty => "BucketNotEmpty",
            Error::BucketAlreadyOwnedByYou(_) => "BucketAlreadyOwnedByYou",
            Error::InvalidBucketName(_) => "InvalidBucketName",
            Error::KeyTooLong(_) => "KeyTooLongError",
            Error::NotModified { .. } => "NotModified",
            Error::PreconditionFailed(_) => "PreconditionFailed",
            Error::InvalidPart(_) => "InvalidPart",
            Error::InvalidPartOrder => "InvalidPartOrder",
            Error::EntityTooSmall { .. } => "EntityTooSmall",
            Error::EntityTooLarge(_) => "EntityTooLarge",
            Error::BadDigest(_) => "BadDigest",
            Error::IncompleteBody { .. } => "IncompleteBody",
            Error::InvalidRange(_) => "InvalidRange",
            Error::InvalidArgument(_) => "InvalidArgument",
            Error::InvalidRequest(_) => "InvalidRequest",
            Error::MalformedPolicy(_) => "MalformedPolicy",
            Error::NotConfigured { code, .. } => code,
            Error::NotImplemented(_) => "NotImplemented",
            Error::AccessDenied(_) => "AccessDenied",
            Error::Store(_) | Error::File(_) => "ServiceUnavailable",
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Error::NoSuchBucket(_)
            | Error::NoSuchKey { .. }
            | Error::NoSuchVersion { .. }
            | Error::NoSuchUpload(_)
            | Error::NotConfigured { .. } => 404,
            Error::DeleteMarker { .. } => 405,
            Error::BucketNotEmpty | Error::BucketAlreadyOwnedByYou(_) => 409,
            Error::NotModified { .. } => 304,
            Error::PreconditionFailed(_) => 412,
            Error::InvalidRange(_) => 416,
            Error::AccessDenied(_) => 403,
            Error::NotImplemented(_) => 501,
            Error::Store(_) | Error::File(_) => 503,
            _ => 400,
        }
    }
}

impl From<Error> for S3Error {
    fn from(error: Error) -> Self {
        let code = error.code().parse().unwrap_or(S3ErrorCode::InternalError);
        let mut wire = S3Error::with_message(code, error.to_string());
        if let Ok(status) = http::StatusCode::from_u16(error.status()) {
            wire.set_status_code(status);
        }
        let mut headers = http::HeaderMap::new();
        match &error {
            Error::NoSuchKey { marker: Some(version), .. } | Error::DeleteMarker { version } => {
                headers.insert("x-amz-delete-marker", http::HeaderValue::from_static("true"));
                headers.insert("content-type", http::HeaderValue::from_static("application/xml"));
                if let Ok(version) = version.parse() {
                    headers.insert("x-amz-version-id", version);
                }
            }
            Error::NotModified { etag } => {
                if let Ok(etag) = format!("\"{etag}\"").parse() {
                    headers.insert(http::header::ETAG, etag);
                }
            }
            _ => return wire,
        }
        wire.set_headers(headers);
        wire
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault::new(error.code(), error.status(), error.to_string())
    }
}
