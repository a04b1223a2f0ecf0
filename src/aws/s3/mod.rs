//! S3: buckets and their policies.
//!
//! The `Cfn…` types are the L1: one per CloudFormation type, with every property it
//! has. They describe resources and do nothing by themselves; nothing here calls AWS.

pub mod bucket;
pub mod cfn;

pub use bucket::{Bucket, BucketRef, Encryption, Lifecycle, Removal};
pub use cfn::*;
