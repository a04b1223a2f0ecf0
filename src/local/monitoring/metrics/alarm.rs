//! Alarms: their settings, their state, and the operations on them.

use std::collections::BTreeMap;
use std::sync::Arc;

use iotstack_local_kernel::{Call, Commit, Fault, Reply, Timestamp, loose, page};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::action::{self, Change};
use super::composite::Rule;
use super::moment::Moments;
use super::operations::shown_dimensions;
use super::query::{Query, period, selection};
use super::series::Statistic;
use super::{ALARMS, CloudWatch, invalid};

/// An alarm.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Alarm {
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) actions_enabled: bool,
    pub(super) ok_actions: Vec<String>,
    pub(super) alarm_actions: Vec<String>,
    pub(super) insufficient_actions: Vec<String>,
    pub(super) kind: Kind,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) state: State,
    pub(super) reason: String,
    pub(super) reason_data: Option<String>,
    pub(super) updated: Timestamp,
    pub(super) transitioned: Timestamp,
    pub(super) configured: Timestamp,
}

/// What an alarm watches.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Kind {
    Metric(Box<Threshold>),
    Composite { rule: String },
}

/// A threshold over a metric, or over an expression of several.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Threshold {
    pub(super) namespace: Option<String>,
    pub(super) metric: Option<String>,
    pub(super) dimensions: Vec<(String, String)>,
    pub(super) statistic: Option<String>,
    pub(super) extended_statistic: Option<String>,
    pub(super) unit: Option<String>,
    pub(super) period_seconds: Option<i64>,
    /// Queries as they came, for alarms over several metrics.
    pub(super) queries: Vec<Value>,
    pub(super) evaluation_periods: usize,
    pub(super) datapoints_to_alarm: Option<usize>,
    pub(super) threshold: f64,
    pub(super) comparison: String,
    pub(super) missing: Option<String>,
    pub(super) low_samples: Option<String>,
}

/// The state of an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum State {
    InsufficientData,
    Ok,
    Alarm,
}

/// Something that happened to an alarm.
pub(super) struct HistoryItem {
    pub(super) alarm: String,
    pub(super) composite: bool,
    pub(super) at: Timestamp,
    pub(super) kind: &'static str,
    pub(super) summary: String,
    pub(super) data: String,
}

impl State {
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        match text {
            "OK" => Ok(State::Ok),
            "ALARM" => Ok(State::Alarm),
            "INSUFFICIENT_DATA" => Ok(State::InsufficientData),
            other => Err(invalid(format!(
                "StateValue must be OK, ALARM or INSUFFICIENT_DATA, not `{other}`"
            ))),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            State::InsufficientData => "INSUFFICIENT_DATA",
            State::Ok => "OK",
            State::Alarm => "ALARM",
        }
    }
}

impl Threshold {
    fn read(input: &Map<String, Value>) -> Result<Self, Fault> {
        let size = |member: &str| {
            loose::integer(input, member)?
                .map(|value| match usize::try_from(value) {
                    Ok(value) if (1..=1440).contains(&value) => Ok(value),
                    _ => Err(invalid(format!("{member} must be 1 to 1440, not {value}"))),
                })
                .transpose()
        };
        let read = Threshold {
            namespace: loose::text(input, "Namespace")?,
            metric: loose::text(input, "MetricName")?,
            dimensions: loose::pairs(input, "Dimensions", ("Name", "Value"))?,
            statistic: loose::text(input, "Statistic")?,
            extended_statistic: loose::text(input, "ExtendedStatistic")?,
            unit: loose::text(input, "Unit")?,
            period_seconds: loose::integer(input, "Period")?,
            queries: loose::list(input, "Metrics")?,
            evaluation_periods: size("EvaluationPeriods")?
                .ok_or_else(|| missing("EvaluationPeriods"))?,
            datapoints_to_alarm: size("DatapointsToAlarm")?,
            threshold: loose::number(input, "Threshold")?.ok_or_else(|| missing("Threshold"))?,
            comparison: loose::required(input, "ComparisonOperator")
                .map_err(|_| missing("ComparisonOperator"))?,
            missing: loose::text(input, "TreatMissingData")?,
            low_samples: loose::text(input, "EvaluateLowSampleCountPercentile")?,
        };
        read.judge()?;
        Ok(read)
    }

    fn judge(&self) -> Result<(), Fault> {
        if !COMPARISONS.contains(&self.comparison.as_str()) {
            return Err(invalid(format!(
                "ComparisonOperator must be one of {}, not `{}`; bands of anomaly detection are not offered",
                COMPARISONS.join(", "),
                self.comparison
            )));
        }
        let treatments = ["breaching", "notBreaching", "ignore", "missing"];
        if let Some(other) =
            self.missing.as_ref().filter(|value| !treatments.contains(&value.as_str()))
        {
            return Err(invalid(format!(
                "TreatMissingData must be one of {}, not `{other}`",
                treatments.join(", ")
            )));
        }
        if self.datapoints_to_alarm.is_some_and(|wanted| wanted > self.evaluation_periods) {
            return Err(Fault::new(
                "ValidationError",
                400,
                "DatapointsToAlarm must not be greater than EvaluationPeriods",
            ));
        }
        let queries = self.queries()?;
        let returned = queries.iter().filter(|query| query.returned).count();
        if returned != 1 {
            return Err(Fault::new(
                "ValidationError",
                400,
                format!("exactly one metric of an alarm must return data, not {returned}"),
            ));
        }
        Ok(())
    }

    /// What is read for an evaluation.
    pub(super) fn queries(&self) -> Result<Vec<Query>, Fault> {
        if !self.queries.is_empty() {
            if self.metric.is_some() {
                return Err(Fault::new(
                    "InvalidParameterCombination",
                    400,
                    "Metrics and MetricName exclude each other",
                ));
            }
            return Query::read_all(&self.queries);
        }
        let metric = Map::from_iter([
            ("Namespace".to_owned(), json!(self.namespace)),
            ("MetricName".to_owned(), json!(self.metric)),
        ]);
        let mut selection = selection(&metric)?;
        selection.dimensions.clone_from(&self.dimensions);
        selection.unit.clone_from(&self.unit);
        let statistic = match (&self.statistic, &self.extended_statistic) {
            (Some(name), None) | (None, Some(name)) => Statistic::parse(name)?,
            _ => return Err(missing("Statistic or ExtendedStatistic")),
        };
        let step = period(self.period_seconds.ok_or_else(|| missing("Period"))?)?;
        Ok(vec![Query::of_metric(selection, statistic, step)])
    }
}

impl Alarm {
    fn read(
        input: &Map<String, Value>,
        kind: Kind,
        known: Option<&Alarm>,
        now: Timestamp,
    ) -> Result<Self, Fault> {
        let name = loose::required(input, "AlarmName").map_err(|_| missing("AlarmName"))?;
        if name.chars().count() > 255 {
            return Err(invalid("AlarmName must have at most 255 characters"));
        }
        let actions = |member: &str| {
            let arns = loose::texts(input, member)?;
            if arns.len() > 5 {
                return Err(invalid(format!("{member} must have at most five items")));
            }
            match arns.iter().find(|arn| !action::is_known(arn)) {
                None => Ok(arns),
                Some(other) => Err(invalid(format!(
                    "{member} `{other}` must be the ARN of a topic or a function"
                ))),
            }
        };
        let mut tags: BTreeMap<String, String> =
            loose::pairs(input, "Tags", ("Key", "Value"))?.into_iter().collect();
        if let Some(known) = known {
            // An alarm that is put again keeps its tags.
            tags.clone_from(&known.tags);
        }
        Ok(Alarm {
            name,
            description: loose::text(input, "AlarmDescription")?,
            actions_enabled: loose::flag(input, "ActionsEnabled")?.unwrap_or(true),
            ok_actions: actions("OKActions")?,
            alarm_actions: actions("AlarmActions")?,
            insufficient_actions: actions("InsufficientDataActions")?,
            kind,
            tags,
            state: known.map_or(State::InsufficientData, |known| known.state),
            reason: known.map_or_else(
                || "Unchecked: Initial alarm creation".to_owned(),
                |known| known.reason.clone(),
            ),
            reason_data: known.and_then(|known| known.reason_data.clone()),
            updated: known.map_or(now, |known| known.updated),
            transitioned: known.map_or(now, |known| known.transitioned),
            configured: now,
        })
    }

    pub(super) fn actions(&self) -> &[String] {
        match self.state {
            State::Ok => &self.ok_actions,
            State::Alarm => &self.alarm_actions,
            State::InsufficientData => &self.insufficient_actions,
        }
    }

    fn shown(&self, arn: &str, moments: Moments) -> Value {
        let mut shown = json!({
            "AlarmName": self.name,
            "AlarmArn": arn,
            "ActionsEnabled": self.actions_enabled,
            "OKActions": self.ok_actions,
            "AlarmActions": self.alarm_actions,
            "InsufficientDataActions": self.insufficient_actions,
            "StateValue": self.state.name(),
            "StateReason": self.reason,
            "StateUpdatedTimestamp": moments.show(self.updated),
            "StateTransitionedTimestamp": moments.show(self.transitioned),
            "AlarmConfigurationUpdatedTimestamp": moments.show(self.configured),
        });
        let mut show = |member: &str, value: Option<Value>| {
            if let Some(value) = value {
                shown[member] = value;
            }
        };
        let text = |text: &Option<String>| text.as_ref().map(|text| json!(text));
        show("AlarmDescription", text(&self.description));
        show("StateReasonData", text(&self.reason_data));
        match &self.kind {
            Kind::Composite { rule } => show("AlarmRule", Some(json!(rule))),
            Kind::Metric(threshold) => {
                show("EvaluationPeriods", Some(json!(threshold.evaluation_periods)));
                show("DatapointsToAlarm", threshold.datapoints_to_alarm.map(|value| json!(value)));
                show("Threshold", Some(json!(threshold.threshold)));
                show("ComparisonOperator", Some(json!(threshold.comparison)));
                show("TreatMissingData", text(&threshold.missing));
                show("EvaluateLowSampleCountPercentile", text(&threshold.low_samples));
                show("Namespace", text(&threshold.namespace));
                show("MetricName", text(&threshold.metric));
                show("Statistic", text(&threshold.statistic));
                show("ExtendedStatistic", text(&threshold.extended_statistic));
                show("Unit", text(&threshold.unit));
                show("Period", threshold.period_seconds.map(|value| json!(value)));
                if threshold.queries.is_empty() {
                    show("Dimensions", Some(shown_dimensions(&threshold.dimensions)));
                } else {
                    show("Metrics", Some(json!(threshold.queries)));
                }
            }
        }
        shown
    }
}

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
        let alarm = alarms.all.get(&name).ok_or_else(|| no_alarm(&name))?;
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
        let alarm = alarms.all.get_mut(&name).ok_or_else(|| no_alarm(&name))?;
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

pub(super) fn missing(member: &str) -> Fault {
    Fault::new("MissingParameter", 400, format!("The parameter {member} is required."))
}

fn no_alarm(name: &str) -> Fault {
    Fault::new("ResourceNotFound", 404, format!("there is no alarm `{name}`"))
}

const COMPARISONS: &[&str] = &[
    "GreaterThanOrEqualToThreshold",
    "GreaterThanThreshold",
    "LessThanThreshold",
    "LessThanOrEqualToThreshold",
];
