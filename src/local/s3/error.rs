//! What S3 refuses, under AWS's codes.
//!
//! The messages are AWS's where programs are known to look at them, else our own. What
//! they are about stands in members of its own beside them ([`Error::members`]). Errors of
//! the wire library (requests that it cannot read) keep its words.

use http::{HeaderValue, header};
use iotstack_local_kernel::{Fault, StoreError};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::{S3Error, S3ErrorCode};

/// Why an operation was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such bucket.
    #[error("The specified bucket does not exist")]
    NoSuchBucket(String),
    /// There is no such object, or its newest version is a delete marker.
    #[error("The specified key does not exist.")]
    NoSuchKey {
        /// The key.
        key: String,
        /// The version of the delete marker that hides it.
        marker: Option<String>,
    },
    /// There is no such version of the object.
    #[error("The specified version does not exist.")]
    NoSuchVersion {
        /// The key.
        key: String,
        /// The version.
        version: String,
    },
    /// A text that cannot be the id of a version.
    #[error("Invalid version id specified")]
    InvalidVersion(String),
    /// A delete marker has no content.
    #[error("The specified method is not allowed against this resource.")]
    DeleteMarker {
        /// The marker's version.
        version: String,
    },
    /// There is no such multipart upload, or it has ended.
    #[error(
        "The specified upload does not exist. The upload ID may be invalid, or the upload may \
         have been aborted or completed."
    )]
    NoSuchUpload(String),
    /// A bucket with objects, versions or delete markers cannot be deleted.
    #[error("The bucket you tried to delete is not empty{}", all_versions(*.versioned))]
    BucketNotEmpty {
        /// The bucket.
        bucket: String,
        /// Whether it keeps versions, or did once.
        versioned: bool,
    },
    /// The bucket exists and is yours.
    #[error("Your previous request to create the named bucket succeeded and you already own it.")]
    BucketAlreadyOwnedByYou(String),
    /// The name breaks S3's rules.
    #[error(
        "`{0}` is no bucket name: 3 to 63 lower-case letters, digits, dots and hyphens are accepted"
    )]
    InvalidBucketName(String),
    /// A bucket cannot be made at this endpoint for another region.
    #[error(
        "The {0} location constraint is incompatible for the region specific endpoint this \
         request was sent to."
    )]
    IllegalLocationConstraint(String),
    /// The oldest region is not named when a bucket is made.
    #[error("The specified location-constraint is not valid")]
    InvalidLocationConstraint(String),
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
    #[error("At least one of the pre-conditions you specified did not hold")]
    PreconditionFailed(&'static str),
    /// A part that was named is not there or has another entity tag.
    #[error("part {0} was not uploaded, or its entity tag differs")]
    InvalidPart(i32),
    /// No number of a part.
    #[error("Part number must be an integer between 1 and 10000, inclusive")]
    PartNumber(i32),
    /// Parts are not listed in ascending order.
    #[error("the parts must be listed in ascending order of their numbers")]
    InvalidPartOrder,
    /// Every part but the last must have 5 MiB.
    #[error("Your proposed upload is smaller than the minimum allowed size")]
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
    #[error("The requested range is not satisfiable")]
    InvalidRange(u64),
    /// An object has no part of that number.
    #[error("The requested partnumber is not satisfiable")]
    InvalidPartNumber(i32),
    /// Tags break S3's rules.
    #[error("{0}")]
    InvalidTag(String),
    /// An object has ten tags at most.
    #[error("Object tags cannot be greater than 10")]
    TooManyTags,
    /// No storage class of S3.
    #[error("The storage class you specified is not valid")]
    InvalidStorageClass(String),
    /// A document breaks S3's schema; may say how.
    #[error(
        "The XML you provided was not well-formed or did not validate against our published \
         schema{}",
        detail(.0)
    )]
    MalformedXml(String),
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
    #[error("{message}")]
    NotConfigured {
        /// AWS's code.
        code: &'static str,
        /// AWS's message.
        message: &'static str,
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
            Error::InvalidVersion(_) => "InvalidArgument",
            Error::DeleteMarker { .. } => "MethodNotAllowed",
            Error::NoSuchUpload(_) => "NoSuchUpload",
            Error::BucketNotEmpty { .. } => "BucketNotEmpty",
            Error::BucketAlreadyOwnedByYou(_) => "BucketAlreadyOwnedByYou",
            Error::InvalidBucketName(_) => "InvalidBucketName",
            Error::IllegalLocationConstraint(_) => "IllegalLocationConstraintException",
            Error::InvalidLocationConstraint(_) => "InvalidLocationConstraint",
            Error::KeyTooLong(_) => "KeyTooLongError",
            Error::NotModified { .. } => "NotModified",
            Error::PreconditionFailed(_) => "PreconditionFailed",
            Error::InvalidPart(_) => "InvalidPart",
            Error::PartNumber(_) => "InvalidArgument",
            Error::InvalidPartOrder => "InvalidPartOrder",
            Error::EntityTooSmall { .. } => "EntityTooSmall",
            Error::EntityTooLarge(_) => "EntityTooLarge",
            Error::BadDigest(_) => "BadDigest",
            Error::IncompleteBody { .. } => "IncompleteBody",
            Error::InvalidRange(_) => "InvalidRange",
            Error::InvalidPartNumber(_) => "InvalidPartNumber",
            Error::InvalidTag(_) => "InvalidTag",
            Error::TooManyTags => "BadRequest",
            Error::InvalidStorageClass(_) => "InvalidStorageClass",
            Error::MalformedXml(_) => "MalformedXML",
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
            Error::BucketNotEmpty { .. } | Error::BucketAlreadyOwnedByYou(_) => 409,
            Error::NotModified { .. } => 304,
            Error::PreconditionFailed(_) => 412,
            Error::InvalidRange(_) | Error::InvalidPartNumber(_) => 416,
            Error::AccessDenied(_) => 403,
            Error::NotImplemented(_) => 501,
            Error::Store(_) | Error::File(_) => 503,
            _ => 400,
        }
    }

    /// What stands beside the message. What has no value here the request tells, see
    /// [`crate::front`].
    pub(crate) fn members(&self) -> Vec<(&'static str, Option<String>)> {
        let one = |name, value: &dyn ToString| vec![(name, Some(value.to_string()))];
        let both = |first: (&'static str, &dyn ToString), second: (&'static str, &dyn ToString)| {
            vec![(first.0, Some(first.1.to_string())), (second.0, Some(second.1.to_string()))]
        };
        match self {
            Error::NoSuchBucket(bucket)
            | Error::BucketNotEmpty { bucket, .. }
            | Error::BucketAlreadyOwnedByYou(bucket)
            | Error::InvalidBucketName(bucket)
            | Error::NotConfigured { bucket, .. } => one("BucketName", bucket),
            Error::NoSuchKey { key, .. } => one("Key", key),
            Error::NoSuchVersion { key, version } => both(("Key", key), ("VersionId", version)),
            Error::InvalidVersion(version) => {
                both(("ArgumentName", &"versionId"), ("ArgumentValue", version))
            }
            Error::PartNumber(number) => {
                both(("ArgumentName", &"partNumber"), ("ArgumentValue", number))
            }
            Error::DeleteMarker { .. } => {
                vec![("Method", None), ("ResourceType", Some("DeleteMarker".to_owned()))]
            }
            Error::NoSuchUpload(upload) => one("UploadId", upload),
            Error::InvalidLocationConstraint(constraint) => one("LocationConstraint", constraint),
            Error::PreconditionFailed(condition) => one("Condition", condition),
            Error::InvalidPart(number) => one("PartNumber", number),
            Error::EntityTooSmall { number, size } => {
                let mut members = both(("ProposedSize", size), ("MinSizeAllowed", &5_242_880));
                members.push(("PartNumber", Some(number.to_string())));
                members
            }
            Error::InvalidRange(size) => {
                vec![("ActualObjectSize", Some(size.to_string())), ("RangeRequested", None)]
            }
            Error::InvalidPartNumber(number) => one("PartNumberRequested", number),
            Error::InvalidStorageClass(class) => one("StorageClassRequested", class),
            _ => Vec::new(),
        }
    }
}

fn all_versions(versioned: bool) -> &'static str {
    if versioned { ". You must delete all versions in the bucket." } else { "" }
}

fn detail(detail: &str) -> String {
    if detail.is_empty() { String::new() } else { format!(": {detail}") }
}

impl From<Error> for S3Error {
    fn from(error: Error) -> Self {
        let code = error.code().parse().unwrap_or(S3ErrorCode::InternalError);
        let mut wire = S3Error::with_message(code, error.to_string());
        if let Ok(status) = http::StatusCode::from_u16(error.status()) {
            wire.set_status_code(status);
        }
        let mut headers = http::HeaderMap::new();
        // Whatever is set replaces what the library would set.
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        let members = error.members();
        if !members.is_empty()
            && let Ok(members) = HeaderValue::from_str(&written(&members))
        {
            headers.insert(MEMBERS, members);
        }
        match &error {
            Error::NoSuchKey { marker: Some(version), .. } | Error::DeleteMarker { version } => {
                headers.insert("x-amz-delete-marker", HeaderValue::from_static("true"));
                if let Ok(version) = version.parse() {
                    headers.insert("x-amz-version-id", version);
                }
                if matches!(error, Error::DeleteMarker { .. }) {
                    headers.insert(header::ALLOW, HeaderValue::from_static("DELETE"));
                }
            }
            Error::NotModified { etag } => {
                if let Ok(etag) = format!("\"{etag}\"").parse() {
                    headers.insert(header::ETAG, etag);
                }
            }
            _ => {}
        }
        wire.set_headers(headers);
        wire
    }
}

/// Under what the members of an error travel to [`crate::front`], which writes them into the
/// body: the library writes only code and message.
pub(crate) const MEMBERS: &str = "x-iotstack-error-members";

/// Members as a query.
fn written(members: &[(&str, Option<String>)]) -> String {
    let pair = |(name, value): &(&str, Option<String>)| match value {
        Some(value) => format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)),
        None => (*name).to_owned(),
    };
    members.iter().map(pair).collect::<Vec<_>>().join("&")
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault::new(error.code(), error.status(), error.to_string())
    }
}
