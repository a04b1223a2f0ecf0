//! Jobs as a whole: describe, list, cancel and delete them.
//!
//! Cancelling and deleting begin here and go on in portions when the clock advances, so
//! that a job over a million things does not hold up everybody else. How jobs begin and
//! change is in `create`.

use std::sync::Arc;

use iotstack_protocol::{JobExecutionStatus, JobStatus, TargetSelection};

use super::{Engine, Force, Page};
use crate::effect::{Effect, JobOperation};
use crate::error::{Error, Result, invalid};
use crate::job::{Counts, JobSummary, JobView, ScheduledRollout, Sweep};
use crate::text::{check_text, shortened};
use crate::time::{Time, format};

/// Why a job is cancelled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CancelJob {
    /// Upper-case letters, digits and `_`, at most 128.
    pub reason_code: Option<String>,
    /// At most 2028 characters.
    pub comment: Option<String>,
}

/// Which jobs a list is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Only jobs in this state.
    pub status: Option<JobStatus>,
    /// Only jobs of this kind.
    pub target_selection: Option<TargetSelection>,
    /// Only jobs that target this group.
    pub thing_group_name: Option<String>,
    /// Only jobs of this namespace.
    pub namespace_id: Option<String>,
}

impl Engine {
    /// A job, as DescribeJob shows it.
    pub fn job(&self, id: &str, now: Time) -> Result<JobView> {
        let index = self.find(id)?;
        let job = &self.jobs[index];
        let (record, request) = (&job.record, job.record.request.clone());
        let windows = if job.is_active() { job.schedule.next_windows(now, 7) } else { Vec::new() };
        Ok(JobView {
            job_arn: self.job_arn(id),
            job_id: Arc::clone(&record.id),
            target_selection: job.selection(),
            status: record.status,
            force_canceled: record.force_canceled,
            reason_code: record.reason_code.clone(),
            comment: record.comment.clone(),
            targets: request.targets,
            description: request.description,
            presigned_url_config: request.presigned_url_config.unwrap_or_default(),
            job_executions_rollout_config: request.job_executions_rollout_config,
            abort_config: request.abort_config,
            created_at: record.created_at,
            last_updated_at: record.updated_at,
            completed_at: record.completed_at,
            job_process_details: job.process_details(),
            timeout_config: request.timeout_config,
            job_executions_retry_config: request.job_executions_retry_config,
            namespace_id: request.namespace_id,
            job_template_arn: request.job_template_arn,
            document_parameters: request.document_parameters,
            is_concurrent: self.slots.contains(&index) || record.sweep.is_some(),
            scheduling_config: request.scheduling_config,
            scheduled_job_rollouts: windows
                .into_iter()
                .map(|at| ScheduledRollout { start_time: format(at) })
                .collect(),
            destination_package_versions: request.destination_package_versions,
        })
    }

    /// The document of a job, with its placeholders.
    pub fn job_document(&self, id: &str) -> Result<Arc<str>> {
        Ok(Arc::clone(&self.jobs[self.find(id)?].document))
    }

    /// Where the document of a job was fetched.
    pub fn document_source(&self, id: &str) -> Result<Option<&str>> {
        Ok(self.jobs[self.find(id)?].record.request.document_source.as_deref())
    }

    /// The role that signs the URLs of a job, and how long they last in seconds.
    pub fn presigning(&self, id: &str) -> Result<(Option<&str>, u64)> {
        let config = self.jobs[self.find(id)?].record.request.presigned_url_config.as_ref();
        let seconds = config.and_then(|c| c.expires_in_sec).unwrap_or(3600);
        let role = config.and_then(|config| config.role_arn.as_deref());
        Ok((role, seconds.unsigned_abs()))
    }

    /// How many executions are in a state, and how many have ever entered one.
    pub fn job_metrics(&self, id: &str) -> Result<(Counts, [u64; 8])> {
        let job = &self.jobs[self.find(id)?];
        Ok((job.executions, job.entered))
    }

    /// The rate of a rollout in things per minute, and how many things wait.
    pub fn rollout(&self, id: &str) -> Result<(u32, usize)> {
        let job = &self.jobs[self.find(id)?];
        let succeeded = job.entered[JobExecutionStatus::Succeeded as usize];
        let config = job.record.request.job_executions_rollout_config.as_ref();
        Ok((job.record.rollout.clone().rate(config, succeeded), job.waiting.len()))
    }

    /// The jobs, the newest first.
    pub fn list_jobs(
        &self,
        filter: &JobFilter,
        page: &Page,
    ) -> Result<(Vec<JobSummary>, Option<String>)> {
        let size = page.size()?;
        let from = page.token::<u32>()?.unwrap_or(u32::MAX);
        let group = filter.thing_group_name.as_ref().map(|name| self.scope.arn("thinggroup", name));
        let found = self.jobs.list.iter().rev().flatten().filter(|job| {
            let (record, request) = (&job.record, &job.record.request);
            record.sequence < from
                && filter.status.is_none_or(|status| record.status == status)
                && filter.target_selection.is_none_or(|kind| job.selection() == kind)
                && group.as_ref().is_none_or(|group| request.targets.contains(group))
                && (filter.namespace_id.is_none() || filter.namespace_id == request.namespace_id)
        });
        let mut last = None;
        let mut summaries = Vec::new();
        for job in found {
            if summaries.len() == size {
                return Ok((summaries, last));
            }
            let record = &job.record;
            last = Some(record.sequence.to_string());
            summaries.push(JobSummary {
                job_arn: self.job_arn(&record.id),
                job_id: Arc::clone(&record.id),
                target_selection: job.selection(),
                status: record.status,
                created_at: record.created_at,
                last_updated_at: record.updated_at,
                completed_at: record.completed_at,
                is_concurrent: self.slots.contains(&record.sequence) || record.sweep.is_some(),
            });
        }
        Ok((summaries, None))
    }

    /// Cancels a job; by force also on devices that are at work.
    ///
    /// A job that was cancelled can be cancelled again by force.
    pub fn cancel_job(
        &mut self,
        id: &str,
        request: CancelJob,
        force: Force,
        now: Time,
        out: &mut Vec<Effect>,
    ) -> Result<()> {
        self.advance(now, out);
        let index = self.find(id)?;
        if let Some(code) = &request.reason_code {
            let is_code = |c: char| c.is_uppercase() || c.is_numeric() || c == '_';
            let length = code.chars().count();
            if !(1..=128).contains(&length) || !code.chars().all(is_code) {
                return invalid(format!(
                    "reasonCode `{}` is not valid: expected 1 to 128 upper-case letters, digits \
                     and `_`",
                    shortened(code)
                ));
            }
        }
        check_text("comment", request.comment.as_deref(), 2028)?;
        let record = &mut self.jobs[index].record;
        let again =
            record.status == JobStatus::Canceled && force == Force::Yes && !record.force_canceled;
        if !matches!(record.status, JobStatus::InProgress | JobStatus::Scheduled) && !again {
            return invalid(format!(
                "the job `{id}` is {}: expected SCHEDULED or IN_PROGRESS",
                record.status
            ));
        }
        record.reason_code = request.reason_code.or(record.reason_code.take());
        record.comment = request.comment.or(record.comment.take());
        self.cancel(index, force == Force::Yes, now, out);
        Ok(())
    }

    /// Begins to delete a job; by force also one that is active.
    pub fn delete_job(
        &mut self,
        id: &str,
        force: Force,
        now: Time,
        out: &mut Vec<Effect>,
    ) -> Result<()> {
        self.advance(now, out);
        let index = self.find(id)?;
        let status = self.jobs[index].record.status;
        let ended = matches!(status, JobStatus::Completed | JobStatus::Canceled);
        let deleting = status == JobStatus::DeletionInProgress;
        if deleting || (!ended && force == Force::No) {
            let expected = if deleting { "" } else { ": expected COMPLETED or CANCELED, or force" };
            return Err(Error::InvalidStateTransition {
                message: format!("the job `{id}` is {status}{expected}"),
                state: None,
            });
        }
        if self.deleting >= self.limits.deleting_jobs {
            return Err(Error::LimitExceeded(format!(
                "{} jobs are being deleted: expected at most {}",
                self.deleting, self.limits.deleting_jobs
            )));
        }
        self.stop_waiting(index);
        self.leave_slot(index, now);
        self.set_job_status(index, JobStatus::DeletionInProgress);
        self.deleting += 1;
        let job = &mut self.jobs[index];
        job.record.updated_at = now;
        job.record.sweep = Some(Sweep::Delete { quietly: false });
        out.push(Effect::Job(job.effect(JobOperation::DeletionInProgress)));
        self.touch_job(index);
        self.plan(index, now);
        Ok(())
    }
}
