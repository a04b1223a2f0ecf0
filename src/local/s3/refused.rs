//! The operations of S3 that are refused, each by its name and with a reason.
//!
//! The wire library knows most of them and would say only that it lacks them; they are
//! refused when permissions are asked for ([`crate::access`]), before a body is read.
//! Some are younger than the library, which looks at the words of a query that it knows
//! and would take them for others: renaming an object for writing an empty one, deleting
//! an annotation for deleting its object. [`Younger`] is asked before.
//!
//! Whoever asks must have signed; permission for what does not exist nobody needs.

use http::{Extensions, HeaderMap, Method, Uri, header};
use s3s::host::S3Host;
use s3s::route::S3Route;
use s3s::{Body, S3Request, S3Response, S3Result};

use crate::Error;
use crate::access::{Asker, anonymous};
use crate::front::Hosts;
use crate::presign::split;

/// All of them with their reasons, in order.
pub(crate) const REFUSED: &[(&str, &str)] = &[
    ("CreateBucketMetadataConfiguration", NO_METADATA),
    ("CreateBucketMetadataTableConfiguration", NO_METADATA),
    ("CreateSession", NO_DIRECTORIES),
    ("DeleteBucketAnalyticsConfiguration", NO_REPORTS),
    ("DeleteBucketIntelligentTieringConfiguration", ONE_CLASS),
    ("DeleteBucketInventoryConfiguration", NO_REPORTS),
    ("DeleteBucketMetadataConfiguration", NO_METADATA),
    ("DeleteBucketMetadataTableConfiguration", NO_METADATA),
    ("DeleteBucketMetricsConfiguration", NO_REPORTS),
    ("DeleteBucketReplication", ONE_REGION),
    ("DeleteBucketWebsite", NO_WEBSITES),
    ("DeleteObjectAnnotation", NO_METADATA),
    ("GetBucketAbac", NO_TAG_RIGHTS),
    ("GetBucketAnalyticsConfiguration", NO_REPORTS),
    ("GetBucketIntelligentTieringConfiguration", ONE_CLASS),
    ("GetBucketInventoryConfiguration", NO_REPORTS),
    ("GetBucketMetadataConfiguration", NO_METADATA),
    ("GetBucketMetadataTableConfiguration", NO_METADATA),
    ("GetBucketMetricsConfiguration", NO_REPORTS),
    ("GetBucketReplication", ONE_REGION),
    ("GetBucketWebsite", NO_WEBSITES),
    ("GetObjectAnnotation", NO_METADATA),
    ("GetObjectLegalHold", NO_LOCK),
    ("GetObjectLockConfiguration", NO_LOCK),
    ("GetObjectRetention", NO_LOCK),
    ("GetObjectTorrent", "objects are not shared by BitTorrent"),
    ("ListBucketAnalyticsConfigurations", NO_REPORTS),
    ("ListBucketIntelligentTieringConfigurations", ONE_CLASS),
    ("ListBucketInventoryConfigurations", NO_REPORTS),
    ("ListBucketMetricsConfigurations", NO_REPORTS),
    ("ListDirectoryBuckets", NO_DIRECTORIES),
    ("ListObjectAnnotations", NO_METADATA),
    ("PutBucketAbac", NO_TAG_RIGHTS),
    ("PutBucketAccelerateConfiguration", ONE_REGION),
    ("PutBucketAcl", OWNER_ONLY),
    ("PutBucketAnalyticsConfiguration", NO_REPORTS),
    ("PutBucketIntelligentTieringConfiguration", ONE_CLASS),
    ("PutBucketInventoryConfiguration", NO_REPORTS),
    ("PutBucketLogging", "access to buckets is not logged"),
    ("PutBucketMetricsConfiguration", NO_REPORTS),
    ("PutBucketReplication", ONE_REGION),
    ("PutBucketRequestPayment", "nobody pays for requests"),
    ("PutBucketWebsite", NO_WEBSITES),
    ("PutObjectAcl", OWNER_ONLY),
    ("PutObjectAnnotation", NO_METADATA),
    ("PutObjectLegalHold", NO_LOCK),
    ("PutObjectLockConfiguration", NO_LOCK),
    ("PutObjectRetention", NO_LOCK),
    ("RenameObject", NO_DIRECTORIES),
    ("RestoreObject", ONE_CLASS),
    ("SelectObjectContent", "objects are not searched by SQL"),
    ("UpdateBucketMetadataAnnotationTableConfiguration", NO_METADATA),
    ("UpdateBucketMetadataInventoryTableConfiguration", NO_METADATA),
    ("UpdateBucketMetadataJournalTableConfiguration", NO_METADATA),
    ("UpdateObjectEncryption", "write the object again with another encryption"),
    ("WriteGetObjectResponse", "objects are not changed by functions on their way"),
];

/// The refusal of an operation, if it is one of these.
pub(crate) fn refusal(operation: &str) -> Option<Error> {
    let (name, reason) = REFUSED.iter().find(|(name, _)| *name == operation)?;
    Some(Error::NotImplemented(format!("s3:{name}: {reason}")))
}

/// Takes the operations that the wire library would take for others.
pub(crate) struct Younger;

#[async_trait::async_trait]
impl S3Route for Younger {
    fn is_match(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        _: &mut Extensions,
    ) -> bool {
        younger(method, uri, headers).is_some()
    }

    async fn check_access(&self, request: &mut S3Request<Body>) -> S3Result<()> {
        match request.credentials.is_some() || request.extensions.get::<Asker>().is_some() {
            true => Ok(()),
            false => Err(anonymous().into()),
        }
    }

    async fn call(&self, request: S3Request<Body>) -> S3Result<S3Response<Body>> {
        let name = younger(&request.method, &request.uri, &request.headers).unwrap_or_default();
        let unnamed = || Error::NotImplemented("this operation of s3".to_owned());
        Err(refusal(name).unwrap_or_else(unnamed).into())
    }
}

/// The name of the operation that a request means, if the library does not know it.
pub(crate) fn younger(method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<&'static str> {
    let words: Vec<String> = split(uri.query()?).map(|(word, _)| word).collect();
    let fits = |(other, of_object, word, _): &&(Method, bool, &str, &str)| {
        method == other
            && words.iter().any(|given| given == word)
            && *of_object == names_an_object(uri, headers)
    };
    YOUNGER.iter().find(fits).map(|(_, _, _, name)| *name)
}

/// Whether a request is about an object and not about its bucket.
fn names_an_object(uri: &Uri, headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let path = uri.path().trim_start_matches('/');
    match Hosts.parse_host_header(host).is_ok_and(|host| host.bucket().is_some()) {
        true => !path.is_empty(),
        false => path.split_once('/').is_some_and(|(_, key)| !key.is_empty()),
    }
}

/// By method, whether it is of an object, and a word of the query.
const YOUNGER: &[(Method, bool, &str, &str)] = &[
    (Method::POST, false, "metadataConfiguration", "CreateBucketMetadataConfiguration"),
    (Method::DELETE, false, "metadataConfiguration", "DeleteBucketMetadataConfiguration"),
    (Method::GET, false, "metadataConfiguration", "GetBucketMetadataConfiguration"),
    (
        Method::PUT,
        false,
        "metadataAnnotationTable",
        "UpdateBucketMetadataAnnotationTableConfiguration",
    ),
    (
        Method::PUT,
        false,
        "metadataInventoryTable",
        "UpdateBucketMetadataInventoryTableConfiguration",
    ),
    (Method::PUT, false, "metadataJournalTable", "UpdateBucketMetadataJournalTableConfiguration"),
    (Method::GET, false, "abac", "GetBucketAbac"),
    (Method::PUT, false, "abac", "PutBucketAbac"),
    (Method::DELETE, true, "annotation", "DeleteObjectAnnotation"),
    // One annotation has a name; without one, all are listed.
    (Method::GET, true, "annotationName", "GetObjectAnnotation"),
    (Method::GET, true, "annotation", "ListObjectAnnotations"),
    (Method::PUT, true, "annotation", "PutObjectAnnotation"),
    (Method::PUT, true, "renameObject", "RenameObject"),
    (Method::PUT, true, "encryption", "UpdateObjectEncryption"),
];

const NO_DIRECTORIES: &str = "there are no directory buckets";
const NO_LOCK: &str = "objects are not locked";
const NO_METADATA: &str = "there are no metadata tables and no annotations";
const NO_REPORTS: &str = "nothing is measured or reported of what is in a bucket";
const NO_TAG_RIGHTS: &str = "tags of buckets give no rights";
const NO_WEBSITES: &str = "buckets are not served as websites";
const ONE_CLASS: &str = "there is one storage class, and nothing is archived";
const ONE_REGION: &str = "there is one region, on this machine";
const OWNER_ONLY: &str = "access control lists name the owner alone; use policies";
