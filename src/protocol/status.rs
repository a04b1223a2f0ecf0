//! The states of jobs and of job executions.
//!
//! A job is what an operator creates, a job execution is the same job on one
//! thing. The words are those of the AWS IoT API; there is no job status
//! `SUCCEEDED` or `FAILED`, those belong to executions alone.

use crate::word::words;

words! {
    /// The state of a job.
    pub enum JobStatus as "job status" {
        /// The job waits for its start time or its next maintenance window.
        Scheduled = "SCHEDULED",
        /// The job is being rolled out, or waits for devices.
        InProgress = "IN_PROGRESS",
        /// Every execution has ended.
        Completed = "COMPLETED",
        /// The job was cancelled, by somebody or by its abort criteria.
        Canceled = "CANCELED",
        /// The job is being deleted.
        DeletionInProgress = "DELETION_IN_PROGRESS",
    }
}

words! {
    /// The state of a job on one thing, in the order of life.
    pub enum JobExecutionStatus as "job execution status" {
        /// The device has not started yet.
        Queued = "QUEUED",
        /// The device is at work.
        InProgress = "IN_PROGRESS",
        /// The device reports success.
        Succeeded = "SUCCEEDED",
        /// The device reports failure.
        Failed = "FAILED",
        /// The device did not end in time.
        TimedOut = "TIMED_OUT",
        /// The device refuses the job.
        Rejected = "REJECTED",
        /// The thing stopped being a target of the job.
        Removed = "REMOVED",
        /// The job or the execution was cancelled.
        Canceled = "CANCELED",
    }
}

impl JobExecutionStatus {
    /// Whether the execution can no longer change.
    pub const fn is_terminal(self) -> bool {
        !matches!(self, Self::Queued | Self::InProgress)
    }

    /// Whether retry criteria may queue the job again after this state.
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::Failed | Self::TimedOut)
    }

    /// Whether a device may report this state.
    pub const fn is_reportable(self) -> bool {
        matches!(self, Self::InProgress | Self::Succeeded | Self::Failed | Self::Rejected)
    }
}

words! {
    /// Whether a job also reaches things that join its targets later.
    #[derive(Default)]
    pub enum TargetSelection as "target selection" {
        /// Only the things that are in the targets when the job is created.
        #[default]
        Snapshot = "SNAPSHOT",
        /// Also the things that join a target group later.
        Continuous = "CONTINUOUS",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_word_that_it_writes() {
        for status in JobExecutionStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(*status));
            let json = serde_json::to_string(status).unwrap();
            assert_eq!(json, format!("\"{status}\""));
            assert_eq!(serde_json::from_str::<JobExecutionStatus>(&json).unwrap(), *status);
        }
        for status in JobStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(*status));
        }
    }

    #[test]
    fn names_the_words_that_exist() {
        assert_eq!(
            "SUCCEEDED".parse::<JobStatus>().unwrap_err().to_string(),
            "job status `SUCCEEDED` is not known: expected one of SCHEDULED, IN_PROGRESS, \
             COMPLETED, CANCELED, DELETION_IN_PROGRESS"
        );
    }

    #[test]
    fn what_can_be_retried_has_ended() {
        for status in JobExecutionStatus::ALL {
            assert!(!status.is_retryable() || status.is_terminal(), "{status}");
        }
        assert_eq!(JobExecutionStatus::ALL.iter().filter(|s| s.is_terminal()).count(), 6);
        assert!(!JobExecutionStatus::TimedOut.is_reportable());
    }
}
