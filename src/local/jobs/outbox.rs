//! What leaves the service: answers to devices, notifications, events.
//!
//! Everything is drafted under the engine's lock and finished here: presigned URLs are
//! made, switched-off events are dropped, and the broker, the bus and the metrics are
//! told, in the order of the turns and after their changes were stored.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use iotstack_jobs::{
    Effect, Engine, ExecutionChange, ExecutionEffect, JobEffect, JobOperation, Purpose, Recipient,
    Time, has_placeholders, substitute,
};
use iotstack_local_kernel::{Cloud, CloudEvent, Commit, Fault, Message, StoreError, Timestamp, id};
use iotstack_protocol::JobExecutionStatus;
use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::clock::timestamp;
use crate::device::{self, NOTIFIED};
use crate::service::Jobs;

/// What one turn sends.
pub(crate) struct Outgoing {
    pub commit: Commit,
    pub outs: Vec<Out>,
    pub done: Option<oneshot::Sender<Result<(), StoreError>>>,
}

/// One thing that leaves.
#[derive(Debug)]
pub(crate) enum Out {
    /// An answer to one client.
    Answer { client: Arc<str>, topic: String, body: Map<String, Value>, document: Option<Document> },
    /// A notification through the broker.
    Notify { topic: String, body: Map<String, Value>, document: Option<Document> },
    /// An execution has changed.
    Execution { effect: ExecutionEffect, thing: Arc<str>, at: Time },
    /// A job has changed.
    Job { effect: Box<JobEffect>, at: Time },
    /// Something for the bus alone.
    Bus(CloudEvent),
}

/// A job document that is put into a message when it leaves.
#[derive(Debug)]
pub(crate) struct Document {
    /// The member of the message that gets it; the message itself if there is none.
    pub inside: Option<&'static str>,
    pub text: Arc<str>,
    pub thing: Arc<str>,
    pub job: Arc<str>,
    pub number: u32,
    pub expires: Duration,
}

impl Out {
    /// What an effect sends.
    pub(crate) fn of(effect: Effect, engine: &Engine, now: Time) -> Option<Out> {
        Some(match effect {
            Effect::Notify { thing, namespace } => {
                let name = engine.thing_name(thing);
                let pending = engine.pending_of(thing, namespace.as_deref(), NOTIFIED);
                let topic = match namespace {
                    None => format!("$aws/things/{name}/jobs/notify"),
                    Some(space) => format!("$aws/things/{name}/jobs/notify-namespace-{space}"),
                };
                let mut lists = Map::new();
                for (list, views) in
                    [("IN_PROGRESS", &pending.in_progress), ("QUEUED", &pending.queued)]
                {
                    if !views.is_empty() {
                        lists.insert(list.to_owned(), device::summaries(views));
                    }
                }
                let mut body = device::stamped(now);
                body.insert("jobs".to_owned(), Value::Object(lists));
                Out::Notify { topic, body, document: None }
            }
            Effect::NotifyNext { thing } => {
                let topic = format!("$aws/things/{}/jobs/notify-next", engine.thing_name(thing));
                let mut body = device::stamped(now);
                let mut document = None;
                if let Some(view) = engine.next_of(thing) {
                    body.insert("execution".to_owned(), device::execution(&view, now).into());
                    document = Document::of(&view, engine, Some("execution"));
                }
                Out::Notify { topic, body, document }
            }
            Effect::Execution(effect) => {
                Out::Execution { thing: engine.thing_name(effect.thing).into(), effect, at: now }
            }
            Effect::Job(effect) => Out::Job { effect, at: now },
            // The engine may learn more effects than are told here.
            _ => return None,
        })
    }
}

impl Document {
    /// The document of an execution.
    pub(crate) fn of(
        view: &iotstack_jobs::ExecutionView<'_>,
        engine: &Engine,
        inside: Option<&'static str>,
    ) -> Option<Document> {
        let (_, seconds) = engine.presigning(view.job_id).ok()?;
        Some(Document {
            inside,
            text: engine.job_document(view.job_id).ok()?,
            thing: view.thing_name.into(),
            job: view.job_id.into(),
            number: view.execution_number,
            expires: Duration::from_secs(seconds),
        })
    }

    /// The document with presigned URLs in it.
    pub(crate) fn finish(&self, cloud: &Cloud) -> Result<Value, Fault> {
        let mut document: Value = serde_json::from_str(&self.text)
            .map_err(|error| Fault::internal(format!("the job document is no JSON: {error}")))?;
        if has_placeholders(&self.text) {
            let objects = cloud.ports.objects()?;
            let recipient = Recipient { thing: &self.thing, job: &self.job, number: self.number };
            substitute(&mut document, recipient, &mut |object| {
                let version = object.version_id.as_deref();
                let write = object.purpose == Purpose::Upload;
                objects.presign(&object.bucket, &object.key, version, write, self.expires)
            })?;
        }
        Ok(document)
    }
}

/// Sends what was drafted, turn by turn, until the service ends.
pub(crate) async fn send_all(jobs: Weak<Jobs>, mut outgoing: mpsc::Receiver<Outgoing>) {
    while let Some(Outgoing { commit, outs, done }) = outgoing.recv().await {
        let stored = commit.stored().await;
        if let Err(error) = &stored {
            tracing::error!(%error, "messages about jobs are withheld");
        } else if !outs.is_empty() {
            let Some(jobs) = jobs.upgrade() else { return };
            let Ok(cloud) = jobs.cloud() else { return };
            for out in outs {
                send(out, &jobs, &cloud);
            }
        }
        if let Some(done) = done {
            // Whoever asked may have gone away.
            let _ = done.send(stored);
        }
    }
}

fn send(out: Out, jobs: &Jobs, cloud: &Cloud) {
    let at = cloud.clock.now();
    match out {
        Out::Answer { client, topic, body, document } => {
            let job = document.as_ref().map(|document| document.job.clone());
            let (topic, body) = match finish(body, document, cloud) {
                Ok(body) => (topic, body),
                Err(fault) => {
                    tracing::warn!(%topic, %fault, "a job document cannot be handed out");
                    if let Some(job) = job {
                        jobs.count_error(&job, false);
                    }
                    let rejected = topic.replace("/accepted", "/rejected");
                    (rejected, device::internal_error(&fault.message, at))
                }
            };
            if let Ok(messages) = cloud.ports.messages() {
                messages.send(&client, Message::new(topic, text(body), at));
            }
        }
        Out::Notify { topic, body, document } => match finish(body, document, cloud) {
            Ok(body) => publish(cloud, topic, body, at),
            Err(fault) => tracing::warn!(%topic, %fault, "a notification is dropped"),
        },
        Out::Execution { effect, thing, at: happened } => {
            execution_event(&effect, &thing, happened, jobs, cloud);
        }
        Out::Job { effect, at: happened } => job_event(&effect, happened, jobs, cloud),
        Out::Bus(event) => cloud.bus.tell(&event),
    }
}

fn execution_event(
    effect: &ExecutionEffect,
    thing: &Arc<str>,
    at: Time,
    jobs: &Jobs,
    cloud: &Cloud,
) {
    if effect.change == ExecutionChange::Entered {
        let mut entered = jobs.entered.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let first = entered.is_empty();
        entered.entry(effect.job.clone()).or_default()[effect.status as usize] += 1;
        drop(entered);
        if first {
            jobs.woken.notify_one();
        }
    }
    cloud.bus.tell(&CloudEvent::ExecutionChanged {
        job_id: effect.job.clone(),
        thing: thing.clone(),
        status: effect.status.as_str(),
        at: timestamp(at),
    });
    let Some(operation) = effect.operation() else { return };
    if !enabled(cloud, "JOB_EXECUTION") {
        return;
    }
    let mut body = event("JOB_EXECUTION", operation, at);
    let status = if operation == "deleted" { "DELETED" } else { effect.status.as_str() };
    body.insert("jobId".to_owned(), json!(&*effect.job));
    let thing_arn = jobs.account.arn("iot", format_args!("thing/{thing}"));
    body.insert("thingArn".to_owned(), thing_arn.into());
    body.insert("status".to_owned(), status.into());
    let none = BTreeMap::new();
    let details = effect.details.as_deref().unwrap_or(&none);
    body.insert("statusDetails".to_owned(), json!(details));
    publish(
        cloud,
        format!("$aws/events/jobExecution/{}/{operation}", effect.job),
        body,
        cloud.clock.now(),
    );
}

fn job_event(effect: &JobEffect, at: Time, jobs: &Jobs, cloud: &Cloud) {
    let status = effect.operation.status();
    let (job_id, stamp) = (effect.job.clone(), timestamp(at));
    cloud.bus.tell(&CloudEvent::JobChanged { job_id, status, at: stamp });
    if effect.operation == JobOperation::Deleted {
        let mut entered = jobs.entered.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        entered.remove(&effect.job);
    }
    if !enabled(cloud, "JOB") {
        return;
    }
    let operation = effect.operation.as_str();
    let mut body = event("JOB", operation, at);
    body.insert("jobId".to_owned(), json!(&*effect.job));
    body.insert("status".to_owned(), status.into());
    body.insert("targetSelection".to_owned(), effect.target_selection.as_str().into());
    body.insert("targets".to_owned(), json!(effect.targets));
    if let Some(description) = &effect.description {
        body.insert("description".to_owned(), description.as_str().into());
    }
    body.insert("createdAt".to_owned(), effect.created_at.0.into());
    body.insert("lastUpdatedAt".to_owned(), effect.last_updated_at.0.into());
    match effect.operation {
        JobOperation::Completed => {
            if let Some(completed) = effect.completed_at {
                body.insert("completedAt".to_owned(), completed.0.into());
            }
            let details = &effect.process_details;
            let counts = json!({
                "numberOfCanceledThings": details.number_of_canceled_things,
                "numberOfRejectedThings": details.number_of_rejected_things,
                "numberOfFailedThings": details.number_of_failed_things,
                "numberOfRemovedThings": details.number_of_removed_things,
                "numberOfSucceededThings": details.number_of_succeeded_things,
            });
            body.insert("jobProcessDetails".to_owned(), counts);
        }
        JobOperation::Canceled => {}
        _ => {
            if let Some(comment) = &effect.comment {
                body.insert("comment".to_owned(), comment.as_str().into());
            }
        }
    }
    publish(cloud, format!("$aws/events/job/{}/{operation}", effect.job), body, cloud.clock.now());
}

fn event(kind: &str, operation: &str, at: Time) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("eventType".to_owned(), kind.into());
    body.insert("eventId".to_owned(), id::uuid().into());
    body.insert("timestamp".to_owned(), at.seconds().into());
    body.insert("operation".to_owned(), operation.into());
    body
}

fn enabled(cloud: &Cloud, kind: &str) -> bool {
    cloud.ports.registry().is_ok_and(|registry| registry.events_enabled(kind))
}

fn publish(cloud: &Cloud, topic: String, body: Map<String, Value>, at: Timestamp) {
    match cloud.ports.messages() {
        Ok(messages) => messages.publish(Message::new(topic, text(body), at)),
        Err(fault) => tracing::debug!(%topic, %fault, "nobody carries a message"),
    }
}

fn finish(
    mut body: Map<String, Value>,
    document: Option<Document>,
    cloud: &Cloud,
) -> Result<Map<String, Value>, Fault> {
    let Some(document) = document else { return Ok(body) };
    let finished = document.finish(cloud)?;
    let place = match document.inside {
        None => Some(&mut body),
        Some(member) => body.get_mut(member).and_then(Value::as_object_mut),
    };
    if let Some(place) = place {
        place.insert("jobDocument".to_owned(), finished);
    }
    Ok(body)
}

fn text(body: Map<String, Value>) -> String {
    Value::Object(body).to_string()
}

/// The name of a state in the metrics of AWS, where it has one.
pub(crate) fn metric(status: JobExecutionStatus) -> Option<(&'static str, &'static str)> {
    Some(match status {
        JobExecutionStatus::Queued => ("QueuedJobExecutionCount", "QueuedJobExecutionTotalCount"),
        JobExecutionStatus::InProgress => {
            ("InProgressJobExecutionCount", "InProgressJobExecutionTotalCount")
        }
        // AWS spells it so.
        JobExecutionStatus::Succeeded => {
            ("SuccededJobExecutionCount", "SuccededJobExecutionTotalCount")
        }
        JobExecutionStatus::Failed => ("FailedJobExecutionCount", "FailedJobExecutionTotalCount"),
        JobExecutionStatus::Rejected => {
            ("RejectedJobExecutionCount", "RejectedJobExecutionTotalCount")
        }
        JobExecutionStatus::Removed => {
            ("RemovedJobExecutionCount", "RemovedJobExecutionTotalCount")
        }
        JobExecutionStatus::Canceled => {
            ("CanceledJobExecutionCount", "CanceledJobExecutionTotalCount")
        }
        JobExecutionStatus::TimedOut => return None,
    })
}
