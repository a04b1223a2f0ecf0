//! `create_job`: from an image in S3 to a job that brings it to devices.
//!
//! Everything that can be refused is refused before the job exists. A repeated
//! request finds the job that the first one has created, because the id holds
//! the id of the invocation; Lambda keeps that when it tries an event again.

use aws_sdk_iot::operation::create_job::builders::CreateJobFluentBuilder;
use aws_sdk_iot::types::{
    AbortAction, AbortConfig, AbortCriteria, ExponentialRolloutRate, JobExecutionFailureType,
    JobExecutionsRetryConfig, JobExecutionsRolloutConfig, PresignedUrlConfig, RateIncreaseCriteria,
    RetryCriteria, RetryableFailureType, TargetSelection, TimeoutConfig,
};
use iotstack_protocol::jobs::{ExponentialRate, Rollout};
use iotstack_protocol::{JobDocument, JobId, JobSettings, ThingGroupName};
use serde_json::{Value, json};
use tracing::info;

use super::FirmwareManager;
use super::answer::{Answer, Refusal};
use super::request::CreateJob;
use crate::error::failed;
use crate::function::Invocation;

impl FirmwareManager {
    pub(super) async fn create_job(
        &self,
        request: CreateJob,
        invocation: &Invocation,
    ) -> Result<Answer, Refusal> {
        let image = self.image(&request).await?;
        let (target, found) =
            tokio::try_join!(self.target(&request.thing_group), self.signature(&request, &image))?;
        // Last, because it takes as long as the image is large.
        let sha256 = self.sha256(&image).await?;
        let document = JobDocument::firmware_update(
            request.firmware_version.clone(),
            &image.object,
            image.size,
            sha256,
            &found.signature,
            self.settings.certificate.clone(),
        )?;
        let document = document.to_json()?;
        let job_id = request.job_id.clone().unwrap_or_else(|| {
            JobId::for_firmware(
                &self.settings.job_id_prefix,
                &request.firmware_version,
                &invocation.request_id,
            )
        });

        let (arn, is_new) = self.create(&request, &job_id, &target, &document).await?;
        info!(%job_id, is_new, "firmware job");
        Ok(Answer::ok(json!({
            "job_id": job_id,
            "job_arn": arn,
            "created": is_new,
            "firmware_version": request.firmware_version,
            "thing_group": request.thing_group,
            "target_selection": request.target_selection,
            "s3_bucket": image.object.bucket(),
            "s3_key": image.object.key(),
            "s3_version_id": image.object.version_id(),
            "size": image.size,
            "sha256": sha256,
            "signed_object_key": found.key,
            "signing_job_id": found.signing_job_id,
        })))
    }

    /// The ARN of the group that the job is for.
    async fn target(&self, group: &ThingGroupName) -> Result<String, Refusal> {
        let answer = self.iot.describe_thing_group().thing_group_name(group.as_str()).send().await;
        let answer = answer.map_err(failed("DescribeThingGroup")).map_err(|error| {
            if error.is_not_found() {
                let message = format!("there is no thing group `{group}`");
                Refusal::new(404, "ThingGroupNotFound", message)
            } else {
                error.into()
            }
        })?;
        let missing = || Refusal::new(502, "ServiceError", "DescribeThingGroup returned no ARN");
        answer.thing_group_arn.ok_or_else(missing)
    }

    /// Creates the job, or finds the one that a first attempt has created.
    /// Returns its ARN, and whether it is new.
    async fn create(
        &self,
        request: &CreateJob,
        job_id: &JobId,
        target: &str,
        document: &str,
    ) -> Result<(Option<String>, bool), Refusal> {
        let settings = request.job_settings.as_ref().unwrap_or(&self.settings.jobs);
        let presigned = PresignedUrlConfig::builder()
            .role_arn(&self.settings.presign_role_arn)
            .expires_in_sec(settings.presigned_url_expires_seconds.into())
            .build();
        let call = self
            .iot
            .create_job()
            .job_id(job_id.as_str())
            .targets(target)
            .document(document)
            .set_description(request.description.clone())
            .target_selection(TargetSelection::from(request.target_selection.as_str()))
            .presigned_url_config(presigned);
        let call = with_settings(call, settings)?;
        match call.send().await.map_err(failed("CreateJob")) {
            Ok(answer) => Ok((answer.job_arn, true)),
            Err(error) if error.has_code("ResourceAlreadyExistsException") => {
                Ok((self.same_job(job_id, target, document).await?, false))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The ARN of a job that exists, if it is the one that was to be created.
    async fn same_job(
        &self,
        job_id: &JobId,
        target: &str,
        document: &str,
    ) -> Result<Option<String>, Refusal> {
        let existing = self.iot.get_job_document().job_id(job_id.as_str()).send().await;
        let existing = existing.map_err(failed("GetJobDocument"))?.document.unwrap_or_default();
        let job = self.iot.describe_job().job_id(job_id.as_str()).send().await;
        let job = job.map_err(failed("DescribeJob"))?.job;
        let targets = job.as_ref().map(|job| job.targets()).unwrap_or_default();
        let read = |text: &str| serde_json::from_str::<Value>(text).ok();
        if read(&existing) == read(document) && targets.iter().any(|arn| arn == target) {
            return Ok(job.and_then(|job| job.job_arn));
        }
        let message = format!(
            "job `{job_id}` exists already, with another document or for other targets: choose \
             another `job_id`"
        );
        Err(Refusal::new(409, "JobAlreadyExists", message))
    }
}

fn with_settings(
    call: CreateJobFluentBuilder,
    settings: &JobSettings,
) -> Result<CreateJobFluentBuilder, Refusal> {
    let timeout = settings.in_progress_timeout_minutes.map(|minutes| {
        TimeoutConfig::builder().in_progress_timeout_in_minutes(minutes.into()).build()
    });
    Ok(call
        .job_executions_rollout_config(rollout(&settings.rollout)?)
        .set_abort_config(abort(settings)?)
        .set_timeout_config(timeout)
        .set_job_executions_retry_config(retry(settings)?))
}

fn rollout(rollout: &Rollout) -> Result<JobExecutionsRolloutConfig, Refusal> {
    let exponential = rollout.exponential.as_ref().map(exponential).transpose()?;
    Ok(JobExecutionsRolloutConfig::builder()
        .maximum_per_minute(count(rollout.maximum_per_minute))
        .set_exponential_rate(exponential)
        .build())
}

fn exponential(rate: &ExponentialRate) -> Result<ExponentialRolloutRate, Refusal> {
    let criteria = RateIncreaseCriteria::builder()
        .set_number_of_notified_things(rate.number_of_notified_things.map(count))
        .set_number_of_succeeded_things(rate.number_of_succeeded_things.map(count))
        .build();
    ExponentialRolloutRate::builder()
        .base_rate_per_minute(count(rate.base_rate_per_minute))
        .increment_factor(rate.increment_factor)
        .rate_increase_criteria(criteria)
        .build()
        .map_err(incomplete)
}

fn abort(settings: &JobSettings) -> Result<Option<AbortConfig>, Refusal> {
    let criteria = settings.abort.iter().map(|criterion| {
        AbortCriteria::builder()
            .failure_type(JobExecutionFailureType::from(criterion.failure_type.as_str()))
            .action(AbortAction::Cancel)
            .threshold_percentage(criterion.threshold_percentage)
            .min_number_of_executed_things(count(criterion.min_number_of_executed_things))
            .build()
            .map_err(incomplete)
    });
    let criteria: Vec<_> = criteria.collect::<Result<_, _>>()?;
    if criteria.is_empty() {
        return Ok(None);
    }
    AbortConfig::builder().set_criteria_list(Some(criteria)).build().map(Some).map_err(incomplete)
}

fn retry(settings: &JobSettings) -> Result<Option<JobExecutionsRetryConfig>, Refusal> {
    let criteria = settings.retries.iter().map(|criterion| {
        RetryCriteria::builder()
            .failure_type(RetryableFailureType::from(criterion.failure_type.as_str()))
            .number_of_retries(count(criterion.number_of_retries))
            .build()
            .map_err(incomplete)
    });
    let criteria: Vec<_> = criteria.collect::<Result<_, _>>()?;
    if criteria.is_empty() {
        return Ok(None);
    }
    let config = JobExecutionsRetryConfig::builder().set_criteria_list(Some(criteria)).build();
    config.map(Some).map_err(incomplete)
}

/// The settings have been checked: none is near the end of the range.
fn count(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn incomplete(error: aws_smithy_types::error::operation::BuildError) -> Refusal {
    Refusal::new(502, "InternalError", format!("the job settings are incomplete: {error}"))
}
