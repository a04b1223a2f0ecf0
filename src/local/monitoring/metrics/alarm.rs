//! Alarms: their settings and their state.
//!
//! An alarm keeps its settings as they were put and its state beside them; both are
//! stored together, so that an alarm comes back as it was.

use std::collections::BTreeMap;

use iotstack_local_kernel::{Fault, Timestamp, loose};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::action;
use super::moment::Moments;
use super::operations::shown_dimensions;
use super::query::{Query, period, selection};
use super::series::Statistic;
use super::{invalid, unfit};

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
    pub(super) fn read(input: &Map<String, Value>) -> Result<Self, Fault> {
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
        let options = ["evaluate", "ignore"];
        if let Some(other) =
            self.low_samples.as_ref().filter(|value| !options.contains(&value.as_str()))
        {
            return Err(unfit(format!(
                "Option {other} is not supported. Supported options for parameter \
                 EvaluateLowSampleCountPercentile are evaluate and ignore."
            )));
        }
        if self.datapoints_to_alarm.is_some_and(|wanted| wanted > self.evaluation_periods) {
            return Err(unfit("DatapointsToAlarm must not be greater than EvaluationPeriods"));
        }
        let queries = self.queries()?;
        let returned = queries.iter().filter(|query| query.returned).count();
        if returned != 1 {
            return Err(unfit(format!(
                "exactly one metric of an alarm must return data, not {returned}"
            )));
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
            (Some(name), None) => Statistic::parse(name)?,
            (None, Some(name)) => Statistic::parse(name).map_err(|_| {
                invalid(format!(
                    "The value {name} for parameter ExtendedStatistic is not supported."
                ))
            })?,
            _ => return Err(missing("Statistic or ExtendedStatistic")),
        };
        let step = period(self.period_seconds.ok_or_else(|| missing("Period"))?)?;
        Ok(vec![Query::of_metric(selection, statistic, step)])
    }
}

impl Alarm {
    pub(super) fn read(
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

    pub(super) fn shown(&self, arn: &str, moments: Moments) -> Value {
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

pub(super) fn missing(member: &str) -> Fault {
    Fault::new("MissingParameter", 400, format!("The parameter {member} is required."))
}

const COMPARISONS: &[&str] = &[
    "GreaterThanOrEqualToThreshold",
    "GreaterThanThreshold",
    "LessThanThreshold",
    "LessThanOrEqualToThreshold",
];
