//! Executions for the operator: list, describe, cancel, delete.
//!
//! The answers differ from those of the data plane: times have fractions, things have
//! ARNs, details stand in a map of their own. Documents are not part of them.

use std::sync::Arc;

use iotstack_jobs::{CancelExecution, ExecutionView, Time};
use iotstack_local_kernel::{Call, Fault, Reply};
use serde_json::{Map, Value, json};

use super::jobs::listing;
use super::{Control, force, page, word};
use crate::service::Refusal;
use crate::{device, error};

impl Control {
    pub(super) fn executions_for_job(&self, call: Call) -> Result<Reply, Fault> {
        let id = call.text("jobId")?;
        self.check(&call, &format!("job/{id}"))?;
        let (status, page) = (word(&call, "status")?, page(&call)?);
        let listed = self.jobs.read(|engine, _| {
            let (views, next) = engine.executions_for_job(id, status, &page)?;
            let summaries: Vec<Value> = views
                .iter()
                .map(|view| {
                    json!({
                        "thingArn": engine.thing_arn(view.thing_name),
                        "jobExecutionSummary": summary(view),
                    })
                })
                .collect();
            Ok((summaries, next))
        });
        let (summaries, next) = listed.map_err(error::control)?;
        Ok(listing("executionSummaries", summaries.into(), next))
    }

    pub(super) fn executions_for_thing(&self, call: Call) -> Result<Reply, Fault> {
        let thing = call.text("thingName")?;
        self.check(&call, &format!("thing/{thing}"))?;
        if self.jobs.cloud()?.ports.registry()?.thing(thing).is_none() {
            let message = format!("there is no thing `{thing}`");
            return Err(Fault::new("ResourceNotFoundException", 404, message));
        }
        let (status, page) = (word(&call, "status")?, page(&call)?);
        let (job, namespace) = (call.optional_text("jobId")?, call.optional_text("namespaceId")?);
        let listed = self.jobs.read(|engine, _| {
            let (views, next) =
                engine.executions_for_thing(thing, status, job, namespace, &page)?;
            let summaries: Vec<Value> = views
                .iter()
                .map(|view| json!({"jobId": view.job_id, "jobExecutionSummary": summary(view)}))
                .collect();
            Ok((summaries, next))
        });
        let (summaries, next) = listed.map_err(error::control)?;
        Ok(listing("executionSummaries", summaries.into(), next))
    }

    pub(super) fn describe_execution(&self, call: Call) -> Result<Reply, Fault> {
        let (thing, id) = (call.text("thingName")?, call.text("jobId")?);
        self.check_execution(&call, thing, id)?;
        let number = call.optional_integer("executionNumber")?;
        let described = self.jobs.read(|engine, now| {
            let view = engine.execution(id, thing, number)?;
            Ok(full(&view, engine.thing_arn(thing), now))
        });
        Ok(json!({ "execution": described.map_err(error::control)? }).into())
    }

    pub(super) async fn cancel_execution(self: Arc<Self>, call: Call) -> Result<Reply, Fault> {
        let (thing, id) = (call.text("thingName")?, call.text("jobId")?);
        self.check_execution(&call, thing, id)?;
        let force = force(&call)?;
        let request = CancelExecution {
            expected_version: call.optional_integer("expectedVersion")?,
            status_details: device::details(&call.input)
                .map_err(|error| error::control(Refusal::Engine(error)))?,
        };
        let cancelled = self.jobs.act(|turn| {
            let (now, out) = (turn.now, &mut turn.effects);
            turn.engine.cancel_execution(id, thing, request, force, now, out)
        });
        cancelled.await.map_err(error::control)?;
        Ok(Reply::empty())
    }

    pub(super) async fn delete_execution(self: Arc<Self>, call: Call) -> Result<Reply, Fault> {
        let (thing, id) = (call.text("thingName")?, call.text("jobId")?);
        self.check_execution(&call, thing, id)?;
        let force = force(&call)?;
        let number = match call.input.get("executionNumber") {
            Some(Value::Number(number)) => number.as_i64(),
            Some(Value::String(number)) => number.parse().ok(),
            _ => None,
        };
        let number =
            number.ok_or_else(|| Fault::invalid_input("executionNumber must be a whole number"))?;
        let deleted = self.jobs.act(|turn| {
            let (now, out) = (turn.now, &mut turn.effects);
            turn.engine.delete_execution(id, thing, number, force, now, out)
        });
        deleted.await.map_err(error::control)?;
        Ok(Reply::empty())
    }
}

impl Control {
    /// Permissions on executions may be given by the job or by the thing.
    fn check_execution(&self, call: &Call, thing: &str, id: &str) -> Result<(), Fault> {
        let by_job = self.check(call, &format!("job/{id}"));
        by_job.or_else(|refusal| self.check(call, &format!("thing/{thing}")).map_err(|_| refusal))
    }
}

fn summary(view: &ExecutionView<'_>) -> Value {
    let mut fields = times(view);
    if view.retry_attempt > 0 {
        fields.insert("retryAttempt".to_owned(), view.retry_attempt.into());
    }
    fields.into()
}

fn full(view: &ExecutionView<'_>, thing_arn: String, now: Time) -> Value {
    let mut fields = times(view);
    fields.insert("jobId".to_owned(), view.job_id.into());
    fields.insert("thingArn".to_owned(), thing_arn.into());
    fields.insert("versionNumber".to_owned(), view.version_number.into());
    if view.force_canceled {
        fields.insert("forceCanceled".to_owned(), true.into());
    }
    if let Some(details) = view.status_details {
        fields.insert("statusDetails".to_owned(), json!({ "detailsMap": details }));
    }
    if let Some(seconds) = view.approximate_seconds_before_timed_out(now) {
        fields.insert("approximateSecondsBeforeTimedOut".to_owned(), seconds.into());
    }
    fields.into()
}

fn times(view: &ExecutionView<'_>) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("status".to_owned(), view.status.as_str().into());
    fields.insert("queuedAt".to_owned(), view.queued_at.fractional_seconds().into());
    if let Some(started) = view.started_at {
        fields.insert("startedAt".to_owned(), started.fractional_seconds().into());
    }
    fields.insert("lastUpdatedAt".to_owned(), view.last_updated_at.fractional_seconds().into());
    fields.insert("executionNumber".to_owned(), view.execution_number.into());
    fields
}
