//! What the firmware manager can be asked, read so that every mistake is named.
//!
//! The event is what somebody typed into a console or a script. Fields that are
//! not known are refused, because a misspelt option that is silently ignored is
//! worse than an error.

use std::fmt::Display;
use std::str::FromStr;

use iotstack_protocol::text::is_other;
use iotstack_protocol::{
    FirmwareVersion, JobId, JobSettings, JobStatus, TargetSelection, ThingGroupName,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::answer::Refusal;

/// A request.
#[derive(Debug)]
pub(super) enum Request {
    CreateJob(Box<CreateJob>),
    CheckJobStatus { job_id: JobId },
    CancelJob(CancelJob),
    ListJobs(ListJobs),
}

/// Brings a firmware image to the things of a group.
#[derive(Debug)]
pub(super) struct CreateJob {
    pub(super) firmware_version: FirmwareVersion,
    pub(super) thing_group: ThingGroupName,
    pub(super) s3_bucket: String,
    pub(super) s3_key: String,
    pub(super) s3_version_id: Option<String>,
    pub(super) signed_object_key: Option<String>,
    pub(super) job_id: Option<JobId>,
    pub(super) target_selection: TargetSelection,
    pub(super) description: Option<String>,
    /// How this job is rolled out; as the stack says if absent.
    pub(super) job_settings: Option<JobSettings>,
}

/// Cancels a job.
#[derive(Debug)]
pub(super) struct CancelJob {
    pub(super) job_id: JobId,
    pub(super) force: bool,
    pub(super) reason: Option<String>,
}

/// Lists jobs, newest first.
#[derive(Debug)]
pub(super) struct ListJobs {
    pub(super) status: Option<JobStatus>,
    pub(super) thing_group: Option<ThingGroupName>,
    pub(super) max_results: u32,
    pub(super) next_token: Option<String>,
}

impl Request {
    /// The job that the request names, if it names one.
    pub(super) fn job_id(&self) -> Option<&JobId> {
        match self {
            Request::CreateJob(request) => request.job_id.as_ref(),
            Request::CheckJobStatus { job_id } => Some(job_id),
            Request::CancelJob(request) => Some(&request.job_id),
            Request::ListJobs(_) => None,
        }
    }

    pub(super) fn new(event: &Value) -> Result<Self, Refusal> {
        let Some(fields) = event.as_object() else {
            return Err(Refusal::invalid(format!(
                "the event is {}: expected an object with an `action`, one of {ACTIONS}",
                kind(event)
            )));
        };
        let fields = Fields(fields);
        match fields.text("action")?.as_deref() {
            Some("create_job") => Ok(Request::CreateJob(Box::new(CreateJob::new(&fields)?))),
            Some("check_job_status") => {
                fields.only(&["job_id"])?;
                Ok(Request::CheckJobStatus { job_id: fields.required("job_id")? })
            }
            Some("cancel_job") => Ok(Request::CancelJob(CancelJob::new(&fields)?)),
            Some("list_jobs") => Ok(Request::ListJobs(ListJobs::new(&fields)?)),
            Some(other) => {
                Err(Refusal::invalid(format!("`action` is `{other}`: expected one of {ACTIONS}")))
            }
            None => {
                Err(Refusal::invalid(format!("`action` is missing: expected one of {ACTIONS}")))
            }
        }
    }
}

impl CreateJob {
    fn new(fields: &Fields<'_>) -> Result<Self, Refusal> {
        fields.only(&[
            "firmware_version",
            "thing_group",
            "s3_bucket",
            "s3_key",
            "s3_version_id",
            "signed_object_key",
            "job_id",
            "target_selection",
            "description",
            "job_settings",
        ])?;
        Ok(CreateJob {
            firmware_version: fields.required("firmware_version")?,
            thing_group: fields.required("thing_group")?,
            s3_bucket: fields.required_text("s3_bucket")?,
            s3_key: fields.required_text("s3_key")?,
            s3_version_id: fields.text("s3_version_id")?,
            signed_object_key: fields.text("signed_object_key")?,
            job_id: fields.optional("job_id")?,
            target_selection: fields.optional("target_selection")?.unwrap_or_default(),
            description: fields.description("description")?,
            job_settings: fields.get("job_settings").map(job_settings).transpose()?,
        })
    }
}

impl CancelJob {
    fn new(fields: &Fields<'_>) -> Result<Self, Refusal> {
        fields.only(&["job_id", "force", "reason"])?;
        let force = match fields.get("force") {
            None => false,
            Some(Value::Bool(force)) => *force,
            Some(other) => return Err(wrong("force", other, "true or false")),
        };
        let job_id = fields.required("job_id")?;
        Ok(CancelJob { job_id, force, reason: fields.description("reason")? })
    }
}

impl ListJobs {
    fn new(fields: &Fields<'_>) -> Result<Self, Refusal> {
        fields.only(&["status", "thing_group", "max_results", "next_token"])?;
        let max_results = match fields.get("max_results") {
            None => 50,
            Some(value) => {
                let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
                let number = number.filter(|number| (1..=250).contains(number));
                number.ok_or_else(|| wrong("max_results", value, "a whole number from 1 to 250"))?
            }
        };
        Ok(ListJobs {
            status: fields.optional("status")?,
            thing_group: fields.optional("thing_group")?,
            max_results,
            next_token: fields.text("next_token")?,
        })
    }
}

/// The fields of an event; `null` counts as absent.
struct Fields<'a>(&'a Map<String, Value>);

impl Fields<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// Refuses fields that are not `accepted`.
    fn only(&self, accepted: &[&str]) -> Result<(), Refusal> {
        let is_unknown = |name: &&String| *name != "action" && !accepted.contains(&name.as_str());
        match self.0.keys().find(is_unknown) {
            None => Ok(()),
            Some(name) => Err(Refusal::invalid(format!(
                "field `{name}` is not known: expected {}",
                accepted.join(", ")
            ))),
        }
    }

    fn text(&self, name: &str) -> Result<Option<String>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.clone())),
            Some(other) => Err(wrong(name, other, "a text")),
        }
    }

    fn required_text(&self, name: &str) -> Result<String, Refusal> {
        self.text(name)?.ok_or_else(|| Refusal::invalid(format!("`{name}` is missing")))
    }

    fn optional<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Option<T>, Refusal> {
        let parse = |text: String| {
            text.parse().map_err(|error| Refusal::invalid(format!("`{name}`: {error}")))
        };
        self.text(name)?.map(parse).transpose()
    }

    fn required<T: FromStr<Err: Display>>(&self, name: &str) -> Result<T, Refusal> {
        self.optional(name)?.ok_or_else(|| Refusal::invalid(format!("`{name}` is missing")))
    }

    /// A text as AWS IoT takes it for descriptions and comments.
    fn description(&self, name: &str) -> Result<Option<String>, Refusal> {
        let text = self.text(name)?;
        match &text {
            Some(text) if text.chars().count() > 2028 || text.chars().any(is_other) => {
                let expected = "expected at most 2028 characters, all of them visible";
                Err(Refusal::invalid(format!(
                    "`{name}` has {} characters: {expected}",
                    text.chars().count()
                )))
            }
            _ => Ok(text),
        }
    }
}

fn job_settings(value: &Value) -> Result<JobSettings, Refusal> {
    let refuse = |reason: String| Refusal::invalid(format!("`job_settings`: {reason}"));
    let settings = JobSettings::deserialize(value).map_err(|error| refuse(error.to_string()))?;
    settings.validate().map_err(|error| refuse(error.to_string()))?;
    Ok(settings)
}

fn wrong(name: &str, value: &Value, expected: &str) -> Refusal {
    Refusal::invalid(format!("`{name}` is {value}: expected {expected}"))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

const ACTIONS: &str = "create_job, check_job_status, cancel_job, list_jobs";
