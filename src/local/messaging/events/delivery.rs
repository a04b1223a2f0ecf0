//! Events on their way: which rules want them, and how their targets get them.
//!
//! What a target may not or cannot take goes to its dead-letter queue, if it has one. An
//! event passes a few buses at most, so that buses that feed each other come to rest.

use std::sync::Arc;

use iotstack_local_kernel::ports::BusEvent;
use iotstack_local_kernel::{Account, BoxFuture, Cloud, Fault, Timestamp, id};
use serde_json::{Value, json};

use super::rule::{Rule, Target};
use super::schedule::Schedule;
use super::transform::{Input, Origin};
use super::{DEFAULT, Events, no_bus};
use crate::queues::Outgoing;

/// An event as rules and targets see it.
#[derive(Debug, Clone)]
pub(super) struct Event(Value);

impl Event {
    pub(super) fn new(account: &Account, at: Timestamp, event: BusEvent) -> Self {
        let time = at.iso8601();
        // Events tell their time in whole seconds.
        let time = time.split_once('.').map_or(time.clone(), |(seconds, _)| format!("{seconds}Z"));
        Event(json!({
            "version": "0",
            "id": id::uuid(),
            "detail-type": event.detail_type,
            "source": event.source,
            "account": account.id,
            "time": time,
            "region": account.region,
            "resources": event.resources,
            "detail": event.detail,
        }))
    }

    pub(super) fn id(&self) -> &str {
        self.0["id"].as_str().unwrap_or_default()
    }
}

impl Events {
    /// Brings an event to the targets of all rules that want it.
    pub(super) fn publish(
        self: Arc<Self>,
        bus: &str,
        event: Event,
        depth: u8,
    ) -> BoxFuture<'_, ()> {
        let bus = bus.to_owned();
        Box::pin(async move {
            let wanted: Vec<Rule> = {
                let state = self.state();
                let of_bus = (bus.clone(), String::new())..;
                state
                    .rules
                    .range(of_bus)
                    .take_while(|((its_bus, _), _)| *its_bus == bus)
                    .map(|(_, rule)| rule)
                    .filter(|rule| {
                        let fits = |pattern: &crate::pattern::Pattern| pattern.fits(&event.0);
                        rule.is_enabled() && rule.parsed.as_ref().is_some_and(fits)
                    })
                    .cloned()
                    .collect()
            };
            for rule in wanted {
                self.clone().run(&rule, &event, depth).await;
            }
        })
    }

    /// Fires the schedules that came due.
    pub(super) async fn fire(self: Arc<Self>, last: Timestamp, now: Timestamp) {
        let due: Vec<Rule> = self
            .state()
            .rules
            .values()
            .filter(|rule| {
                let schedule = rule.schedule.as_deref().and_then(|text| Schedule::parse(text).ok());
                rule.is_enabled()
                    && schedule.is_some_and(|schedule| schedule.is_due(rule.since, last, now))
            })
            .cloned()
            .collect();
        for rule in due {
            let event = BusEvent {
                source: "aws.events".to_owned(),
                detail_type: "Scheduled Event".to_owned(),
                detail: json!({}),
                resources: vec![self.rule_arn(&rule.bus, &rule.name)],
            };
            let event = Event::new(&self.account, now, event);
            self.clone().run(&rule, &event, 0).await;
        }
    }

    async fn run(self: Arc<Self>, rule: &Rule, event: &Event, depth: u8) {
        let arn = self.rule_arn(&rule.bus, &rule.name);
        let origin = Origin { rule_arn: &arn, rule_name: &rule.name };
        self.count("MatchedEvents", &rule.name);
        for target in rule.targets.values() {
            let Value::Object(members) = &target.given else { continue };
            let text = Input::read(members).ok().and_then(|input| input.of(&event.0, &origin));
            let Some(text) = text else {
                tracing::debug!(rule = %rule.name, target = %target.arn, "an event has not what the target wants");
                continue;
            };
            self.count("Invocations", &rule.name);
            if let Err(error) = self.clone().deliver(&arn, target, event, text.clone(), depth).await
            {
                tracing::warn!(rule = %rule.name, target = %target.arn, %error, "an event is not delivered");
                self.count("FailedInvocations", &rule.name);
                self.bury(&arn, target, text).await;
            }
        }
    }

    async fn deliver(
        self: Arc<Self>,
        rule: &str,
        target: &Target,
        event: &Event,
        text: String,
        depth: u8,
    ) -> Result<(), Fault> {
        let cloud = Cloud::held(&self.cloud)?;
        let arn = target.arn.as_str();
        match target.service() {
            "lambda" => {
                let functions = cloud.ports.functions()?;
                if !functions.permits(arn, SERVICE, rule) {
                    let message = format!("function `{arn}` does not permit the rule");
                    return Err(Fault::new("AccessDeniedException", 403, message));
                }
                functions.invoke_event(arn, text.into());
                Ok(())
            }
            "sqs" => {
                let group = target.given["SqsParameters"]["MessageGroupId"].as_str();
                // A FIFO queue must tell doubles by their content: no id is sent along.
                let outgoing =
                    Outgoing { group: group.map(str::to_owned), ..Outgoing::plain(&text) };
                self.queues.put_for(arn, outgoing, SERVICE, rule)?.stored().await?;
                Ok(())
            }
            "sns" => self.topics.publish_for(arn, &text, SERVICE, rule).await,
            "logs" => {
                let group = arn.split_once(":log-group:").map_or("", |(_, name)| name);
                let group = group.trim_end_matches(":*");
                let lines = [(self.clock.now(), text)];
                cloud.ports.log_streams()?.write(group, event.id(), &lines);
                Ok(())
            }
            _ => {
                if depth >= MOST_HOPS {
                    let message = format!("the event passed {MOST_HOPS} buses already");
                    return Err(Fault::new("LimitExceededException", 400, message));
                }
                let bus = self.bus_of(Some(arn));
                if !self.state().buses.contains_key(&bus) {
                    return Err(no_bus(&bus));
                }
                // A bus gets the event as it is, whatever its input says.
                self.publish(&bus, event.clone(), depth + 1).await;
                Ok(())
            }
        }
    }

    /// Puts what was not delivered into the dead-letter queue of its target.
    async fn bury(&self, rule: &str, target: &Target, text: String) {
        let Some(queue) = target.dead_letter() else { return };
        let outcome = match self.queues.put_for(queue, Outgoing::plain(&text), SERVICE, rule) {
            Ok(commit) => commit.stored().await.map_err(Fault::from),
            Err(fault) => Err(fault),
        };
        if let Err(error) = outcome {
            tracing::warn!(rule, queue, %error, "a dead letter is lost");
        }
    }

    fn count(&self, metric: &str, rule: &str) {
        if let Some(cloud) = self.cloud.upgrade()
            && let Ok(metrics) = cloud.ports.metrics()
        {
            metrics.put("AWS/Events", metric, &[("RuleName", rule)], 1.0, "Count");
        }
    }

    /// The bus that every account has.
    pub(super) fn is_default(bus: &str) -> bool {
        bus == DEFAULT
    }
}

/// Who sends to targets.
const SERVICE: &str = "events.amazonaws.com";

/// How many buses an event may pass.
const MOST_HOPS: u8 = 4;
