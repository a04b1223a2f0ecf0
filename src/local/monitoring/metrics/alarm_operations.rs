//! The operations on alarms.
//!
//! An alarm that is put again keeps its state and its tags. Setting a state by hand
//! runs the actions as an evaluation would, and holds until the next evaluation.

use std::collections::BTreeMap;
use std::sync::Arc;

use iotstack_local_kernel::{Call, Commit, Fault, Reply, loose, page};
use serde_json::{Map, Value, json};

use super::action::{self, Change};
use super::alarm::{Alarm, HistoryItem, Kind, State, Threshold, missing};
use super::composite::Rule;
use super::moment::Moments;
use super::query::selection;
use super::{ALARMS, CloudWatch, invalid};

impl CloudWatch {
    pub(super) fn alarm_arn(&self, name: &str) -> String {
        self.account.arn("cloudwatch", format_args!("alarm:{name}"))
    }

    pub(super) fn put_metric_alarm(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        Ok((Reply::empty(), self.put_alarm(&call.input, false)?))
    }

    pub(super) fn put_composite_alarm(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        Ok((Reply::empty(), self.put_alarm(&call.input, true)?))
    }

    /// Makes or replaces an alarm.
    pub(super) fn put_alarm(
        &self,
        input: &Map<String, Value>,
        composite: bool,
    ) -> Result<Commit, Fault> {
        let kind = if composite {
            let rule = loose::required(input, "AlarmRule").map_err(|_| missing("AlarmRule"))?;
            Rule::parse(&rule)?;
            Kind::Composite { rule }
        } else {
            Kind::Metric(Box::new(Threshold::read(input)?))
        };
        let now = self.clock.now();
        let mut alarms = self.alarms();
        let name = loose::required(input, "AlarmName").map_err(|_| missing("AlarmName"))?;
        let alarm = Alarm::read(input, kind, alarms.all.get(&name), now)?;
        let verb = if alarms.all.contains_key(&name) { "updated" } else { "created" };
        let mut batch = self.store.batch();
        batch.put(ALARMS, name.as_str(), &alarm);
        alarms.note(&alarm, now, "ConfigurationUpdate", format!("Alarm \"{name}\" {verb}"), "{}");
        alarms.all.insert(name, alarm);
        Ok(self.store.commit(batch))
    }

    pub(super) fn delete_alarms(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let names = loose::texts(&call.input, "AlarmNames")?;
        Ok((Reply::empty(), self.remove_alarms(&names)?))
    }

    /// Removes alarms, all or none.
    pub(super) fn remove_alarms(&self, names: &[String]) -> Result<Commit, Fault> {
        let now = self.clock.now();
        let mut alarms = self.alarms();
        if let Some(missing) = names.iter().find(|name| !alarms.all.contains_key(*name)) {
            return Err(no_alarm(missing));
        }
        let mut batch = self.store.batch();
        for name in names {
            if let Some(alarm) = alarms.all.remove(name) {
                let text = format!("Alarm \"{name}\" deleted");
                alarms.note(&alarm, now, "ConfigurationUpdate", text, "{}");
            }
            batch.remove(ALARMS, name.as_str());
        }
        Ok(self.store.commit(batch))
    }

    pub(super) fn describe_alarms(&self, call: Call) -> Result<Reply, Fault> {
        let moments = Moments::of(&call);
        let names = loose::texts(&call.input, "AlarmNames")?;
        let prefix = loose::text(&call.input, "AlarmNamePrefix")?.unwrap_or_default();
        let types = loose::texts(&call.input, "AlarmTypes")?;
        let action = loose::text(&call.input, "ActionPrefix")?.unwrap_or_default();
        let state =
            loose::text(&call.input, "StateValue")?.map(|text| State::parse(&text)).transpose()?;
        let limit = loose::integer(&call.input, "MaxRecords")?.unwrap_or(50).clamp(1, 100);
        let wants = |composite: bool| {
            // Without a wish AWS shows metric alarms alone.
            if types.is_empty() {
                return !composite;
            }
            let name = if composite { "CompositeAlarm" } else { "MetricAlarm" };
            types.iter().any(|wanted| wanted == name)
        };
        let alarms = self.alarms();
        let fitting = alarms.all.values().filter(|alarm| {
            let composite = matches!(alarm.kind, Kind::Composite { .. });
            let mut actions = alarm
                .ok_actions
                .iter()
                .chain(&alarm.alarm_actions)
                .chain(&alarm.insufficient_actions);
            wants(composite)
                && (names.is_empty() || names.contains(&alarm.name))
                && alarm.name.starts_with(&prefix)
                && state.is_none_or(|state| alarm.state == state)
                && (action.is_empty() || actions.any(|arn| arn.starts_with(&action)))
        });
        let token = loose::text(&call.input, "NextToken")?;
        let limit = usize::try_from(limit).unwrap_or(50);
        let (found, next) =
            page::page(fitting, |alarm| alarm.name.clone(), token.as_deref(), limit)?;
        let (mut metric, mut composite) = (Vec::new(), Vec::new());
        for alarm in found {
            let list = match alarm.kind {
                Kind::Metric(_) => &mut metric,
                Kind::Composite { .. } => &mut composite,
            };
            list.push(alarm.shown(&self.alarm_arn(&alarm.name), moments));
        }
        Ok(json!({"MetricAlarms": metric, "CompositeAlarms": composite, "NextToken": next}).into())
    }

    pub(super) fn describe_alarms_for_metric(&self, call: Call) -> Result<Reply, Fault> {
        let moments = Moments::of(&call);
        let mut wanted = selection(&call.input)?;
        wanted.dimensions.sort();
        let alarms = self.alarms();
        let shown: Vec<Value> = alarms
            .all
            .values()
            .filter(|alarm| match &alarm.kind {
                Kind::Composite { .. } => false,
                Kind::Metric(threshold) => {
                    let mut dimensions = threshold.dimensions.clone();
                    dimensions.sort();
                    threshold.namespace.as_ref() == Some(&wanted.namespace)
                        && threshold.metric.as_ref() == Some(&wanted.name)
                        && dimensions == wanted.dimensions
                }
            })
            .map(|alarm| alarm.shown(&self.alarm_arn(&alarm.name), moments))
            .collect();
        Ok(json!({"MetricAlarms": shown}).into())
    }

    pub(super) fn describe_history(&self, call: Call) -> Result<Reply, Fault> {
        let moments = Moments::of(&call);
        let name = loose::text(&call.input, "AlarmName")?;
        let kind = loose::text(&call.input, "HistoryItemType")?;
        let limit = loose::integer(&call.input, "MaxRecords")?.unwrap_or(100).clamp(1, 100);
        let begin: usize = loose::text(&call.input, "NextToken")?
            .and_then(|token| token.parse().ok())
            .unwrap_or(0);
        let limit = usize::try_from(limit).unwrap_or(100);
        let oldest_first =
            loose::text(&call.input, "ScanBy")?.as_deref() == Some("TimestampAscending");
        let alarms = self.alarms();
        let mut fitting: Vec<&HistoryItem> = alarms
            .history
            .iter()
            .filter(|item| {
                name.as_ref().is_none_or(|wanted| *wanted == item.alarm)
                    && kind.as_ref().is_none_or(|wanted| wanted == item.kind)
            })
            .collect();
        if !oldest_first {
            fitting.reverse();
        }
        let next = (fitting.len() > begin + limit).then(|| (begin + limit).to_string());
        let shown: Vec<Value> = fitting
            .into_iter()
            .skip(begin)
            .take(limit)
            .map(|item| {
                json!({
                    "AlarmName": item.alarm,
                    "AlarmType": if item.composite { "CompositeAlarm" } else { "MetricAlarm" },
                    "Timestamp": moments.show(item.at),
                    "HistoryItemType": item.kind,
                    "HistorySummary": item.summary,
                    "HistoryData": item.data,
                })
            })
            .collect();
        Ok(json!({"AlarmHistoryItems": shown, "NextToken": next}).into())
    }

    pub(super) async fn set_alarm_state_by_hand(
        self: Arc<Self>,
        call: Call,
    ) -> Result<Reply, Fault> {
        let name = loose::required(&call.input, "AlarmName").map_err(|_| missing("AlarmName"))?;
        let state = State::parse(&loose::required(&call.input, "StateValue")?)?;
        let reason =
            loose::required(&call.input, "StateReason").map_err(|_| missing("StateReason"))?;
        let data = loose::text(&call.input, "StateReasonData")?;
        let changed = self.set_state(&name, state, &reason, data)?;
        if let Some(cloud) = self.cloud.upgrade() {
            action::run(cloud, changed).await;
        }
        Ok(Reply::empty())
    }

    /// Sets the state of an alarm, and of the composite alarms that follow it;
    /// gives what changed.
    pub(super) fn set_state(
        &self,
        name: &str,
        state: State,
        reason: &str,
        data: Option<String>,
    ) -> Result<Vec<Change>, Fault> {
        let mut alarms = self.alarms();
        if !alarms.all.contains_key(name) {
            return Err(no_alarm(name));
        }
        let mut changed = Vec::new();
        self.transition(&mut alarms, name, state, reason, data, &mut changed);
        self.follow(&mut alarms, &mut changed);
        Ok(changed)
    }

    pub(super) fn enable_actions(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let enabled = call.operation == "EnableAlarmActions";
        let mut alarms = self.alarms();
        let mut batch = self.store.batch();
        for name in loose::texts(&call.input, "AlarmNames")? {
            if let Some(alarm) = alarms.all.get_mut(&name) {
                alarm.actions_enabled = enabled;
                batch.put(ALARMS, name, &*alarm);
            }
        }
        Ok((Reply::empty(), self.store.commit(batch)))
    }

    pub(super) fn tag(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let tags = loose::pairs(&call.input, "Tags", ("Key", "Value"))?;
        self.retag(&call, |known| known.extend(tags))
    }

    pub(super) fn untag(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let keys = loose::texts(&call.input, "TagKeys")?;
        self.retag(&call, |known| known.retain(|key, _| !keys.contains(key)))
    }

    pub(super) fn list_tags(&self, call: Call) -> Result<Reply, Fault> {
        let name = tagged(&call)?;
        let alarms = self.alarms();
        let alarm = alarms.all.get(&name).ok_or_else(|| no_resource(&name))?;
        let tags: Vec<Value> =
            alarm.tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
        Ok(json!({"Tags": tags}).into())
    }

    fn retag(
        &self,
        call: &Call,
        change: impl FnOnce(&mut BTreeMap<String, String>),
    ) -> Result<(Reply, Commit), Fault> {
        let name = tagged(call)?;
        let mut alarms = self.alarms();
        let alarm = alarms.all.get_mut(&name).ok_or_else(|| no_resource(&name))?;
        change(&mut alarm.tags);
        let mut batch = self.store.batch();
        batch.put(ALARMS, name.as_str(), &*alarm);
        Ok((Reply::empty(), self.store.commit(batch)))
    }
}

fn tagged(call: &Call) -> Result<String, Fault> {
    let arn = loose::required(&call.input, "ResourceARN")?;
    let name = arn.split_once(":alarm:").map(|(_, name)| name.to_owned());
    name.ok_or_else(|| invalid(format!("ResourceARN `{arn}` must be the ARN of an alarm")))
}

fn no_alarm(name: &str) -> Fault {
    Fault::new("ResourceNotFound", 404, format!("there is no alarm `{name}`"))
}

/// What the operations on tags call an alarm that is not there.
fn no_resource(name: &str) -> Fault {
    Fault::new("ResourceNotFoundException", 404, format!("there is no alarm `{name}`"))
}
