//! `firmware-manager`: creates, watches, lists and cancels firmware jobs.
//!
//! People and programs invoke it with an action, and it always answers with a
//! status code and a body of JSON text, as functions behind a gateway do: bad
//! input is an answer, not a failed invocation. Messages name the field, the
//! value received and what would be accepted.
//!
//! It decides nothing about a rollout. How fast, when to stop and how often to
//! try again comes from the stack's configuration, or from a request that says it
//! for its own job.

mod answer;
mod create;
mod firmware;
mod jobs;
mod request;
#[cfg(test)]
mod tests;

use aws_types::SdkConfig;
use iotstack_protocol::{CertificateName, JobId, JobSettings, SigningProfileName};
use serde_json::Value;
use tokio::time::{Duration, Instant, timeout_at};
use tracing::{info, warn};

use crate::environment::{Aws, Environment};
use crate::function::{Function, Invocation};
use crate::{Error, Result};
use answer::{Answer, Refusal};
use request::Request;

/// The function.
pub(crate) struct FirmwareManager {
    iot: aws_sdk_iot::Client,
    s3: aws_sdk_s3::Client,
    signer: aws_sdk_signer::Client,
    settings: Settings,
}

/// What the stack has configured.
struct Settings {
    /// The region of the function, and of everything that it uses.
    region: String,
    /// The only bucket that firmware is taken from.
    bucket: String,
    /// The role with which AWS IoT signs the devices' URLs.
    presign_role_arn: String,
    /// The profile whose signatures count.
    profile: SigningProfileName,
    /// Where devices keep the certificate of that profile.
    certificate: CertificateName,
    /// How the ids of this fleet's jobs begin. Other jobs of the account are not
    /// touched, nor would the function's role let it.
    job_id_prefix: JobId,
    /// How jobs are rolled out.
    jobs: JobSettings,
}

impl FirmwareManager {
    pub(crate) fn new(environment: &Environment, aws: &Aws) -> Result<Self> {
        Ok(FirmwareManager {
            iot: aws_sdk_iot::Client::new(&aws.config),
            s3: aws.s3.clone(),
            signer: aws_sdk_signer::Client::new(&aws.config),
            settings: Settings::new(environment, &aws.config)?,
        })
    }

    async fn answer(
        &self,
        event: &Value,
        invocation: &Invocation,
    ) -> std::result::Result<Answer, Refusal> {
        let request = Request::new(event)?;
        request.job_id().map_or(Ok(()), |job_id| self.settings.own(job_id))?;
        match request {
            Request::CreateJob(request) => self.create_job(*request, invocation).await,
            Request::CheckJobStatus { job_id } => self.check_job_status(&job_id).await,
            Request::CancelJob(request) => self.cancel_job(request).await,
            Request::ListJobs(request) => self.list_jobs(request).await,
        }
    }
}

impl Function for FirmwareManager {
    async fn call(&self, event: Value, invocation: Invocation) -> Result<Value> {
        let left = invocation.deadline.saturating_duration_since(Instant::now());
        let until = Instant::now() + left - TIME_TO_ANSWER.min(left / 2);
        let result = match timeout_at(until, self.answer(&event, &invocation)).await {
            Ok(result) => result,
            Err(_) => Err(Refusal::out_of_time()),
        };
        let action = event.get("action").and_then(Value::as_str).unwrap_or_default();
        match result {
            Ok(answer) => {
                info!(action, status_code = answer.status_code(), "answered");
                Ok(answer.into_value())
            }
            Err(refusal) => {
                let (code, message) = (refusal.code(), refusal.message());
                warn!(action, status_code = refusal.status_code(), code, message, "refused");
                Ok(refusal.into_answer().into_value())
            }
        }
    }
}

impl Settings {
    /// Refuses the id of a job that is not of this fleet.
    fn own(&self, job_id: &JobId) -> std::result::Result<(), Refusal> {
        let prefix = &self.job_id_prefix;
        if job_id.as_str().strip_prefix(prefix.as_str()).is_some_and(|rest| rest.starts_with('-')) {
            return Ok(());
        }
        let message =
            format!("`job_id` is `{job_id}`: job ids of this fleet begin with `{prefix}-`");
        Err(Refusal::new(400, "InvalidRequest", message))
    }

    fn new(environment: &Environment, config: &SdkConfig) -> Result<Self> {
        let jobs = environment.required("JOB_SETTINGS")?;
        let jobs = JobSettings::from_json(&jobs).map_err(|error| Error::Environment {
            name: "JOB_SETTINGS",
            problem: format!("is wrong: {error}"),
        })?;
        Ok(Settings {
            region: config.region().map(ToString::to_string).unwrap_or_default(),
            bucket: environment.required("FIRMWARE_BUCKET")?,
            presign_role_arn: environment.required("PRESIGN_ROLE_ARN")?,
            profile: environment.parsed("SIGNING_PROFILE_NAME")?,
            certificate: environment.parsed("CERTIFICATE_NAME")?,
            job_id_prefix: environment.parsed("JOB_ID_PREFIX")?,
            jobs,
        })
    }
}

/// What is kept of the function's time for the answer.
const TIME_TO_ANSWER: Duration = Duration::from_secs(1);
