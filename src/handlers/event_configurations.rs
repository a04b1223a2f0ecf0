//! `Custom::IoTStackEventConfigurations`: switches on the events of AWS IoT.
//!
//! Event configurations belong to the whole account and region, and no
//! CloudFormation type knows them. Others may have switched them on before us,
//! and may rely on them after us. So the physical id records what was switched on
//! here, and only that is switched off again, and only if no enabled topic rule
//! listens to those events any more.
//!
//! A change of the record is a change of the physical id. CloudFormation then
//! deletes the old id while the stack's rules still listen, so that what is
//! wanted further stays on.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_iot::Client;
use aws_sdk_iot::types::{Configuration, EventType as IotEventType};
use iotstack_protocol::{EventType, TopicFilter};
use serde::Deserialize;
use serde_json::json;

use tracing::info;

use crate::Result;
use crate::custom_resource::{Context, Outcome, Resource};
use crate::environment::Aws;
use crate::error::failed;
use crate::retry::with_patience;

/// The resource.
pub(crate) struct EventConfigurations {
    client: Client,
}

/// Which events a stack needs.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Properties {
    event_types: BTreeSet<EventType>,
}

impl EventConfigurations {
    pub(crate) fn new(aws: &Aws) -> Self {
        EventConfigurations { client: Client::new(&aws.config) }
    }
}

impl Resource for EventConfigurations {
    const TYPE: &'static str = "Custom::IoTStackEventConfigurations";
    type Properties = Properties;

    async fn create(&self, properties: Properties, context: &Context) -> Result<Outcome> {
        self.switch_on(&properties.event_types, BTreeSet::new(), context).await
    }

    async fn update(
        &self,
        physical_id: &str,
        properties: Properties,
        _: Option<Properties>,
        context: &Context,
    ) -> Result<Outcome> {
        let wanted = properties.event_types;
        let ours = recorded(physical_id).intersection(&wanted).copied().collect();
        self.switch_on(&wanted, ours, context).await
    }

    async fn delete(
        &self,
        physical_id: &str,
        _: Option<Properties>,
        context: &Context,
    ) -> Result<()> {
        let mut unused = recorded(physical_id);
        if unused.is_empty() {
            return Ok(());
        }
        let listeners = self.listeners(context).await?;
        unused.retain(|kind| !listeners.iter().any(|filter| filter.overlaps(&kind.topics())));
        let mut enabled = self.enabled(context).await?;
        enabled.retain(|kind, is_on| *is_on && is_in(&unused, kind));
        if enabled.is_empty() {
            return Ok(());
        }
        self.set(enabled.into_keys().map(|kind| (kind, false)).collect(), context).await
    }
}

impl EventConfigurations {
    /// Switches on what is `wanted` and off, and records it beside what is `ours`.
    async fn switch_on(
        &self,
        wanted: &BTreeSet<EventType>,
        ours: BTreeSet<EventType>,
        context: &Context,
    ) -> Result<Outcome> {
        let enabled = self.enabled(context).await?;
        let is_on = |kind: &EventType| enabled.get(&iot(*kind)).copied().unwrap_or(false);
        let off: BTreeSet<_> = wanted.iter().copied().filter(|kind| !is_on(kind)).collect();
        let record = physical_id(&ours.union(&off).copied().collect(), context);
        context.intend(&record);
        if !off.is_empty() {
            self.set(off.iter().map(|kind| (iot(*kind), true)).collect(), context).await?;
        }
        Ok(Outcome { physical_id: record, ..Outcome::default() })
    }

    async fn enabled(&self, context: &Context) -> Result<HashMap<IotEventType, bool>> {
        let answer = with_patience(context.work_until, || async {
            let answer = self.client.describe_event_configurations().send().await;
            answer.map_err(failed("DescribeEventConfigurations"))
        });
        let configurations = answer.await?.event_configurations.unwrap_or_default();
        Ok(configurations.into_iter().map(|(kind, value)| (kind, value.enabled)).collect())
    }

    async fn set(&self, changes: HashMap<IotEventType, bool>, context: &Context) -> Result<()> {
        info!(?changes, "event configurations");
        let body = body(&changes);
        let configuration = |is_on: bool| Configuration::builder().enabled(is_on).build();
        let changes: HashMap<_, _> =
            changes.into_iter().map(|(kind, is_on)| (kind, configuration(is_on))).collect();
        with_patience(context.work_until, || async {
            let request = self.client.update_event_configurations();
            let request = request.set_event_configurations(Some(changes.clone()));
            let body = body.clone();
            let answer = request
                .customize()
                .mutate_request(move |request| {
                    request.headers_mut().insert("content-length", body.len().to_string());
                    *request.body_mut() = body.clone().into();
                })
                .send()
                .await;
            answer.map(drop).map_err(failed("UpdateEventConfigurations"))
        })
        .await
    }

    /// What the enabled topic rules of the account listen to.
    async fn listeners(&self, context: &Context) -> Result<Vec<TopicFilter>> {
        let mut filters = Vec::new();
        let mut next = None;
        loop {
            let page = with_patience(context.work_until, || async {
                let request = self.client.list_topic_rules().set_next_token(next.clone());
                request.send().await.map_err(failed("ListTopicRules"))
            });
            let page = page.await?;
            for rule in page.rules() {
                let is_disabled = rule.rule_disabled().unwrap_or(false);
                let pattern = rule.topic_pattern().filter(|text| !text.is_empty());
                if let (false, Some(pattern)) = (is_disabled, pattern) {
                    // A pattern that cannot be read might be about anything.
                    let unreadable = || EventType::Policy.topics();
                    filters.push(pattern.parse().unwrap_or_else(|_| unreadable()));
                }
            }
            next = page.next_token;
            if next.is_none() {
                return Ok(filters);
            }
        }
    }
}

/// The physical id that records these events.
fn physical_id(kinds: &BTreeSet<EventType>, context: &Context) -> String {
    let kinds: Vec<_> = kinds.iter().map(|kind| kind.as_str()).collect();
    let kinds = if kinds.is_empty() { NOTHING.to_owned() } else { kinds.join("+") };
    format!("{}/event-configurations/{kinds}", context.logical_id)
}

/// The events that a physical id records; none if it is not one of ours.
fn recorded(physical_id: &str) -> BTreeSet<EventType> {
    let kinds = physical_id.split_once("/event-configurations/").map(|(_, kinds)| kinds);
    kinds.unwrap_or_default().split('+').filter_map(|kind| kind.parse().ok()).collect()
}

/// The body of the request. The SDK leaves a `false` out, and whether AWS IoT takes
/// an absent value for one is not documented.
fn body(changes: &HashMap<IotEventType, bool>) -> String {
    let changes: BTreeMap<_, _> =
        changes.iter().map(|(kind, is_on)| (kind.as_str(), json!({ "Enabled": is_on }))).collect();
    json!({ "eventConfigurations": changes }).to_string()
}

fn iot(kind: EventType) -> IotEventType {
    IotEventType::from(kind.as_str())
}

fn is_in(kinds: &BTreeSet<EventType>, kind: &IotEventType) -> bool {
    kinds.iter().any(|ours| ours.as_str() == kind.as_str())
}

/// Stands for an empty record.
const NOTHING: &str = "nothing";

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::custom_resource::testing::{handle, request};
    use crate::testing::{Cloud, Reply, aws};

    fn cloud(job: bool, execution: bool, rules: Value) -> Cloud {
        let cloud = Cloud::new();
        let state = json!({ "eventConfigurations": {
            "JOB": { "Enabled": job },
            "JOB_EXECUTION": { "Enabled": execution },
            "THING": { "Enabled": true },
        }});
        cloud.on("GET", "/event-configurations", Reply::json(200, state));
        cloud.on("PATCH", "/event-configurations", Reply::json(200, "{}"));
        cloud.on("GET", "/rules", Reply::json(200, rules));
        cloud
    }

    async fn ask(cloud: &Cloud, kind: &str, id: Option<&str>, types: Value) -> Value {
        let event = request(kind, id, json!({ "EventTypes": types }));
        handle(EventConfigurations::new(&aws(cloud)), event, cloud).await
    }

    fn changes(cloud: &Cloud) -> Vec<Value> {
        let asked = cloud.asked("PATCH", "/event-configurations");
        asked.iter().map(|seen| seen.json()["eventConfigurations"].clone()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn switches_on_what_is_off_and_remembers_it() {
        let cloud = cloud(false, true, json!({}));
        let answer = ask(&cloud, "Create", None, json!(["JOB", "JOB_EXECUTION"])).await;
        assert_eq!(answer["Status"], "SUCCESS", "{answer}");
        assert_eq!(answer["PhysicalResourceId"], "Resource1/event-configurations/JOB");
        assert_eq!(changes(&cloud), [json!({ "JOB": { "Enabled": true } })]);
    }

    #[tokio::test(start_paused = true)]
    async fn leaves_alone_what_others_have_switched_on() {
        let cloud = cloud(true, true, json!({}));
        let answer = ask(&cloud, "Create", None, json!(["JOB", "JOB_EXECUTION"])).await;
        let id = answer["PhysicalResourceId"].as_str().unwrap();
        assert_eq!(id, "Resource1/event-configurations/nothing");
        let answer = ask(&cloud_again(), "Delete", Some(id), json!(["JOB"])).await;
        assert_eq!(answer["Status"], "SUCCESS");
        assert_eq!(changes(&cloud), [] as [Value; 0]);
    }

    fn cloud_again() -> Cloud {
        // Without answers: a Delete with an empty record asks nothing.
        Cloud::new()
    }

    #[tokio::test(start_paused = true)]
    async fn an_update_remembers_what_was_switched_on_before() {
        let cloud = cloud(true, false, json!({}));
        let id = "Resource1/event-configurations/JOB";
        let answer = ask(&cloud, "Update", Some(id), json!(["JOB", "JOB_EXECUTION"])).await;
        assert_eq!(
            answer["PhysicalResourceId"],
            "Resource1/event-configurations/JOB+JOB_EXECUTION"
        );
        assert_eq!(changes(&cloud), [json!({ "JOB_EXECUTION": { "Enabled": true } })]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_update_without_a_change_keeps_its_id() {
        let cloud = cloud(true, true, json!({}));
        let id = "Resource1/event-configurations/JOB";
        let answer = ask(&cloud, "Update", Some(id), json!(["JOB", "JOB_EXECUTION"])).await;
        assert_eq!(answer["PhysicalResourceId"], id);
        assert!(changes(&cloud).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn switches_off_only_what_nobody_listens_to() {
        let rules = json!({ "rules": [
            { "ruleName": "a", "topicPattern": "$aws/events/jobExecution/+/failed" },
            { "ruleName": "b", "topicPattern": "$aws/events/job/#", "ruleDisabled": true },
            { "ruleName": "c", "topicPattern": "#" },
            { "ruleName": "d" },
        ]});
        let cloud = cloud(true, true, rules);
        let id = "Resource1/event-configurations/JOB+JOB_EXECUTION";
        let answer = ask(&cloud, "Delete", Some(id), json!(["JOB", "JOB_EXECUTION"])).await;
        assert_eq!(answer["Status"], "SUCCESS", "{answer}");
        assert_eq!(changes(&cloud), [json!({ "JOB": { "Enabled": false } })]);
    }

    #[tokio::test(start_paused = true)]
    async fn reads_every_page_of_rules() {
        let cloud = Cloud::new();
        let page = json!({ "rules": [], "nextToken": "n" });
        let last = json!({ "rules": [{ "topicPattern": "$aws/events/#" }] });
        cloud.on("GET", "nextToken=n", Reply::json(200, last));
        cloud.on("GET", "/rules", Reply::json(200, page));
        let state = json!({ "eventConfigurations": { "JOB": { "Enabled": true } } });
        cloud.on("GET", "/event-configurations", Reply::json(200, state));
        let id = "Resource1/event-configurations/JOB";
        let answer = ask(&cloud, "Delete", Some(id), json!(["JOB"])).await;
        assert_eq!(answer["Status"], "SUCCESS", "{answer}");
        assert_eq!(cloud.asked("GET", "/rules").len(), 2);
        assert!(changes(&cloud).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_delete_changes_nothing() {
        let cloud = cloud(false, false, json!({}));
        let id = "Resource1/event-configurations/JOB";
        let answer = ask(&cloud, "Delete", Some(id), json!(["JOB"])).await;
        assert_eq!(answer["Status"], "SUCCESS");
        assert!(changes(&cloud).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_repeated_create_whose_first_answer_was_lost_still_succeeds() {
        let cloud = cloud(true, true, json!({}));
        let answer = ask(&cloud, "Create", None, json!(["JOB"])).await;
        assert_eq!(answer["Status"], "SUCCESS");
    }

    #[tokio::test(start_paused = true)]
    async fn is_patient_with_a_throttled_call() {
        let cloud = Cloud::new();
        let throttled = || Reply::error(400, "ThrottlingException", "slow down");
        for _ in 0..9 {
            cloud.on("GET", "/event-configurations", throttled());
        }
        let state = json!({ "eventConfigurations": {} });
        cloud.on("GET", "/event-configurations", Reply::json(200, state));
        cloud.on("PATCH", "/event-configurations", Reply::json(200, "{}"));
        let answer = ask(&cloud, "Create", None, json!(["JOB"])).await;
        assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn refuses_events_that_do_not_exist() {
        let answer = ask(&Cloud::new(), "Create", None, json!(["JOBS"])).await;
        assert_eq!(answer["Status"], "FAILED");
        let reason = answer["Reason"].as_str().unwrap();
        assert!(reason.contains("unknown variant `JOBS`, expected one of"), "{reason}");
    }
}
