//! What a device and the Jobs service say to each other over MQTT.
//!
//! Topics and payloads only: which request to make and what an answer means for an
//! update is decided by the device. Every request carries a token of its own, so that
//! a late or repeated answer is never taken for the answer to something else. Numbers
//! that some clouds write as text are accepted as both.

use iotstack_protocol::{JobExecutionStatus, JobId};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::outcome::Outcome;
use crate::update::JobKey;

/// A job execution, as the service tells it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Execution {
    pub job_id: JobId,
    pub status: JobExecutionStatus,
    #[serde(deserialize_with = "number")]
    pub version_number: i64,
    #[serde(default = "first", deserialize_with = "number")]
    pub execution_number: i64,
    #[serde(default)]
    pub job_document: Option<Value>,
}

impl Execution {
    pub(crate) fn key(&self) -> JobKey {
        JobKey { id: self.job_id.clone(), execution: self.execution_number }
    }
}

/// A request to the Jobs service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    /// Start the next pending job.
    StartNext,
    /// Which jobs are pending?
    Pending,
    /// How does this execution stand?
    Describe { job: JobKey, with_document: bool },
    /// This is how far it is.
    Progress { job: JobKey, step: &'static str, expected_version: i64 },
    /// This is how it ended.
    Report { job: JobKey, outcome: Outcome, expected_version: i64 },
}

/// What the Jobs service says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Said {
    /// Another job is next, or none is.
    NotifyNext(Option<Box<Execution>>),
    /// The list of pending jobs has changed.
    Notify,
    /// The answer to a request.
    Answer { token: Option<String>, answer: Answer },
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// To [`Request::StartNext`] and [`Request::Describe`]; nothing is pending without one.
    Execution(Option<Box<Execution>>),
    /// To [`Request::Pending`].
    Pending {
        /// Whether there is anything to do.
        any: bool,
        /// The first job that waits.
        queued: Option<JobId>,
    },
    /// To [`Request::Progress`] and [`Request::Report`].
    Updated,
    /// No.
    Rejected { code: String, message: String },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    client_token: Option<String>,
    execution: Option<Value>,
    code: Option<String>,
    message: Option<String>,
    #[serde(default)]
    in_progress_jobs: Vec<Value>,
    #[serde(default)]
    queued_jobs: Vec<Value>,
}

/// The topics of one thing's jobs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Topics<'a> {
    pub thing: &'a str,
}

impl Topics<'_> {
    /// What a device subscribes to.
    pub(crate) fn filters(self) -> [String; 5] {
        let start = format!("$aws/things/{}/jobs", self.thing);
        [
            format!("{start}/notify-next"),
            format!("{start}/get/+"),
            format!("{start}/start-next/+"),
            format!("{start}/+/get/+"),
            format!("{start}/+/update/+"),
        ]
    }

    /// Topic and payload of a request.
    pub(crate) fn write(
        self,
        request: &Request,
        token: &str,
        step_timeout: Option<u32>,
    ) -> (String, Vec<u8>) {
        let start = format!("$aws/things/{}/jobs", self.thing);
        let (topic, mut body) = match request {
            Request::StartNext => {
                (format!("{start}/start-next"), json!({"statusDetails": {"step": "downloading"}}))
            }
            Request::Pending => (format!("{start}/get"), json!({})),
            Request::Describe { job, with_document } => (
                format!("{start}/{}/get", job.id),
                json!({"executionNumber": job.execution, "includeJobDocument": with_document}),
            ),
            Request::Progress { job, step, expected_version } => (
                format!("{start}/{}/update", job.id),
                json!({
                    "status": "IN_PROGRESS",
                    "statusDetails": {"step": step},
                    "expectedVersion": expected_version,
                    "executionNumber": job.execution,
                }),
            ),
            Request::Report { job, outcome, expected_version } => (
                format!("{start}/{}/update", job.id),
                json!({
                    "status": outcome.status(),
                    "statusDetails": outcome.status_details(),
                    "expectedVersion": expected_version,
                    "executionNumber": job.execution,
                }),
            ),
        };
        if matches!(request, Request::StartNext)
            && let Some(minutes) = step_timeout
        {
            body["stepTimeoutInMinutes"] = minutes.into();
        }
        body["clientToken"] = token.into();
        (topic, body.to_string().into_bytes())
    }

    /// What a message says; `None` if it is not one about this thing's jobs.
    pub(crate) fn read(self, topic: &str, payload: &[u8]) -> Option<Said> {
        let rest = topic.strip_prefix("$aws/things/")?.strip_prefix(self.thing)?;
        let rest = rest.strip_prefix("/jobs/")?;
        if rest == "notify" {
            return Some(Said::Notify);
        }
        let body: Body = serde_json::from_slice(payload).ok()?;
        if rest == "notify-next" {
            return Some(Said::NotifyNext(execution(body.execution)));
        }
        let (asked, verdict) = rest.rsplit_once('/')?;
        let answer = match (asked.rsplit('/').next()?, verdict) {
            (_, "rejected") => Answer::Rejected {
                code: body.code.unwrap_or_default(),
                message: body.message.unwrap_or_default(),
            },
            ("start-next", "accepted") => Answer::Execution(execution(body.execution)),
            ("get", "accepted") if asked == "get" => Answer::Pending {
                any: !body.in_progress_jobs.is_empty() || !body.queued_jobs.is_empty(),
                queued: body
                    .queued_jobs
                    .first()
                    .and_then(|job| job["jobId"].as_str()?.parse().ok()),
            },
            ("get", "accepted") => Answer::Execution(execution(body.execution)),
            ("update", "accepted") => Answer::Updated,
            _ => return None,
        };
        Some(Said::Answer { token: body.client_token, answer })
    }
}

/// Clouds say that there is none by leaving it out, by `null` or by `{}`.
fn execution(value: Option<Value>) -> Option<Box<Execution>> {
    serde_json::from_value(value?).ok().map(Box::new)
}

fn first() -> i64 {
    1
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let number = match &value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| serde::de::Error::custom(format!("{value}: expected a number")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Reason;

    const TOPICS: Topics<'static> = Topics { thing: "lamp-1" };

    fn read(topic: &str, payload: &str) -> Option<Said> {
        TOPICS.read(&format!("$aws/things/lamp-1/jobs/{topic}"), payload.as_bytes())
    }

    #[test]
    fn writes_requests_as_the_service_wants_them() {
        let job = JobKey { id: "j".parse().unwrap(), execution: 2 };
        let (topic, body) = TOPICS.write(
            &Request::Report {
                job: job.clone(),
                outcome: Outcome::new(Reason::Checksum, "bad"),
                expected_version: 3,
            },
            "t1",
            Some(5),
        );
        assert_eq!(topic, "$aws/things/lamp-1/jobs/j/update");
        let expected = json!({"status": "FAILED", "expectedVersion": 3, "executionNumber": 2,
            "statusDetails": {"reason": "checksum", "detail": "bad"}, "clientToken": "t1"});
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), expected);
        let (topic, body) = TOPICS.write(&Request::StartNext, "t2", Some(5));
        assert_eq!(topic, "$aws/things/lamp-1/jobs/start-next");
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["stepTimeoutInMinutes"], 5);
        let (topic, _) = TOPICS.write(&Request::Pending, "t3", None);
        assert_eq!(topic, "$aws/things/lamp-1/jobs/get");
        let (topic, body) =
            TOPICS.write(&Request::Describe { job, with_document: false }, "t4", None);
        assert_eq!(topic, "$aws/things/lamp-1/jobs/j/get");
        assert!(String::from_utf8(body).unwrap().contains("\"includeJobDocument\":false"));
    }

    #[test]
    fn reads_what_the_service_says() {
        let execution = r#"{"jobId":"j","status":"QUEUED","versionNumber":"1","executionNumber":7,
            "queuedAt":1,"jobDocument":{"a":1}}"#;
        let said = read("notify-next", &format!(r#"{{"timestamp":1,"execution":{execution}}}"#));
        let Some(Said::NotifyNext(Some(found))) = said else { panic!("{said:?}") };
        assert_eq!((found.version_number, found.execution_number), (1, 7));
        assert_eq!(found.job_document, Some(json!({"a": 1})));
        for none in ["{}", r#"{"execution":null}"#, r#"{"execution":{}}"#] {
            assert_eq!(read("notify-next", none), Some(Said::NotifyNext(None)), "{none}");
        }
        let token = || Some("t".to_owned());
        assert_eq!(
            read("start-next/accepted", r#"{"clientToken":"t","timestamp":1}"#),
            Some(Said::Answer { token: token(), answer: Answer::Execution(None) })
        );
        assert_eq!(
            read("j/update/accepted", r#"{"clientToken":"t"}"#),
            Some(Said::Answer { token: token(), answer: Answer::Updated })
        );
        assert_eq!(
            read("get/accepted", r#"{"queuedJobs":[{}],"inProgressJobs":[]}"#),
            Some(Said::Answer { token: None, answer: Answer::Pending { any: true, queued: None } })
        );
        let queued = Some("j".parse().unwrap());
        assert_eq!(
            read("get/accepted", r#"{"queuedJobs":[{"jobId":"j"},{"jobId":"k"}]}"#),
            Some(Said::Answer { token: None, answer: Answer::Pending { any: true, queued } })
        );
        let said = read("$next/get/rejected", r#"{"code":"InvalidJson","message":"m"}"#);
        let answer = Answer::Rejected { code: "InvalidJson".into(), message: "m".into() };
        assert_eq!(said, Some(Said::Answer { token: None, answer }));
    }

    #[test]
    fn ignores_what_is_not_about_its_jobs() {
        assert_eq!(TOPICS.read("$aws/things/lamp-10/jobs/notify-next", b"{}"), None);
        assert_eq!(TOPICS.read("$aws/things/lamp-1/shadow/update/delta", b"{}"), None);
        assert_eq!(read("notify-next", "no json"), None);
        assert_eq!(read("x", "{}"), None);
        assert_eq!(read("a/b/c/accepted", "{}"), None);
    }
}
