//! A job: what it asks for, how far it is, and how it is shown.
//!
//! [`JobRecord`] is what must survive a crash; the counters and indices of [`Job`]
//! are counted again from the executions. The views have the names of the API and
//! serialize as DescribeJob and ListJobs answer them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use iotstack_protocol::{JobExecutionStatus, JobStatus, TargetSelection};
use serde::{Deserialize, Serialize, Serializer};

use crate::config::{
    AbortConfig, FailureType, PresignedUrlConfig, RetryConfig, RolloutConfig, SchedulingConfig,
    TimeoutConfig,
};
use crate::effect::{JobEffect, JobOperation};
use crate::rollout::Rollout;
use crate::schedule::Schedule;
use crate::time::Time;

/// A request to create a job; the names are those of the API.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CreateJob {
    /// The ARNs of things and thing groups.
    pub targets: Vec<String>,
    /// What devices are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// Where the caller has fetched the document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document_source: Option<String>,
    /// What the job is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether things that join later are targets too; not if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_selection: Option<TargetSelection>,
    /// How presigned URLs are made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presigned_url_config: Option<PresignedUrlConfig>,
    /// How fast things are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_executions_rollout_config: Option<RolloutConfig>,
    /// When the job is cancelled by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abort_config: Option<AbortConfig>,
    /// How long a device may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_config: Option<TimeoutConfig>,
    /// How often a thing is asked again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_executions_retry_config: Option<RetryConfig>,
    /// When the job starts, ends and pauses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduling_config: Option<SchedulingConfig>,
    /// Labels of the job.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// Whose jobs these are, if not the device's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_id: Option<String>,
    /// The template that supplies what is absent here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_template_arn: Option<String>,
    /// Values for a managed template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document_parameters: Option<BTreeMap<String, String>>,
    /// The software versions that the job brings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination_package_versions: Option<Vec<String>>,
}

/// A label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Tag {
    /// Its name.
    pub key: String,
    /// Its value.
    #[serde(default)]
    pub value: Option<String>,
}

/// A request to change a job.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UpdateJob {
    /// What the job is about.
    pub description: Option<String>,
    /// How presigned URLs are made.
    pub presigned_url_config: Option<PresignedUrlConfig>,
    /// How fast things are told.
    pub job_executions_rollout_config: Option<RolloutConfig>,
    /// When the job is cancelled by itself.
    pub abort_config: Option<AbortConfig>,
    /// How long a device may take that starts from now on.
    pub timeout_config: Option<TimeoutConfig>,
    /// May only set every number of retries to 0.
    pub job_executions_retry_config: Option<RetryConfig>,
}

/// What of a job must survive.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct JobRecord {
    /// The jobs are numbered in the order of their creation.
    pub sequence: u32,
    pub id: Arc<str>,
    pub request: CreateJob,
    pub status: JobStatus,
    pub force_canceled: bool,
    pub reason_code: Option<String>,
    pub comment: Option<String>,
    pub created_at: Time,
    pub updated_at: Time,
    pub completed_at: Option<Time>,
    pub rollout: Rollout,
    /// The first rollout is over, so that things that join are told at once.
    pub rolled_out: bool,
    /// The end time is over.
    pub ended: bool,
    pub sweep: Option<Sweep>,
}

/// Work on all executions of a job that is done in portions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Sweep {
    /// Cancels what is pending from this thing on.
    Cancel { forced: bool, from: u32 },
    /// Deletes everything.
    Delete { quietly: bool },
}

#[derive(Debug)]
pub(crate) struct Job {
    pub record: JobRecord,
    pub schedule: Schedule,
    /// Things that are not told yet.
    pub waiting: BTreeSet<u32>,
    /// The newest attempt of each thing.
    pub latest: BTreeMap<u32, u32>,
    /// Things by the state of their newest attempt.
    pub things: Counts,
    /// All executions by their state.
    pub executions: Counts,
    /// How many executions have ever entered a state.
    pub entered: [u64; 8],
    pub wake: Option<Time>,
    /// The record waits to be written down.
    pub changed: bool,
    pub namespace: Option<Arc<str>>,
    pub document: Arc<str>,
}

/// Counts by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts([u32; 8]);

impl Counts {
    /// How many are in a state.
    pub const fn of(&self, status: JobExecutionStatus) -> u32 {
        self.0[status as usize]
    }

    /// How many are not in an end state.
    pub const fn pending(&self) -> u32 {
        self.of(JobExecutionStatus::Queued) + self.of(JobExecutionStatus::InProgress)
    }

    /// How many are in an end state.
    pub fn ended(&self) -> u32 {
        self.0.iter().sum::<u32>() - self.pending()
    }

    /// How many have failed in this way.
    pub(crate) const fn failed(&self, kind: FailureType) -> u32 {
        match kind {
            FailureType::Failed => self.of(JobExecutionStatus::Failed),
            FailureType::Rejected => self.of(JobExecutionStatus::Rejected),
            FailureType::TimedOut => self.of(JobExecutionStatus::TimedOut),
            FailureType::All => {
                self.of(JobExecutionStatus::Failed)
                    + self.of(JobExecutionStatus::Rejected)
                    + self.of(JobExecutionStatus::TimedOut)
            }
        }
    }

    pub(crate) fn add(&mut self, status: JobExecutionStatus) {
        self.0[status as usize] += 1;
    }

    pub(crate) fn subtract(&mut self, status: JobExecutionStatus) {
        self.0[status as usize] -= 1;
    }
}

/// How the things of a job stand, as DescribeJob has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names of the API say it")]
pub struct ProcessDetails {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processing_targets: Option<Vec<String>>,
    pub number_of_canceled_things: u32,
    pub number_of_succeeded_things: u32,
    pub number_of_failed_things: u32,
    pub number_of_rejected_things: u32,
    pub number_of_queued_things: u32,
    pub number_of_in_progress_things: u32,
    pub number_of_removed_things: u32,
    pub number_of_timed_out_things: u32,
}

/// A job, as DescribeJob shows it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names of the API say it")]
pub struct JobView {
    pub job_arn: String,
    pub job_id: Arc<str>,
    pub target_selection: TargetSelection,
    pub status: JobStatus,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub force_canceled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    pub targets: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub presigned_url_config: PresignedUrlConfig,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_executions_rollout_config: Option<RolloutConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abort_config: Option<AbortConfig>,
    #[serde(serialize_with = "epoch")]
    pub created_at: Time,
    #[serde(serialize_with = "epoch")]
    pub last_updated_at: Time,
    #[serde(serialize_with = "optional_epoch", skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Time>,
    pub job_process_details: ProcessDetails,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_config: Option<TimeoutConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_executions_retry_config: Option<RetryConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_template_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document_parameters: Option<BTreeMap<String, String>>,
    pub is_concurrent: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduling_config: Option<SchedulingConfig>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scheduled_job_rollouts: Vec<ScheduledRollout>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination_package_versions: Option<Vec<String>>,
}

/// When a maintenance window opens.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScheduledRollout {
    /// In UTC, such as `2030-01-31 18:30`.
    pub start_time: String,
}

/// A job, as ListJobs shows it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names of the API say it")]
pub struct JobSummary {
    pub job_arn: String,
    pub job_id: Arc<str>,
    pub target_selection: TargetSelection,
    pub status: JobStatus,
    #[serde(serialize_with = "epoch")]
    pub created_at: Time,
    #[serde(serialize_with = "epoch")]
    pub last_updated_at: Time,
    #[serde(serialize_with = "optional_epoch", skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Time>,
    pub is_concurrent: bool,
}

impl Job {
    pub(crate) fn selection(&self) -> TargetSelection {
        self.record.request.target_selection.unwrap_or_default()
    }

    /// Whether the job may still queue executions.
    pub(crate) fn is_active(&self) -> bool {
        matches!(self.record.status, JobStatus::InProgress | JobStatus::Scheduled)
    }

    /// Whether nothing is left to do: every execution has ended and none will come.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.waiting.is_empty()
            && self.executions.pending() == 0
            && (self.selection() == TargetSelection::Snapshot || self.record.ended)
    }

    /// The first abort criterion that holds.
    pub(crate) fn abort_reason(&self) -> Option<String> {
        let config = self.record.request.abort_config.as_ref()?;
        let ended = self.executions.ended();
        config.criteria_list.iter().find_map(|criterion| {
            let failed = self.executions.failed(criterion.failure_type);
            let share = f64::from(failed) * 100.0 / f64::from(ended.max(1));
            let holds = i64::from(ended) >= criterion.min_number_of_executed_things
                && failed > 0
                && share >= criterion.threshold_percentage;
            holds.then(|| {
                format!(
                    "{failed} of {ended} executions ended as {}: the threshold is {} percent of at \
                     least {}",
                    criterion.failure_type.as_str(),
                    criterion.threshold_percentage,
                    criterion.min_number_of_executed_things
                )
            })
        })
    }

    pub(crate) fn process_details(&self) -> ProcessDetails {
        let things = |status| self.things.of(status);
        let rolling = self.is_active() && !self.waiting.is_empty();
        ProcessDetails {
            processing_targets: rolling.then(|| self.record.request.targets.clone()),
            number_of_canceled_things: things(JobExecutionStatus::Canceled),
            number_of_succeeded_things: things(JobExecutionStatus::Succeeded),
            number_of_failed_things: things(JobExecutionStatus::Failed),
            number_of_rejected_things: things(JobExecutionStatus::Rejected),
            number_of_queued_things: things(JobExecutionStatus::Queued),
            number_of_in_progress_things: things(JobExecutionStatus::InProgress),
            number_of_removed_things: things(JobExecutionStatus::Removed),
            number_of_timed_out_things: things(JobExecutionStatus::TimedOut),
        }
    }

    pub(crate) fn effect(&self, operation: JobOperation) -> Box<JobEffect> {
        Box::new(JobEffect {
            operation,
            job: Arc::clone(&self.record.id),
            target_selection: self.selection(),
            targets: self.record.request.targets.clone(),
            description: self.record.request.description.clone(),
            comment: self.record.comment.clone(),
            created_at: self.record.created_at,
            last_updated_at: self.record.updated_at,
            completed_at: self.record.completed_at,
            process_details: self.process_details(),
        })
    }
}

impl FailureType {
    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            FailureType::Failed => "FAILED",
            FailureType::Rejected => "REJECTED",
            FailureType::TimedOut => "TIMED_OUT",
            FailureType::All => "ALL",
        }
    }
}

pub(crate) fn epoch<S: Serializer>(time: &Time, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.fractional_seconds())
}

fn optional_epoch<S: Serializer>(time: &Option<Time>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => epoch(time, serializer),
        None => serializer.serialize_none(),
    }
}
