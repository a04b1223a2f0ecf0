//! `job-events`: brings job events from AWS IoT to EventBridge.
//!
//! AWS IoT publishes job events on MQTT topics only, and a topic rule has no
//! action for EventBridge. A rule on those topics invokes this function, which
//! puts each event on a bus, unchanged except for the name of the environment.
//!
//! The line it logs for an event is flat JSON, so that metric filters can count
//! results over all jobs, which AWS IoT itself does not. An event that cannot be
//! put is an error: Lambda tries it again and keeps it in the end.

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_smithy_types::DateTime;
use iotstack_protocol::event::Event;
use serde_json::{Value, json};
use tracing::info;

use crate::environment::{Aws, Environment};
use crate::error::failed;
use crate::function::{Function, Invocation};
use crate::{Error, Result};

/// The function.
pub(crate) struct JobEvents {
    client: Client,
    bus: String,
    environment: String,
}

impl JobEvents {
    pub(crate) fn new(environment: &Environment, aws: &Aws) -> Result<Self> {
        Ok(JobEvents {
            client: Client::new(&aws.config),
            bus: environment.required("EVENT_BUS_NAME")?,
            environment: environment.required("ENVIRONMENT")?,
        })
    }
}

impl Function for JobEvents {
    async fn call(&self, payload: Value, _: Invocation) -> Result<Value> {
        let event = Event::from_json(&payload)?;
        let entry = self.entry(&event, payload);
        let answer = self.client.put_events().entries(entry).send().await;
        let answer = answer.map_err(failed("PutEvents"))?;
        let refused = answer.entries().iter().find(|entry| entry.error_code().is_some());
        if let Some(entry) = refused {
            return Err(Error::EventRefused {
                bus: self.bus.clone(),
                code: entry.error_code().unwrap_or_default().to_owned(),
                message: entry.error_message().unwrap_or_default().to_owned(),
            });
        }
        log(&event, &self.environment);
        let id = answer.entries().first().and_then(|entry| entry.event_id());
        Ok(json!({ "event_id": id }))
    }
}

impl JobEvents {
    fn entry(&self, event: &Event, mut detail: Value) -> PutEventsRequestEntry {
        if let Some(detail) = detail.as_object_mut() {
            detail.insert("environment".to_owned(), self.environment.clone().into());
        }
        let (detail_type, time, resources) = match event {
            Event::Job(job) => ("IoT Job Event", job.timestamp, job.targets.clone()),
            Event::JobExecution(execution) => {
                ("IoT Job Execution Event", execution.timestamp, vec![execution.thing_arn.clone()])
            }
        };
        PutEventsRequestEntry::builder()
            .event_bus_name(&self.bus)
            .source("iotstack.jobs")
            .detail_type(detail_type)
            .time(DateTime::from_secs(time))
            .set_resources(Some(resources))
            .detail(detail.to_string())
            .build()
    }
}

fn log(event: &Event, environment: &str) {
    let (event_type, operation, status) = match event {
        Event::Job(job) => ("JOB", &job.operation, &job.status),
        Event::JobExecution(execution) => {
            ("JOB_EXECUTION", &execution.operation, &execution.status)
        }
    };
    let job_id = event.job_id().as_str();
    info!(event_type, operation, status, job_id, environment, "job event");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Cloud, Reply, invocation, lambda_variables};

    fn function(cloud: &Cloud) -> JobEvents {
        let mut variables = lambda_variables();
        variables.extend([("EVENT_BUS_NAME", "iot-jobs-dev"), ("ENVIRONMENT", "dev")]);
        let environment = Environment::of(&variables);
        JobEvents::new(&environment, &cloud.aws(&environment)).unwrap()
    }

    fn execution() -> Value {
        json!({
            "eventType": "JOB_EXECUTION",
            "eventId": "e1",
            "timestamp": 1_700_000_000,
            "operation": "failed",
            "jobId": "firmware-1",
            "thingArn": "arn:aws:iot:eu-central-1:123456789012:thing/lamp-1",
            "status": "FAILED",
            "statusDetails": { "reason": "signature" },
            "topic": "$aws/events/jobExecution/firmware-1/failed"
        })
    }

    #[tokio::test]
    async fn puts_an_execution_on_the_bus_as_it_came() {
        let cloud = Cloud::new();
        let taken = json!({ "FailedEntryCount": 0, "Entries": [{ "EventId": "b1" }] });
        cloud.on("POST", "PutEvents", Reply::json(200, taken));
        let answer = function(&cloud).call(execution(), invocation()).await.unwrap();
        assert_eq!(answer, json!({ "event_id": "b1" }));

        let request = cloud.seen()[0].json();
        let entry = &request["Entries"][0];
        assert_eq!(entry["EventBusName"], "iot-jobs-dev");
        assert_eq!(entry["Source"], "iotstack.jobs");
        assert_eq!(entry["DetailType"], "IoT Job Execution Event");
        assert_eq!(entry["Time"], 1_700_000_000);
        assert_eq!(
            entry["Resources"],
            json!(["arn:aws:iot:eu-central-1:123456789012:thing/lamp-1"])
        );
        let detail: Value = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
        let mut expected = execution();
        expected["environment"] = "dev".into();
        assert_eq!(detail, expected);
    }

    #[tokio::test]
    async fn puts_a_job_event_with_its_targets() {
        let cloud = Cloud::new();
        let taken = json!({ "FailedEntryCount": 0, "Entries": [{ "EventId": "b1" }] });
        cloud.on("POST", "PutEvents", Reply::json(200, taken));
        let event = json!({
            "eventType": "JOB", "eventId": "e2", "timestamp": 1, "operation": "completed",
            "jobId": "firmware-1", "status": "COMPLETED", "targets": ["arn:group"]
        });
        function(&cloud).call(event, invocation()).await.unwrap();
        let entry = cloud.seen()[0].json()["Entries"][0].clone();
        assert_eq!(entry["DetailType"], "IoT Job Event");
        assert_eq!(entry["Resources"], json!(["arn:group"]));
    }

    #[tokio::test]
    async fn fails_when_the_bus_does_not_take_the_event() {
        let cloud = Cloud::new();
        let refused = json!({
            "FailedEntryCount": 1,
            "Entries": [{ "ErrorCode": "InternalFailure", "ErrorMessage": "later" }]
        });
        cloud.on("POST", "PutEvents", Reply::json(200, refused));
        let error = function(&cloud).call(execution(), invocation()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "EventBridge refused the event for bus `iot-jobs-dev`: InternalFailure: later"
        );
    }

    #[tokio::test]
    async fn names_an_event_that_it_does_not_know() {
        let cloud = Cloud::new();
        let event = json!({ "eventType": "THING_EVENT" });
        let error = function(&cloud).call(event, invocation()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "event type `THING_EVENT` is not known: expected one of JOB, JOB_EXECUTION"
        );
        assert!(cloud.seen().is_empty());
    }
}
