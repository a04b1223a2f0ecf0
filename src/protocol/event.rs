//! What AWS IoT publishes about jobs, and how such events are switched on.
//!
//! Job events are ordinary messages on reserved topics, at least once and in any
//! order. AWS may add fields at any time, so reading is strict about what an
//! event is and keeps everything else that came with it.
//!
//! Event configurations are one switch per kind of event for the whole account
//! and region; none of them is on by default.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::word::words;
use crate::{Error, JobId, Result, TargetSelection, TopicFilter};

/// A message from `$aws/events/job/#` or `$aws/events/jobExecution/#`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "eventType")]
pub enum Event {
    /// Something happened to a job.
    #[serde(rename = "JOB")]
    Job(JobEvent),
    /// Something happened to a job on one thing.
    #[serde(rename = "JOB_EXECUTION")]
    JobExecution(JobExecutionEvent),
}

impl Event {
    /// Reads the payload of an event message.
    pub fn from_json(payload: &Value) -> Result<Self> {
        let kind = payload.get("eventType").and_then(Value::as_str).unwrap_or("(none)");
        if !matches!(kind, "JOB" | "JOB_EXECUTION") {
            return Err(Error::UnknownWord {
                kind: "event type",
                value: kind.to_owned(),
                expected: "JOB, JOB_EXECUTION".to_owned(),
            });
        }
        serde_json::from_value(payload.clone())
            .map_err(|error| Error::InvalidJson { what: "job event", reason: error.to_string() })
    }

    /// The job that the event is about.
    pub fn job_id(&self) -> &JobId {
        match self {
            Event::Job(event) => &event.job_id,
            Event::JobExecution(event) => &event.job_id,
        }
    }
}

/// Something happened to a job: it was completed, cancelled or deleted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobEvent {
    /// The id of this event; a repeated delivery has the same one.
    pub event_id: String,
    /// When, in seconds since 1970.
    pub timestamp: i64,
    /// What happened: the last level of the topic.
    pub operation: String,
    /// The job.
    pub job_id: JobId,
    /// The state that the job is in now.
    pub status: String,
    /// Whether things that join later are targets too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_selection: Option<TargetSelection>,
    /// The ARNs of the targets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// The counts of results, in an event about a completed job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_process_details: Option<JobProcessDetails>,
    /// Everything else that the message holds.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// How the executions of a completed job ended. AWS counts no timeouts here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JobProcessDetails {
    /// Executions that were cancelled.
    pub number_of_canceled_things: u64,
    /// Devices that refused the job.
    pub number_of_rejected_things: u64,
    /// Devices that reported failure.
    pub number_of_failed_things: u64,
    /// Things that stopped being targets.
    pub number_of_removed_things: u64,
    /// Devices that reported success.
    pub number_of_succeeded_things: u64,
}

/// A job ended on one thing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobExecutionEvent {
    /// The id of this event; a repeated delivery has the same one.
    pub event_id: String,
    /// When, in seconds since 1970.
    pub timestamp: i64,
    /// What happened: the last level of the topic.
    pub operation: String,
    /// The job.
    pub job_id: JobId,
    /// The ARN of the thing.
    pub thing_arn: String,
    /// How it ended.
    pub status: String,
    /// Everything else that the message holds, `statusDetails` among it.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

words! {
    /// A kind of event that can be switched on for an account and region.
    pub enum EventType as "event type" {
        /// Things are created, updated, deleted.
        Thing = "THING",
        /// Thing groups are created, updated, deleted.
        ThingGroup = "THING_GROUP",
        /// Thing types are created, updated, deleted.
        ThingType = "THING_TYPE",
        /// Things are put into groups and taken out of them.
        ThingGroupMembership = "THING_GROUP_MEMBERSHIP",
        /// Groups are put into groups.
        ThingGroupHierarchy = "THING_GROUP_HIERARCHY",
        /// Things get and lose their type.
        ThingTypeAssociation = "THING_TYPE_ASSOCIATION",
        /// Jobs are completed, cancelled, deleted.
        Job = "JOB",
        /// Jobs end on a thing.
        JobExecution = "JOB_EXECUTION",
        /// Policies change.
        Policy = "POLICY",
        /// Certificates change.
        Certificate = "CERTIFICATE",
        /// CA certificates change.
        CaCertificate = "CA_CERTIFICATE",
    }
}

impl EventType {
    /// The topics on which these events appear.
    ///
    /// For policies and certificates AWS documents no topic, so that the answer
    /// is all event topics: whoever asks who still listens should not miss one.
    pub fn topics(self) -> TopicFilter {
        TopicFilter::reserved(match self {
            EventType::Thing => "$aws/events/thing/#",
            EventType::ThingGroup => "$aws/events/thingGroup/#",
            EventType::ThingType => "$aws/events/thingType/#",
            EventType::ThingGroupMembership => "$aws/events/thingGroupMembership/#",
            EventType::ThingGroupHierarchy => "$aws/events/thingGroupHierarchy/#",
            EventType::ThingTypeAssociation => "$aws/events/thingTypeAssociation/#",
            EventType::Job => "$aws/events/job/#",
            EventType::JobExecution => "$aws/events/jobExecution/#",
            EventType::Policy | EventType::Certificate | EventType::CaCertificate => {
                "$aws/events/#"
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn completed() -> Value {
        json!({
            "eventType": "JOB",
            "eventId": "7364ffd1-8b65-4824-85d5-6c14686c97c6",
            "timestamp": 1_234_567_890,
            "operation": "completed",
            "jobId": "firmware-1-1-0-8f14e45f",
            "status": "COMPLETED",
            "targetSelection": "SNAPSHOT",
            "targets": ["arn:aws:iot:eu-central-1:123456789012:thinggroup/lamps"],
            "createdAt": 1_234_567_890_123_i64,
            "jobProcessDetails": {
                "numberOfCanceledThings": 0, "numberOfRejectedThings": 1,
                "numberOfFailedThings": 2, "numberOfRemovedThings": 0,
                "numberOfSucceededThings": 40
            }
        })
    }

    #[test]
    fn reads_a_completed_job_and_keeps_what_it_does_not_know() {
        let event = Event::from_json(&completed()).unwrap();
        assert_eq!(event.job_id().as_str(), "firmware-1-1-0-8f14e45f");
        let Event::Job(job) = &event else { panic!("{event:?}") };
        assert_eq!(job.job_process_details.as_ref().unwrap().number_of_succeeded_things, 40);
        assert_eq!(serde_json::to_value(&event).unwrap(), completed());
    }

    #[test]
    fn reads_the_end_of_an_execution() {
        let payload = json!({
            "eventType": "JOB_EXECUTION", "eventId": "1", "timestamp": 1, "operation": "timed_out",
            "jobId": "j", "thingArn": "arn:aws:iot:eu-central-1:123456789012:thing/lamp-1",
            "status": "TIMED_OUT", "statusDetails": {"step": "download"}
        });
        let event = Event::from_json(&payload).unwrap();
        let Event::JobExecution(execution) = &event else { panic!("{event:?}") };
        assert_eq!(execution.rest["statusDetails"]["step"], "download");
        assert_eq!(serde_json::to_value(&event).unwrap(), payload);
    }

    #[test]
    fn names_what_came_instead_of_a_job_event() {
        for (payload, value) in
            [(json!({"eventType": "THING_EVENT"}), "THING_EVENT"), (json!([1]), "(none)")]
        {
            let error = Event::from_json(&payload).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("event type `{value}` is not known: expected one of JOB, JOB_EXECUTION")
            );
        }
        let error = Event::from_json(&json!({"eventType": "JOB"})).unwrap_err().to_string();
        assert!(error.contains("missing field `eventId`"), "{error}");
    }

    #[test]
    fn every_kind_of_event_has_a_topic() {
        for kind in EventType::ALL {
            assert!(kind.topics().as_str().starts_with("$aws/events/"), "{kind}");
        }
    }
}
