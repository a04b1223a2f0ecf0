//! What a simulation needs of the cloud besides its wire: the operator's side.
//!
//! Devices speak MQTT and HTTP by themselves. Uploading and signing firmware, making
//! the job and looking at it go through the cloud's API, which the program knows and
//! this crate does not: it is given a [`Cloud`].

use std::future::Future;
use std::pin::Pin;

use iotstack_protocol::{FirmwareVersion, JobExecutionStatus, JobId, JobSettings, JobStatus};
use serde::Serialize;

use crate::Result;

/// An answer of the cloud that is on its way.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// The operator's side of a cloud.
pub trait Cloud: Send + Sync {
    /// Uploads and signs an image and makes the job that rolls it out.
    fn roll_out<'a>(&'a self, rollout: &'a Rollout) -> Answer<'a, JobId>;

    /// How a job stands.
    fn job<'a>(&'a self, job: &'a JobId) -> Answer<'a, JobView>;

    /// Cancels a job, executions in progress included.
    fn cancel_job<'a>(&'a self, job: &'a JobId) -> Answer<'a, ()>;

    /// Cancels the execution of a job on one thing, in progress or not.
    fn cancel_execution<'a>(&'a self, thing: &'a str, job: &'a JobId) -> Answer<'a, ()>;

    /// Kills the cloud and starts it again; `false` if that is not in anybody's power.
    fn restart(&self) -> Answer<'_, bool> {
        Box::pin(async { Ok(false) })
    }
}

/// What is to be rolled out.
#[derive(Debug, Clone)]
pub struct Rollout {
    /// The image.
    pub image: bytes::Bytes,
    /// Its version.
    pub version: FirmwareVersion,
    /// How it is rolled out; as the cloud does it by itself if nothing is said.
    pub settings: Option<JobSettings>,
    /// The names of the things.
    pub things: Vec<String>,
}

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct JobView {
    /// Its status.
    pub status: JobStatus,
    /// Executions that wait.
    pub queued: u64,
    /// Executions at work.
    pub in_progress: u64,
    /// Executions that ended with SUCCEEDED.
    pub succeeded: u64,
    /// Executions that ended with FAILED.
    pub failed: u64,
    /// Executions that ended with REJECTED.
    pub rejected: u64,
    /// Executions that ended with TIMED_OUT.
    pub timed_out: u64,
    /// Executions that ended with CANCELED.
    pub canceled: u64,
    /// Executions that ended with REMOVED.
    pub removed: u64,
}

impl JobView {
    /// A job in this status, with so many executions in each state.
    pub fn new(status: JobStatus, count: impl Fn(JobExecutionStatus) -> u64) -> Self {
        JobView {
            status,
            queued: count(JobExecutionStatus::Queued),
            in_progress: count(JobExecutionStatus::InProgress),
            succeeded: count(JobExecutionStatus::Succeeded),
            failed: count(JobExecutionStatus::Failed),
            rejected: count(JobExecutionStatus::Rejected),
            timed_out: count(JobExecutionStatus::TimedOut),
            canceled: count(JobExecutionStatus::Canceled),
            removed: count(JobExecutionStatus::Removed),
        }
    }

    /// Whether nothing more will happen.
    pub fn is_over(&self) -> bool {
        matches!(self.status, JobStatus::Completed | JobStatus::Canceled)
            && self.in_progress == 0
            && self.queued == 0
    }
}
