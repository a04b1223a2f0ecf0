//! What the world must be told after an input.
//!
//! An effect says that something has changed, not how the message reads: a caller
//! that writes a notification asks the engine for the pending list then, so that
//! no message is older than an answer which has already been given. Effects about
//! things that may be gone by then carry what is needed.

use std::collections::BTreeMap;
use std::sync::Arc;

use iotstack_protocol::{JobExecutionStatus, TargetSelection};

use crate::job::ProcessDetails;
use crate::thing::ThingIndex;
use crate::time::Time;

/// What a device says about its progress: up to ten pairs of words.
pub type Details = Option<Arc<BTreeMap<String, String>>>;

/// One consequence of an input.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Effect {
    /// The pending list of a thing has changed: publish `notify`.
    Notify {
        /// The thing.
        thing: ThingIndex,
        /// The namespace of the job, if it has one: publish `notify-namespace-…`.
        namespace: Option<Arc<str>>,
    },
    /// Another execution is next for a thing, or none is: publish `notify-next`.
    NotifyNext {
        /// The thing.
        thing: ThingIndex,
    },
    /// An execution has entered a state or was deleted.
    Execution(ExecutionEffect),
    /// A job was completed, cancelled or deleted.
    Job(Box<JobEffect>),
}

/// An execution has changed.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecutionEffect {
    /// What happened.
    pub change: ExecutionChange,
    /// The job.
    pub job: Arc<str>,
    /// The thing.
    pub thing: ThingIndex,
    /// Which attempt.
    pub number: u32,
    /// The state that it is in, or was in when it was deleted.
    pub status: JobExecutionStatus,
    /// What the device has reported last.
    pub details: Details,
}

/// What happened to an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecutionChange {
    /// It entered its state.
    Entered,
    /// The device reported progress without leaving its state.
    Progressed,
    /// Somebody deleted it.
    Deleted,
}

impl ExecutionEffect {
    /// The last word of the event topic; none for changes that AWS does not publish.
    pub fn operation(&self) -> Option<&'static str> {
        match (self.change, self.status) {
            (ExecutionChange::Deleted, _) => Some("deleted"),
            (ExecutionChange::Progressed, _) => None,
            (ExecutionChange::Entered, JobExecutionStatus::Succeeded) => Some("succeeded"),
            (ExecutionChange::Entered, JobExecutionStatus::Failed) => Some("failed"),
            (ExecutionChange::Entered, JobExecutionStatus::TimedOut) => Some("timed_out"),
            (ExecutionChange::Entered, JobExecutionStatus::Rejected) => Some("rejected"),
            (ExecutionChange::Entered, JobExecutionStatus::Removed) => Some("removed"),
            (ExecutionChange::Entered, JobExecutionStatus::Canceled) => Some("canceled"),
            (
                ExecutionChange::Entered,
                JobExecutionStatus::Queued | JobExecutionStatus::InProgress,
            ) => None,
        }
    }
}

/// What happened to a job, with everything that its event says.
#[derive(Debug, Clone, PartialEq)]
pub struct JobEffect {
    /// What happened.
    pub operation: JobOperation,
    /// The job.
    pub job: Arc<str>,
    /// Whether things that join later are targets too.
    pub target_selection: TargetSelection,
    /// The ARNs of the targets.
    pub targets: Vec<String>,
    /// What it is about.
    pub description: Option<String>,
    /// Why it was cancelled.
    pub comment: Option<String>,
    /// When it was created.
    pub created_at: Time,
    /// When it was changed last.
    pub last_updated_at: Time,
    /// When it ended.
    pub completed_at: Option<Time>,
    /// How its executions stand.
    pub process_details: ProcessDetails,
}

/// What happened to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobOperation {
    /// Every execution has ended.
    Completed,
    /// The cancellation has reached every execution.
    Canceled,
    /// The job and its executions are gone.
    Deleted,
    /// The cancellation has begun.
    CancellationInProgress,
    /// The deletion has begun.
    DeletionInProgress,
}

impl JobOperation {
    /// The last word of the event topic.
    pub const fn as_str(self) -> &'static str {
        match self {
            JobOperation::Completed => "completed",
            JobOperation::Canceled => "canceled",
            JobOperation::Deleted => "deleted",
            JobOperation::CancellationInProgress => "cancellation_in_progress",
            JobOperation::DeletionInProgress => "deletion_in_progress",
        }
    }

    /// The status that the event tells.
    pub const fn status(self) -> &'static str {
        match self {
            JobOperation::Completed => "COMPLETED",
            JobOperation::Canceled => "CANCELED",
            JobOperation::Deleted => "DELETED",
            JobOperation::CancellationInProgress => "CANCELLATION_IN_PROGRESS",
            JobOperation::DeletionInProgress => "DELETION_IN_PROGRESS",
        }
    }
}
