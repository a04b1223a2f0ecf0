//! Asynchronous invocations: run later, twice more if they fail, and at the end
//! told to whoever wants to know.
//!
//! They wait in memory and are bounded in number; what waits when the cloud ends
//! is lost. The pauses between tries are the cloud's time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use iotstack_local_kernel::ports::BusEvent;
use iotstack_local_kernel::{Fault, Timestamp, id};
use serde_json::{Value, json};

use crate::error::throttled;
use crate::name::FunctionName;
use crate::process::Outcome;
use crate::record::EventConfig;
use crate::service::Lambda;

/// An event after its last try, for those who are told of it.
struct Tried<'a> {
    name: &'a FunctionName,
    version: &'a str,
    request_id: &'a str,
    payload: &'a Bytes,
    tries: u64,
}

impl Lambda {
    /// Takes an asynchronous invocation in.
    pub(crate) fn enqueue(
        self: &Arc<Self>,
        name: &FunctionName,
        payload: Bytes,
    ) -> Result<(), Fault> {
        if self.events.fetch_add(1, Ordering::SeqCst) >= MOST_EVENTS {
            self.events.fetch_sub(1, Ordering::SeqCst);
            self.count(&name.name, "AsyncEventsDropped", 1.0, "Count");
            return Err(throttled(
                "ConcurrentInvocationLimitExceeded",
                format!("{MOST_EVENTS} asynchronous invocations wait already"),
            ));
        }
        self.count(&name.name, "AsyncEventsReceived", 1.0, "Count");
        let (lambda, name) = (self.clone(), name.clone());
        tokio::spawn(async move {
            lambda.deliver(&name, payload).await;
            lambda.events.fetch_sub(1, Ordering::SeqCst);
        });
        Ok(())
    }

    /// Runs an event until it succeeds or nothing more is to be tried.
    async fn deliver(self: &Arc<Self>, name: &FunctionName, payload: Bytes) {
        let (arrived, request_id) = (self.now(), id::uuid());
        let config = self.event_config_of(name);
        let longest = Duration::from_secs(config.longest_age_seconds.unwrap_or(21_600).into());
        let retries = config.retries.unwrap_or(2);
        let (mut tries, mut throttles) = (0, 0);
        loop {
            // The function may have changed or gone since the last try.
            let Ok(plan) = self.plan(name) else { return };
            let version = plan.version.number.clone();
            let run = self.clone().run(plan, request_id.clone(), payload.clone(), None, false);
            // Waiting is bounded by those before; the place is free again during pauses.
            let turn = self.event_turns.acquire().await;
            let ran = run.await;
            drop(turn);
            let (outcome, pause) = match ran {
                Err(fault) if fault.status == 429 => {
                    throttles += 1;
                    // Throttled events are tried again until they are too old.
                    (None, Duration::from_secs(1 << throttles.min(8)))
                }
                Err(fault) => {
                    tracing::warn!(function = %name.name, error = %fault, "an event cannot be run");
                    tries += 1;
                    (None, Duration::from_secs(60 * tries))
                }
                Ok(outcome) => {
                    tries += 1;
                    (Some(outcome), Duration::from_secs(60 * tries))
                }
            };
            let tried = Tried {
                name,
                version: &version,
                request_id: &request_id,
                payload: &payload,
                tries,
            };
            if let Some(outcome) = outcome.as_ref().filter(|outcome| outcome.error.is_none()) {
                if let Some(target) = &config.on_success {
                    self.tell(name, target, &self.told(&tried, outcome, "Success")).await;
                }
                return;
            }
            let too_old = self.now().after(pause).since(arrived) > longest;
            if tries > u64::from(retries) || too_old {
                let condition = if too_old { "EventAgeExceeded" } else { "RetriesExhausted" };
                self.give_up(&tried, outcome, condition, &config).await;
                return;
            }
            self.clock.sleep(pause).await;
        }
    }

    async fn give_up(
        &self,
        tried: &Tried<'_>,
        outcome: Option<Outcome>,
        condition: &str,
        config: &EventConfig,
    ) {
        let name = tried.name;
        tracing::debug!(function = %name.name, condition, "an event is given up");
        self.count(&name.name, "AsyncEventsDropped", 1.0, "Count");
        if let Some(target) = &config.on_failure {
            let outcome = outcome.unwrap_or_else(|| Outcome {
                payload: Bytes::from_static(b"null"),
                error: Some("Unhandled".to_owned()),
                duration: Duration::ZERO,
                log_tail: None,
                reusable: false,
            });
            self.tell(name, target, &self.told(tried, &outcome, condition)).await;
        }
        let dead_letter = self.plan(name).ok().and_then(|plan| plan.version.settings.dead_letter);
        if let Some(target) = dead_letter {
            // A dead letter is the event alone.
            let event = serde_json::from_slice(tried.payload).unwrap_or(Value::Null);
            self.tell(name, &target, &event).await;
        }
    }

    /// What a destination is told.
    fn told(&self, tried: &Tried<'_>, outcome: &Outcome, condition: &str) -> Value {
        let Tried { name, version, request_id, payload, tries } = *tried;
        let read = |bytes: &Bytes| serde_json::from_slice(bytes).unwrap_or(Value::Null);
        let arn = format!("{}:{version}", self.arn(&name.name));
        let mut response = json!({"statusCode": 200, "executedVersion": version});
        if let Some(error) = &outcome.error {
            response["functionError"] = json!(error);
        }
        json!({
            "version": "1.0",
            "timestamp": self.now().iso8601(),
            "requestContext": {
                "requestId": request_id,
                "functionArn": arn,
                "condition": condition,
                "approximateInvokeCount": tries,
            },
            "requestPayload": read(payload),
            "responseContext": response,
            "responsePayload": read(&outcome.payload),
        })
    }

    /// Sends to a queue, a topic, a bus or a function.
    async fn tell(&self, name: &FunctionName, target: &str, told: &Value) {
        if let Err(error) = self.try_tell(target, told).await {
            self.count(&name.name, "DestinationDeliveryFailures", 1.0, "Count");
            tracing::warn!(function = %name.name, target, %error, "a destination is not told");
        }
    }

    async fn try_tell(&self, target: &str, told: &Value) -> Result<(), Fault> {
        let cloud = self.cloud()?;
        let text = told.to_string();
        match target.split(':').nth(2) {
            Some("sqs") => cloud.ports.queues()?.send(target, &text).await.map(drop),
            Some("sns") => cloud.ports.topics()?.publish(target, &text, None).await.map(drop),
            Some("events") => {
                let condition = told["requestContext"]["condition"].as_str().unwrap_or_default();
                let outcome = if condition == "Success" { "Success" } else { "Failure" };
                let event = BusEvent {
                    source: "lambda".to_owned(),
                    detail_type: format!("Lambda Function Invocation Result - {outcome}"),
                    detail: told.clone(),
                    resources: vec![target.to_owned()],
                };
                cloud.ports.event_buses()?.put(target, event).await.map(drop)
            }
            Some("lambda") => {
                cloud.ports.functions()?.invoke_event(target, text.into());
                Ok(())
            }
            _ => Err(Fault::invalid_input(format!(
                "destination `{target}` must be a queue, a topic, a bus or a function"
            ))),
        }
    }

    fn event_config_of(&self, name: &FunctionName) -> EventConfig {
        let key = name.qualifier.as_deref().unwrap_or("$LATEST");
        let found = self.read(name, |function| Ok(function.event_configs.get(key).cloned()));
        found.ok().flatten().unwrap_or_else(|| EventConfig {
            modified: Timestamp::default(),
            ..EventConfig::default()
        })
    }
}

/// How many events may wait or run.
const MOST_EVENTS: usize = 10_000;
