//! Job templates.
//!
//! CloudFormation names some of their settings otherwise than the API does
//! (`ExponentialRolloutRate`, `RetryCriteriaList`), and every change replaces the
//! template.

use iotstack_core::{Arn, Construct, Duration, Expr, Scope, Value, object, text};

use super::CfnJobTemplate;
use crate::iam::Role;

/// A template for jobs.
#[derive(Debug, Clone)]
pub struct JobTemplate {
    /// The id: 1 to 64 of `a-z A-Z 0-9 _ -`.
    pub job_template_id: String,
    /// What its jobs do, at most 2,028 characters.
    pub description: String,
    /// The job document: a JSON object, at most 32,768 bytes.
    pub document: Expr,
    /// How presigned URLs in the document are made; needed where it has placeholders.
    pub presigned_urls: Option<PresignedUrls>,
    /// How fast things are told.
    pub rollout: Rollout,
    /// When the job is given up.
    pub abort: Vec<Abort>,
    /// How long an execution may be in progress, from 1 minute to 7 days.
    pub timeout: Option<Duration>,
    /// What is tried again.
    pub retries: Vec<Retry>,
}

/// How presigned URLs in a job document are made.
#[derive(Debug, Clone, PartialEq)]
pub struct PresignedUrls {
    /// The role that signs; it must be allowed to read the objects.
    pub role: Arn<Role>,
    /// How long a URL is good, from 1 minute to 1 hour.
    pub expires: Duration,
}

/// How fast things are told of a job.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rollout {
    /// At most so many in a minute, from 1 to 1,000.
    pub max_per_minute: Option<u32>,
    /// A rate that grows with success.
    pub exponential: Option<ExponentialRate>,
}

/// A rate that grows with success.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExponentialRate {
    /// The rate at the beginning.
    pub base_per_minute: u32,
    /// What it is multiplied with, from 1.1 to 5.
    pub factor: f64,
    /// Grows each time so many things were told.
    pub after_notified: Option<u32>,
    /// Grows each time so many things succeeded.
    pub after_succeeded: Option<u32>,
}

/// When a job is given up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Abort {
    /// Which failures count.
    pub failure: FailureType,
    /// At this share of finished executions, in percent.
    pub threshold_percent: f64,
    /// Once so many things have finished.
    pub after: u32,
}

/// Which failures count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureType {
    /// All of them.
    All,
    /// The device reported failure.
    Failed,
    /// The device refused.
    Rejected,
    /// Time ran out.
    TimedOut,
}

impl FailureType {
    fn word(self) -> &'static str {
        match self {
            FailureType::All => "ALL",
            FailureType::Failed => "FAILED",
            FailureType::Rejected => "REJECTED",
            FailureType::TimedOut => "TIMED_OUT",
        }
    }
}

/// What is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// After which failures; a refusal is never tried again.
    pub failure: FailureType,
    /// How often, from 0 to 10.
    pub times: u32,
}

impl JobTemplate {
    /// A template with AWS's defaults.
    pub fn new(
        job_template_id: impl Into<String>,
        description: impl Into<String>,
        document: impl Into<Expr>,
    ) -> Self {
        JobTemplate {
            job_template_id: job_template_id.into(),
            description: description.into(),
            document: document.into(),
            presigned_urls: None,
            rollout: Rollout::default(),
            abort: Vec::new(),
            timeout: None,
            retries: Vec::new(),
        }
    }
}

impl Construct for JobTemplate {
    type Ref = JobTemplateRef;

    fn build(self, scope: &Scope) -> JobTemplateRef {
        let mut template = CfnJobTemplate::new(self.description, self.job_template_id)
            .document(Value::Token(text::json_of(self.document)));
        if let Some(urls) = self.presigned_urls {
            template = template.presigned_url_config(object! {
                "RoleArn": urls.role,
                "ExpiresInSec": Expr::Int(urls.expires.as_seconds() as i64),
            });
        }
        if self.rollout != Rollout::default() {
            template = template.job_executions_rollout_config(self.rollout.into_expr());
        }
        if !self.abort.is_empty() {
            let criteria = self.abort.into_iter().map(|abort| {
                object! {
                    "Action": "CANCEL",
                    "FailureType": abort.failure.word(),
                    "MinNumberOfExecutedThings": abort.after,
                    "ThresholdPercentage": Expr::Float(abort.threshold_percent),
                }
            });
            template = template.abort_config(object! { "CriteriaList": Expr::list(criteria) });
        }
        if let Some(timeout) = self.timeout {
            let minutes = Expr::Int(timeout.as_minutes() as i64);
            template = template.timeout_config(object! { "InProgressTimeoutInMinutes": minutes });
        }
        if !self.retries.is_empty() {
            let criteria = self.retries.into_iter().map(|retry| {
                object! { "FailureType": retry.failure.word(), "NumberOfRetries": retry.times }
            });
            template = template
                .job_executions_retry_config(object! { "RetryCriteriaList": Expr::list(criteria) });
        }
        let template = scope.resource("Resource", template);
        JobTemplateRef { arn: template.attribute(CfnJobTemplate::ARN) }
    }
}

impl Rollout {
    fn into_expr(self) -> Expr {
        let number = |count: Option<u32>| count.map_or(Expr::Null, Expr::from);
        let exponential = self.exponential.map_or(Expr::Null, |rate| {
            object! {
                "BaseRatePerMinute": rate.base_per_minute,
                "IncrementFactor": Expr::Float(rate.factor),
                "RateIncreaseCriteria": object! {
                    "NumberOfNotifiedThings": number(rate.after_notified),
                    "NumberOfSucceededThings": number(rate.after_succeeded),
                },
            }
        });
        object! {
            "MaximumPerMinute": number(self.max_per_minute),
            "ExponentialRolloutRate": exponential,
        }
    }
}

/// What a [`JobTemplate`] leaves in the hand.
#[derive(Debug, Clone)]
pub struct JobTemplateRef {
    arn: Expr,
}

impl JobTemplateRef {
    /// The ARN.
    pub fn arn(&self) -> Arn<JobTemplate> {
        Arn::from_expr(self.arn.clone())
    }
}
