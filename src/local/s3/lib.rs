//! S3 of the local cloud: buckets, versions, multipart uploads, presigned URLs.
//!
//! The wire (REST-XML, signatures, `aws-chunked`) is the library `s3s`; state and
//! meaning are ours, and no type of the library is seen outside of this crate.
//! [`install`] gives the [`Front`] that answers requests; other services read
//! and write through the kernel's `Objects` port, and CloudFormation makes
//! `AWS::S3::Bucket` and `AWS::S3::BucketPolicy`.
//!
//! Real: versioning with delete markers, ranges, conditions, checksums, tags,
//! copies, multipart uploads, signatures, presigned URLs with their expiry, and
//! IAM permissions of the caller, notifications to functions, queues, topics
//! and the event bus. Bytes lie in memory, or in files of the state folder whose
//! names say nothing about keys.
//!
//! Stored and given back, but without effect: bucket policies (a policy that
//! demands TLS would shut out the plain endpoint), CORS, lifecycle rules,
//! encryption. Not offered: replication, object lock, select, websites, access
//! control lists other than the owner's.

mod access;
mod blob;
mod body;
mod bucket;
mod condition;
mod configuration;
mod coverage;
mod error;
mod front;
mod listing;
mod members;
mod multipart;
mod notify;
mod object;
mod operations;
mod port;
mod presign;
mod record;
mod refused;
mod resources;
mod store;
mod tags;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use iotstack_local_kernel::{Cloud, StoreError};

pub use error::Error;
pub use front::{Front, Payload};

use presign::Presigner;
use store::Buckets;

/// Restores all buckets, serves the `Objects` port and the CloudFormation types,
/// and gives what answers requests.
///
/// # Errors
/// If the state cannot be read.
pub fn install(cloud: &Arc<Cloud>) -> Result<Front, StoreError> {
    let buckets = Arc::new(Buckets::restore(cloud)?);
    let presigner = Arc::new(Presigner::restore(cloud)?);
    cloud.ports.serve_objects(Arc::new(port::Port {
        buckets: buckets.clone(),
        presigner: presigner.clone(),
    }));
    resources::register(cloud, &buckets);
    Ok(Front::new(cloud, buckets, presigner))
}

/// The operations that work, for the coverage list.
pub const OPERATIONS: &[&str] = coverage::OFFERED;

/// The operations that are refused, with the reason, for the coverage list.
pub const REFUSED: &[(&str, &str)] = refused::REFUSED;
