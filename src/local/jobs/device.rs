//! Requests and answers of devices, as MQTT and HTTP share them.
//!
//! Numbers may come as texts, because the samples of AWS write them so. Times are
//! whole seconds. Documents are put in where a message leaves.

use std::collections::BTreeMap;

use iotstack_jobs::{Error, ExecutionView, Result, StartNext, Time, UpdateExecution};
use iotstack_local_kernel::Timestamp;
use iotstack_protocol::JobExecutionStatus;
use serde_json::{Map, Value, json};

/// How many executions a notification lists.
pub(crate) const NOTIFIED: usize = 10;
/// How many executions an answer lists.
pub(crate) const LISTED: usize = 250;

/// What a device reports, and what it wants to hear.
#[derive(Debug)]
pub(crate) struct Report {
    pub request: UpdateExecution,
    pub wants_state: bool,
    pub wants_document: bool,
}

/// Reads the request to start the next job.
pub(crate) fn start_next(fields: &Map<String, Value>) -> Result<StartNext> {
    Ok(StartNext {
        status_details: details(fields)?,
        step_timeout_in_minutes: integer(fields, "stepTimeoutInMinutes")?,
    })
}

/// Reads a report.
pub(crate) fn report(fields: &Map<String, Value>) -> Result<Report> {
    let status = text(fields, "status")?
        .ok_or_else(|| Error::InvalidRequest("status is required".to_owned()))?;
    let status = status
        .parse::<JobExecutionStatus>()
        .map_err(|error| Error::InvalidRequest(error.to_string()))?;
    Ok(Report {
        request: UpdateExecution {
            status,
            status_details: details(fields)?,
            expected_version: integer(fields, "expectedVersion")?,
            execution_number: integer(fields, "executionNumber")?,
            step_timeout_in_minutes: integer(fields, "stepTimeoutInMinutes")?,
        },
        wants_state: flag(fields, "includeJobExecutionState")?.unwrap_or(false),
        wants_document: flag(fields, "includeJobDocument")?.unwrap_or(false),
    })
}

/// Reads which attempt is asked for, and whether with its document.
pub(crate) fn describe(fields: &Map<String, Value>) -> Result<(Option<i64>, bool)> {
    let number = integer(fields, "executionNumber")?;
    Ok((number, flag(fields, "includeJobDocument")?.unwrap_or(true)))
}

/// Reads the token that an answer repeats.
pub(crate) fn client_token(fields: &Map<String, Value>) -> Result<Option<String>> {
    let token = text(fields, "clientToken")?;
    match token {
        Some(token) if !(1..=64).contains(&token.chars().count()) => {
            Err(Error::InvalidRequest("clientToken must have 1 to 64 characters".to_owned()))
        }
        token => Ok(token.map(str::to_owned)),
    }
}

/// An execution without its document.
pub(crate) fn execution(view: &ExecutionView<'_>, now: Time) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("jobId".to_owned(), view.job_id.into());
    fields.insert("thingName".to_owned(), view.thing_name.into());
    fields.insert("status".to_owned(), view.status.as_str().into());
    if let Some(details) = view.status_details {
        fields.insert("statusDetails".to_owned(), json!(details));
    }
    times(&mut fields, view);
    if let Some(seconds) = view.approximate_seconds_before_timed_out(now) {
        fields.insert("approximateSecondsBeforeTimedOut".to_owned(), seconds.into());
    }
    fields
}

/// The state of an execution, where a device asks for it after its report.
pub(crate) fn state(view: &ExecutionView<'_>) -> Value {
    let none = BTreeMap::new();
    json!({
        "status": view.status,
        "statusDetails": view.status_details.unwrap_or(&none),
        "versionNumber": view.version_number,
    })
}

/// A list of executions.
pub(crate) fn summaries(views: &[ExecutionView<'_>]) -> Value {
    let summary = |view: &ExecutionView<'_>| {
        let mut fields = Map::new();
        fields.insert("jobId".to_owned(), view.job_id.into());
        times(&mut fields, view);
        Value::Object(fields)
    };
    views.iter().map(summary).collect()
}

/// A message that so far only says when it was made.
pub(crate) fn stamped(now: Time) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("timestamp".to_owned(), now.seconds().into());
    fields
}

/// What a device is told about a fault of the service.
pub(crate) fn internal_error(message: &str, at: Timestamp) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("code".to_owned(), "InternalError".into());
    fields.insert("message".to_owned(), message.into());
    fields.insert("timestamp".to_owned(), at.seconds().into());
    fields
}

fn times(fields: &mut Map<String, Value>, view: &ExecutionView<'_>) {
    fields.insert("queuedAt".to_owned(), view.queued_at.seconds().into());
    if let Some(started) = view.started_at {
        fields.insert("startedAt".to_owned(), started.seconds().into());
    }
    fields.insert("lastUpdatedAt".to_owned(), view.last_updated_at.seconds().into());
    fields.insert("versionNumber".to_owned(), view.version_number.into());
    fields.insert("executionNumber".to_owned(), view.execution_number.into());
}

fn text<'a>(fields: &'a Map<String, Value>, field: &str) -> Result<Option<&'a str>> {
    match fields.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => wrong(field, other, "a text"),
    }
}

fn integer(fields: &Map<String, Value>, field: &str) -> Result<Option<i64>> {
    let found = match fields.get(field) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => text.parse().ok(),
        Some(_) => None,
    };
    match found {
        Some(number) => Ok(Some(number)),
        None => wrong(field, &fields[field], "a whole number"),
    }
}

fn flag(fields: &Map<String, Value>, field: &str) -> Result<Option<bool>> {
    match fields.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(Value::String(text)) if text == "true" => Ok(Some(true)),
        Some(Value::String(text)) if text == "false" => Ok(Some(false)),
        Some(other) => wrong(field, other, "true or false"),
    }
}

/// Reads pairs of words; also the operator's, who sends them the same way.
pub(crate) fn details(fields: &Map<String, Value>) -> Result<Option<BTreeMap<String, String>>> {
    let pairs = match fields.get("statusDetails") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(pairs)) => pairs,
        Some(other) => return wrong("statusDetails", other, "an object"),
    };
    let mut details = BTreeMap::new();
    for (key, value) in pairs {
        let Value::String(text) = value else {
            return wrong(&format!("statusDetails.{key}"), value, "a text");
        };
        details.insert(key.clone(), text.clone());
    }
    Ok(Some(details))
}

fn wrong<T>(field: &str, found: &Value, expected: &str) -> Result<T> {
    // What a device sends may be large; its beginning says enough.
    let found: String = found.to_string().chars().take(80).collect();
    Err(Error::InvalidRequest(format!("{field} is {found}: expected {expected}")))
}
