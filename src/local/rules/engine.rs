//! The rule engine: which rules hear a message, and what they do then.
//!
//! A message is offered on its publisher's task, so there it is only looked up:
//! topics without rules cost one look-up and nothing else. Messages with rules wait
//! in a bounded queue; when it is full, further ones are dropped and counted, as
//! AWS throttles. One task takes them out. Rules whose actions need not wait run
//! there one after the other, in the order of the messages; a rule that waits for
//! another service goes on by itself, and at most so many wait at once.
//!
//! Each rule runs for itself: no rule sees what another one failed at.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, RwLock, Weak};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use iotstack_local_kernel::ports::MessageListener;
use iotstack_local_kernel::{Cloud, Commit, Message, Store, StoreError, id};
use iotstack_mqtt::topic::{Index, Matching};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};

use crate::action::{Action, Failure, Run};
use crate::rule::{Record, Rule};
use crate::sql::{self, Answers, Context, MqttProperties, Output, Source};
use crate::{Error, ask, hops};

/// All rules of the cloud, and the queue of messages that wait for them.
pub struct Engine {
    cloud: Weak<Cloud>,
    rules: RwLock<Rules>,
    queue: mpsc::Sender<Job>,
}

#[derive(Default)]
struct Rules {
    by_name: BTreeMap<Arc<str>, Arc<Rule>>,
    /// Those that are enabled and have a filter.
    by_topic: Index<Arc<str>, Arc<Rule>>,
}

/// A message and a rule that hears it.
struct Job {
    rule: Arc<Rule>,
    message: Message,
    hops: u32,
}

impl Engine {
    /// An engine with the rules that the cloud has stored.
    ///
    /// # Errors
    /// [`StoreError::Read`] if a stored rule cannot be read.
    pub fn start(cloud: &Arc<Cloud>) -> Result<Arc<Engine>, StoreError> {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let mut rules = Rules::default();
        for (name, record) in cloud.store.load::<Record>(TABLE)? {
            let rule = Rule::read(&name, record).map_err(|error| StoreError::Read {
                table: TABLE.to_owned(),
                key: name,
                reason: error.to_string(),
            })?;
            rules.put(Arc::new(rule));
        }
        let engine =
            Arc::new(Engine { cloud: Arc::downgrade(cloud), rules: RwLock::new(rules), queue });
        tokio::spawn(work(Arc::downgrade(cloud), waiting));
        Ok(engine)
    }

    /// The rule of that name.
    pub fn rule(&self, name: &str) -> Option<Arc<Rule>> {
        self.read(|rules| rules.by_name.get(name).cloned())
    }

    /// All rules in the order of their names.
    pub fn rules(&self) -> Vec<Arc<Rule>> {
        self.read(|rules| rules.by_name.values().cloned().collect())
    }

    /// Adds a rule.
    ///
    /// # Errors
    /// [`Error::Exists`] and [`Error::TooMany`].
    pub fn create(&self, store: &Store, rule: Rule) -> Result<Commit, Error> {
        self.write(|rules| {
            if rules.by_name.contains_key(&rule.name) {
                return Err(Error::Exists(rule.name.to_string()));
            }
            if rules.by_name.len() >= MOST_RULES {
                return Err(Error::TooMany(MOST_RULES));
            }
            Ok(rules.store(store, rule))
        })
    }

    /// Puts another rule in the place of the one with its name, made by `change`.
    ///
    /// # Errors
    /// [`Error::Missing`], and what `change` refuses.
    pub fn replace<E: From<Error>>(
        &self,
        store: &Store,
        name: &str,
        change: impl FnOnce(&Rule) -> Result<Rule, E>,
    ) -> Result<Commit, E> {
        self.write(|rules| {
            let rule = rules.by_name.get(name).ok_or_else(|| Error::Missing(name.to_owned()))?;
            let rule = change(rule)?;
            Ok(rules.store(store, rule))
        })
    }

    /// Removes a rule.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub fn delete(&self, store: &Store, name: &str) -> Result<Commit, Error> {
        self.write(|rules| {
            rules.take(name).ok_or_else(|| Error::Missing(name.to_owned()))?;
            let mut batch = store.batch();
            batch.remove(TABLE, name);
            Ok(store.commit(batch))
        })
    }

    fn offer(&self, rule: &Arc<Rule>, message: &Message) {
        let job = Job { rule: rule.clone(), message: message.clone(), hops: hops::current() };
        if self.queue.try_send(job).is_err() {
            tracing::warn!(rule = %rule.name, "rule engine is behind, a message was dropped");
            if let Some(cloud) = self.cloud.upgrade() {
                count(&cloud, "RuleExecutionThrottled", &[("RuleName", &rule.name)]);
            }
        }
    }

    fn read<T>(&self, look: impl FnOnce(&Rules) -> T) -> T {
        look(&self.rules.read().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    fn write<T>(&self, change: impl FnOnce(&mut Rules) -> T) -> T {
        change(&mut self.rules.write().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }
}

impl Rules {
    fn put(&mut self, rule: Arc<Rule>) {
        self.take(&rule.name);
        if let Some(filter) = rule.statement.filter()
            && !rule.disabled()
        {
            self.by_topic.insert(filter, rule.name.clone(), rule.clone());
        }
        self.by_name.insert(rule.name.clone(), rule);
    }

    fn take(&mut self, name: &str) -> Option<Arc<Rule>> {
        let rule = self.by_name.remove(name)?;
        if let Some(filter) = rule.statement.filter() {
            self.by_topic.remove(filter, &rule.name);
        }
        Some(rule)
    }

    /// Puts the rule, and hands it to the store while the rules are locked, so that
    /// the last of two changes is also the last that is stored.
    fn store(&mut self, store: &Store, rule: Rule) -> Commit {
        let mut batch = store.batch();
        batch.put(TABLE, &*rule.name, &rule.record);
        self.put(Arc::new(rule));
        store.commit(batch)
    }
}

impl MessageListener for Engine {
    fn heard(&self, message: &Message) {
        self.read(|rules| {
            rules.by_topic.visit(&message.topic, Matching::Aws, &mut |_, rule| {
                self.offer(rule, message);
            });
        });
    }

    fn ingested(&self, rule: &str, message: &Message) {
        match self.rule(rule) {
            Some(rule) if rule.disabled() => {}
            Some(rule) => self.offer(&rule, message),
            None => {
                tracing::debug!(rule, topic = %message.topic, "message for a rule that is not there");
                if let Some(cloud) = self.cloud.upgrade() {
                    count(&cloud, "RuleNotFound", &[("RuleName", rule)]);
                }
            }
        }
    }
}

/// Takes messages out of the queue until the engine is gone.
async fn work(cloud: Weak<Cloud>, mut waiting: mpsc::Receiver<Job>) {
    let slots = Arc::new(Semaphore::new(WAITING));
    while let Some(job) = waiting.recv().await {
        let Some(cloud) = cloud.upgrade() else { return };
        let mut running: Pin<Box<dyn Future<Output = ()> + Send>> =
            Box::pin(async move { execute(&cloud, &job).await });
        // Most rules never wait; those are done after this one look.
        let done =
            poll_fn(|context| std::task::Poll::Ready(running.as_mut().poll(context).is_ready()));
        if done.await {
            continue;
        }
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        tokio::spawn(async move {
            running.await;
            drop(slot);
        });
    }
}

/// Runs one rule for one message.
async fn execute(cloud: &Cloud, job: &Job) {
    let Job { rule, message, hops } = job;
    count(cloud, "TopicMatch", &[("RuleName", &rule.name)]);
    let trace_id = id::uuid();
    let seed = u64::from_str_radix(&trace_id[..8], 16).unwrap_or(0) << 32
        | u64::from_str_radix(&trace_id[24..32], 16).unwrap_or(0);
    let parsed = sql::Message::new(&message.payload);
    let properties = message.properties.as_deref().map(|properties| MqttProperties {
        content_type: properties.content_type.clone(),
        is_text: properties.payload_is_text,
        response_topic: properties.response_topic.clone(),
        correlation_data: properties.correlation_data.as_ref().map(|data| data.to_vec()),
        user_properties: properties.user.clone(),
    });
    let publisher = message.publisher.as_deref();
    let context = Context {
        message: &parsed,
        topic: &message.topic,
        source: Source {
            client_id: publisher.map(|publisher| &*publisher.client_id),
            principal: publisher.map(|publisher| &*publisher.principal),
            properties: properties.as_ref(),
        },
        account: &cloud.account.id,
        trace_id: &trace_id,
        now: cloud.clock.now().millis(),
        seed,
    };
    let mut answers = Answers::default();
    let output = ask::settle(cloud, &rule.name, &mut answers, |answers| {
        rule.statement.apply(&context, answers)
    });
    let mut failures = Vec::new();
    match output.await {
        Ok(output) => {
            if parsed.was_no_json() {
                count(cloud, "ParseError", &[("RuleName", &rule.name)]);
            }
            let Some(output) = output else { return };
            count(cloud, "RulesExecuted", &[]);
            let output = match output {
                Output::Unchanged => message.payload.clone(),
                Output::Value(value) => Bytes::from(rule.statement.write(&value)),
            };
            let run = Run {
                cloud,
                rule: &rule.name,
                statement: &rule.statement,
                context: &context,
                output: &output,
                hops: *hops,
            };
            for action in &rule.actions {
                let failure = act(&run, rule, action, &mut answers, ["Success", "Failure"]).await;
                failures.extend(failure.map(|failure| (action.title(), failure)));
            }
        }
        Err(reason) => {
            tracing::warn!(rule = %rule.name, reason, "statement of a rule failed");
            failures.push((
                "SqlFunction".to_owned(),
                Failure { resource: rule.name.to_string(), message: reason },
            ));
        }
    }
    if failures.is_empty() {
        return;
    }
    let Some(action) = &rule.error_action else { return };
    let payload = error_payload(&rule.name, &context, &failures);
    let output = Bytes::from(payload.to_string());
    let run = Run {
        cloud,
        rule: &rule.name,
        statement: &rule.statement,
        context: &context,
        output: &output,
        hops: *hops,
    };
    act(&run, rule, action, &mut answers, ["ErrorActionSuccess", "ErrorActionFailure"]).await;
}

/// Runs one action, and counts how it went under one of two metrics.
async fn act(
    run: &Run<'_>,
    rule: &Rule,
    action: &Action,
    answers: &mut Answers,
    [success, failed]: [&str; 2],
) -> Option<Failure> {
    let failure = action.run(run, answers).await.err();
    if let Some(failure) = &failure {
        tracing::warn!(
            rule = %rule.name,
            action = action.kind,
            metric = failed,
            resource = failure.resource,
            reason = failure.message,
            "rule action failed"
        );
    }
    tally(run.cloud, if failure.is_some() { failed } else { success }, rule, action);
    failure
}

/// What an error action gets: one message with all failures.
fn error_payload(rule: &str, context: &Context<'_>, failures: &[(String, Failure)]) -> Value {
    let failures = failures.iter().map(|(action, failure)| {
        json!({
            "failedAction": action,
            "failedResource": failure.resource,
            "errorMessage": failure.message,
        })
    });
    json!({
        "ruleName": rule,
        "topic": context.topic,
        "cloudwatchTraceId": context.trace_id,
        "clientId": context.source.client_id.unwrap_or("N/A"),
        "base64OriginalPayload": STANDARD.encode(context.message.payload()),
        "failures": failures.collect::<Vec<Value>>(),
    })
}

fn tally(cloud: &Cloud, metric: &str, rule: &Rule, action: &Action) {
    let title = action.title();
    let kind = title.trim_end_matches("Action");
    count(cloud, metric, &[("RuleName", &rule.name), ("ActionType", kind)]);
}

fn count(cloud: &Cloud, metric: &str, dimensions: &[(&str, &str)]) {
    if let Ok(metrics) = cloud.ports.metrics() {
        metrics.put("AWS/IoT", metric, dimensions, 1.0, "Count");
    }
}

const TABLE: &str = "topic_rules";
/// Messages that wait for the engine; more than AWS lets an account evaluate in a second.
const QUEUE: usize = 32_768;
/// Rules that wait for other services at once.
const WAITING: usize = 256;
const MOST_RULES: usize = 1_000;
