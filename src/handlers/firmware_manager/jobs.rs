//! `check_job_status`, `cancel_job` and `list_jobs`: jobs that exist.
//!
//! The words are those of AWS IoT. Counts are per state of an execution, so that
//! a caller sees at a glance how far a rollout has come.

use aws_sdk_iot::types::{Job, JobProcessDetails, JobStatus as IotJobStatus, JobSummary};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use iotstack_protocol::{JobId, JobStatus};
use serde_json::{Value, json};

use super::FirmwareManager;
use super::answer::{Answer, Refusal};
use super::request::{CancelJob, ListJobs};
use crate::Error;
use crate::error::failed;

impl FirmwareManager {
    pub(super) async fn check_job_status(&self, job_id: &JobId) -> Result<Answer, Refusal> {
        let job = self.describe(job_id).await?;
        let counts = job.job_process_details.as_ref().map(counts);
        let targets = job.targets();
        Ok(Answer::ok(json!({
            "job_id": job_id,
            "job_arn": job.job_arn,
            "status": job.status.as_ref().map(IotJobStatus::as_str),
            "executions": counts,
            "description": job.description,
            "target_selection": job.target_selection.as_ref().map(|s| s.as_str()),
            "targets": targets,
            "created_at": time(job.created_at),
            "last_updated_at": time(job.last_updated_at),
            "completed_at": time(job.completed_at),
            "reason_code": job.reason_code,
            "reason": job.comment,
            "force_canceled": job.force_canceled.unwrap_or(false),
        })))
    }

    pub(super) async fn cancel_job(&self, request: CancelJob) -> Result<Answer, Refusal> {
        let job_id = &request.job_id;
        let call = self.iot.cancel_job().job_id(job_id.as_str()).force(request.force);
        let call = call.reason_code(REASON_CODE).set_comment(request.reason.clone());
        let answer = |arn: Option<String>| {
            Answer::ok(json!({
                "job_id": job_id,
                "job_arn": arn,
                "status": JobStatus::Canceled,
                "forced": request.force,
                "reason": request.reason,
            }))
        };
        let error = match call.send().await.map_err(failed("CancelJob")) {
            Ok(canceled) => return Ok(answer(canceled.job_arn)),
            Err(error) if error.is_not_found() => return Err(no_job(job_id)),
            Err(error) => error,
        };
        let is_state = ["InvalidRequestException", "InvalidStateTransitionException"]
            .map(|c| error.has_code(c));
        if !is_state.contains(&true) {
            return Err(error.into());
        }
        // AWS IoT does not say which: find out whether there is nothing to cancel.
        let job = self.describe(job_id).await?;
        match job.status {
            Some(IotJobStatus::Canceled) => Ok(answer(job.job_arn)),
            Some(IotJobStatus::InProgress | IotJobStatus::Scheduled) | None => Err(error.into()),
            Some(status) => {
                let message = format!("job `{job_id}` is {status} and cannot be canceled");
                Err(Refusal::new(409, "JobEnded", message).with("status", status.as_str()))
            }
        }
    }

    pub(super) async fn list_jobs(&self, request: ListJobs) -> Result<Answer, Refusal> {
        let status = request.status.map(|status| IotJobStatus::from(status.as_str()));
        let call = self.iot.list_jobs().max_results(request.max_results.cast_signed());
        let call = call
            .set_status(status)
            .set_thing_group_name(request.thing_group.as_ref().map(ToString::to_string))
            .set_next_token(request.next_token);
        let answer =
            call.send().await.map_err(failed("ListJobs")).map_err(|error| {
                match &request.thing_group {
                    Some(group) if error.is_not_found() => {
                        let message = format!("there is no thing group `{group}`");
                        Refusal::new(404, "ThingGroupNotFound", message)
                    }
                    _ => error.into(),
                }
            })?;
        let own = |job: &&JobSummary| {
            let job_id = job.job_id().and_then(|id| id.parse().ok());
            job_id.is_some_and(|job_id| self.settings.own(&job_id).is_ok())
        };
        let jobs: Vec<Value> = answer.jobs().iter().filter(own).map(summary).collect();
        Ok(Answer::ok(json!({ "jobs": jobs, "next_token": answer.next_token })))
    }

    async fn describe(&self, job_id: &JobId) -> Result<Job, Refusal> {
        let answer = self.iot.describe_job().job_id(job_id.as_str()).send().await;
        match answer.map_err(failed("DescribeJob")) {
            Ok(answer) => answer.job.ok_or_else(|| no_job(job_id)),
            Err(error) if error.is_not_found() => Err(no_job(job_id)),
            Err(error) => Err(Error::into(error)),
        }
    }
}

fn no_job(job_id: &JobId) -> Refusal {
    Refusal::new(404, "JobNotFound", format!("there is no job `{job_id}`"))
}

fn counts(details: &JobProcessDetails) -> Value {
    json!({
        "QUEUED": details.number_of_queued_things.unwrap_or(0),
        "IN_PROGRESS": details.number_of_in_progress_things.unwrap_or(0),
        "SUCCEEDED": details.number_of_succeeded_things.unwrap_or(0),
        "FAILED": details.number_of_failed_things.unwrap_or(0),
        "TIMED_OUT": details.number_of_timed_out_things.unwrap_or(0),
        "REJECTED": details.number_of_rejected_things.unwrap_or(0),
        "REMOVED": details.number_of_removed_things.unwrap_or(0),
        "CANCELED": details.number_of_canceled_things.unwrap_or(0),
    })
}

fn summary(job: &JobSummary) -> Value {
    json!({
        "job_id": job.job_id,
        "job_arn": job.job_arn,
        "status": job.status.as_ref().map(IotJobStatus::as_str),
        "target_selection": job.target_selection.as_ref().map(|s| s.as_str()),
        "created_at": time(job.created_at),
        "last_updated_at": time(job.last_updated_at),
        "completed_at": time(job.completed_at),
    })
}

/// A time as ISO 8601 has it.
fn time(time: Option<DateTime>) -> Option<String> {
    time.and_then(|time| time.fmt(Format::DateTime).ok())
}

/// AWS IoT wants capital letters, digits and `_`.
const REASON_CODE: &str = "CANCELED_BY_OPERATOR";
