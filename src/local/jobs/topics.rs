//! The reserved topics of jobs: `$aws/things/+/jobs/#`.
//!
//! A request that a client was allowed to publish is answered to that client alone,
//! whether it subscribed or not, on the topic of the request with `/accepted` or
//! `/rejected` behind it. Messages never pass through the broker here.

use std::sync::Arc;

use iotstack_jobs::{Error, Result, WhichExecution};
use iotstack_local_kernel::{Message, Publisher, Reserved};
use serde_json::{Map, Value};

use crate::device::{self, LISTED};
use crate::error;
use crate::outbox::{Document, Out};
use crate::service::{Jobs, Turn};

/// The family of topics.
pub(crate) struct Topics {
    pub jobs: Arc<Jobs>,
}

impl Reserved for Topics {
    fn owns(&self, topic: &str) -> bool {
        split(topic).is_some()
    }

    fn receive(&self, from: &Arc<Publisher>, message: &Message) {
        let Some((thing, rest)) = split(&message.topic) else { return };
        let request = Request::parse(rest);
        let body = read(&message.payload);
        let token = match &body {
            Ok(fields) => device::client_token(fields).ok().flatten(),
            Err(_) => None,
        };
        let mut refused = None;
        let taken = self.jobs.act_now(|turn| {
            let answer = match (request, body) {
                (None, _) => Err(Rejection::Topic),
                (_, Err(reason)) => Err(Rejection::Json(reason)),
                (Some(request), Ok(fields)) => {
                    answer(turn, thing, request, &fields).map_err(Rejection::Engine)
                }
            };
            let (ending, mut body, document) = match answer {
                Ok(Answer { body, document }) => ("accepted", body, document),
                Err(rejection) => {
                    refused =
                        request.and_then(Request::job).map(|job| (job, &rejection).by_client());
                    ("rejected", rejection.body(turn), None)
                }
            };
            if let Some(token) = &token {
                body.insert("clientToken".to_owned(), token.as_str().into());
            }
            let topic = format!("{}/{ending}", message.topic);
            turn.answers.push(Out::Answer {
                client: from.client_id.clone(),
                topic,
                body,
                document,
            });
        });
        if !taken {
            self.throttle(from, message, token);
        }
        if let Some((job, by_client)) = refused {
            self.jobs.count_error(job, by_client);
        }
    }
}

impl Topics {
    /// Tells a device to slow down; the engine is not asked.
    fn throttle(&self, from: &Arc<Publisher>, message: &Message, token: Option<String>) {
        let Ok(cloud) = self.jobs.cloud() else { return };
        let Ok(messages) = cloud.ports.messages() else { return };
        let mut body = device::stamped(self.jobs.now());
        body.insert("code".to_owned(), "RequestThrottled".into());
        body.insert("message".to_owned(), "too many requests wait: try again later".into());
        if let Some(token) = token {
            body.insert("clientToken".to_owned(), token.into());
        }
        let topic = format!("{}/rejected", message.topic);
        let body = Value::Object(body).to_string();
        messages.send(&from.client_id, Message::new(topic, body, cloud.clock.now()));
    }
}

/// What a topic asks for.
#[derive(Debug, Clone, Copy)]
enum Request<'a> {
    Pending,
    StartNext,
    Describe(&'a str),
    Update(&'a str),
}

impl<'a> Request<'a> {
    fn parse(rest: &'a str) -> Option<Self> {
        match (rest, rest.split_once('/')) {
            ("get", _) => Some(Request::Pending),
            ("start-next", _) => Some(Request::StartNext),
            (_, Some((job, "get"))) if !job.is_empty() => Some(Request::Describe(job)),
            (_, Some((job, "update"))) if !job.is_empty() => Some(Request::Update(job)),
            _ => None,
        }
    }

    fn job(self) -> Option<&'a str> {
        match self {
            Request::Describe(job) | Request::Update(job) => Some(job).filter(|job| *job != NEXT),
            Request::Pending | Request::StartNext => None,
        }
    }
}

/// What a device is answered.
struct Answer {
    body: Map<String, Value>,
    document: Option<Document>,
}

/// Why a device is refused.
enum Rejection {
    Topic,
    Json(String),
    Engine(Error),
}

impl Rejection {
    fn body(&self, turn: &Turn<'_>) -> Map<String, Value> {
        let mut body = device::stamped(turn.now);
        let (code, message, state) = match self {
            Rejection::Topic => {
                ("InvalidTopic", "the topic stands for no operation of jobs".to_owned(), None)
            }
            Rejection::Json(reason) => ("InvalidJson", reason.clone(), None),
            Rejection::Engine(error) => {
                let (code, state) = error::device(error);
                (code, error.to_string(), state)
            }
        };
        body.insert("code".to_owned(), code.into());
        body.insert("message".to_owned(), message.into());
        if let Some(state) = state {
            body.insert("executionState".to_owned(), error::execution_state(state));
        }
        body
    }
}

trait ByClient<'a> {
    fn by_client(self) -> (&'a str, bool);
}

impl<'a> ByClient<'a> for (&'a str, &Rejection) {
    fn by_client(self) -> (&'a str, bool) {
        let (job, rejection) = self;
        let by_service = matches!(rejection, Rejection::Engine(error) if error::device(error).0 == "InternalError");
        (job, !by_service)
    }
}

fn answer(
    turn: &mut Turn<'_>,
    thing: &str,
    request: Request<'_>,
    fields: &Map<String, Value>,
) -> Result<Answer> {
    device::client_token(fields)?;
    let now = turn.now;
    let mut body = device::stamped(now);
    let mut document = None;
    turn.engine.advance(now, &mut turn.effects);
    match request {
        Request::Pending => {
            let pending = turn.engine.pending(thing, LISTED);
            body.insert("inProgressJobs".to_owned(), device::summaries(&pending.in_progress));
            body.insert("queuedJobs".to_owned(), device::summaries(&pending.queued));
        }
        Request::StartNext => {
            let request = device::start_next(fields)?;
            let started = turn.engine.start_next(thing, request, now, &mut turn.effects)?;
            if started.is_some()
                && let Some(view) = turn.engine.describe(thing, WhichExecution::Next)?
            {
                body.insert("execution".to_owned(), device::execution(&view, now).into());
                document = Document::of(&view, turn.engine, Some("execution"));
            }
        }
        Request::Describe(job) => {
            let (number, wants_document) = device::describe(fields)?;
            let which = match job {
                NEXT => WhichExecution::Next,
                job => WhichExecution::Job(job, number),
            };
            if let Some(view) = turn.engine.describe(thing, which)? {
                body.insert("execution".to_owned(), device::execution(&view, now).into());
                if wants_document {
                    document = Document::of(&view, turn.engine, Some("execution"));
                }
            }
        }
        Request::Update(job) => {
            let report = device::report(fields)?;
            let number = {
                let view = turn.engine.update_execution(
                    job,
                    thing,
                    report.request,
                    now,
                    &mut turn.effects,
                )?;
                i64::from(view.execution_number)
            };
            let view = turn.engine.execution(job, thing, Some(number))?;
            if report.wants_state {
                body.insert("executionState".to_owned(), device::state(&view));
            }
            if report.wants_document {
                document = Document::of(&view, turn.engine, None);
            }
        }
    }
    Ok(Answer { body, document })
}

/// The thing of a topic of jobs, and what stands behind `jobs/`.
fn split(topic: &str) -> Option<(&str, &str)> {
    let (thing, rest) = topic.strip_prefix("$aws/things/")?.split_once('/')?;
    let rest = rest.strip_prefix("jobs/")?;
    (!thing.is_empty()).then_some((thing, rest))
}

fn read(payload: &[u8]) -> std::result::Result<Map<String, Value>, String> {
    // An empty message asks for everything by default.
    if payload.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(payload) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err("the message is no JSON object".to_owned()),
        Err(error) => Err(format!("the message is no JSON: {error}")),
    }
}

const NEXT: &str = "$next";
