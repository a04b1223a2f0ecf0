//! Firmware jobs: the document that a device receives, and how a job is rolled out.
//!
//! The document says what to install, the settings say how fast, and when to
//! stop. They meet only in CreateJob; devices never see the settings.

pub mod document;
pub mod settings;

pub use document::{DOCUMENT_LIMIT, Firmware, JobDocument, Operation, Sha256Digest, Signature};
pub use settings::{
    AbortCriterion, AbortFailureType, ExponentialRate, JobSettings, RetryCriterion,
    RetryFailureType, Rollout,
};

pub use crate::name::{JobId, ThingGroupName, ThingName};
