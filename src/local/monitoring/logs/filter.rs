//! Metric filters: lines that become values of metrics.
//!
//! A filter looks at every line as it comes and adds to a metric through the port, after
//! the lock of the groups is released.

use std::collections::BTreeMap;

use iotstack_local_kernel::{Cloud, Fault, Timestamp, loose};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::group::Group;
use super::pattern::{Pattern, member, path, select};

/// A metric filter, as it is kept and shown.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct MetricFilter {
    pub(super) name: String,
    pub(super) pattern: String,
    pub(super) transformation: Transformation,
    pub(super) created: Timestamp,
    #[serde(skip)]
    parsed: Option<Pattern>,
}

/// What a line becomes.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Transformation {
    namespace: String,
    name: String,
    value: String,
    default: Option<f64>,
    unit: Option<String>,
    dimensions: BTreeMap<String, String>,
}

/// A value for a metric.
pub(super) struct Measured {
    namespace: String,
    name: String,
    dimensions: Vec<(String, String)>,
    value: f64,
    unit: String,
}

impl MetricFilter {
    /// Reads a filter from a request, whose members begin with small letters, or
    /// from a template, whose begin with capitals.
    pub(super) fn read(
        input: &Map<String, Value>,
        capitals: bool,
        name: &str,
        now: Timestamp,
    ) -> Result<Self, Fault> {
        let member = |name: &str| member(name, capitals);
        let (pattern, parsed) = Pattern::required(input, capitals)?;
        let transformations = loose::list(input, &member("metricTransformations"))?;
        let [Value::Object(transformation)] = transformations.as_slice() else {
            return Err(Fault::invalid_input("metricTransformations must have exactly one item"));
        };
        let value = loose::required(transformation, &member("metricValue"))?;
        if value.parse::<f64>().is_err() && path(&value).is_none() {
            return Err(Fault::invalid_input(format!(
                "metricValue `{value}` must be a number or a field such as `$.latency`"
            )));
        }
        let dimensions = loose::pairs(transformation, &member("dimensions"), ("Key", "Value"))?;
        let default = loose::number(transformation, &member("defaultValue"))?;
        if default.is_some() && !dimensions.is_empty() {
            return Err(Fault::invalid_input("defaultValue and dimensions exclude each other"));
        }
        Ok(MetricFilter {
            name: name.to_owned(),
            pattern,
            transformation: Transformation {
                namespace: loose::required(transformation, &member("metricNamespace"))?,
                name: loose::required(transformation, &member("metricName"))?,
                value,
                default,
                unit: loose::text(transformation, &member("unit"))?,
                dimensions: dimensions.into_iter().collect(),
            },
            created: now,
            parsed: Some(parsed),
        })
    }

    pub(super) fn shown(&self, group: &str) -> Value {
        let made = &self.transformation;
        let mut transformation = json!({
            "metricName": made.name, "metricNamespace": made.namespace, "metricValue": made.value,
        });
        if let Some(default) = made.default {
            transformation["defaultValue"] = json!(default);
        }
        if let Some(unit) = &made.unit {
            transformation["unit"] = json!(unit);
        }
        if !made.dimensions.is_empty() {
            transformation["dimensions"] = json!(made.dimensions);
        }
        json!({
            "filterName": self.name,
            "filterPattern": self.pattern,
            "metricTransformations": [transformation],
            "creationTime": self.created.millis(),
            "logGroupName": group,
        })
    }

    pub(super) fn is_of(&self, namespace: Option<&str>, name: Option<&str>) -> bool {
        let made = &self.transformation;
        namespace.is_none_or(|wanted| made.namespace == wanted)
            && name.is_none_or(|wanted| made.name == wanted)
    }

    /// What a line is worth; nothing if it does not fit and there is no default.
    fn measure(&mut self, line: &str) -> Option<Measured> {
        let parsed = Pattern::kept(&mut self.parsed, &self.pattern)?;
        let made = &self.transformation;
        let (value, dimensions) = if parsed.fits(line) {
            let fields: Value = serde_json::from_str(line).unwrap_or(Value::Null);
            let field = |text: &str| {
                let path = path(text)?;
                select(&fields, &path).first().copied().cloned()
            };
            let value = match made.value.parse() {
                Ok(value) => value,
                Err(_) => match field(&made.value)? {
                    Value::Number(number) => number.as_f64()?,
                    Value::String(text) => text.parse().ok()?,
                    _ => return None,
                },
            };
            let dimensions = made
                .dimensions
                .iter()
                .map(|(name, text)| {
                    let value = match field(text)? {
                        Value::String(text) => text,
                        other => other.to_string(),
                    };
                    Some((name.clone(), value))
                })
                .collect::<Option<Vec<_>>>()?;
            (value, dimensions)
        } else {
            (made.default?, Vec::new())
        };
        Some(Measured {
            namespace: made.namespace.clone(),
            name: made.name.clone(),
            dimensions,
            value,
            unit: made.unit.clone().unwrap_or_else(|| "None".to_owned()),
        })
    }
}

/// What a line is worth to all filters of its group.
pub(super) fn measure(group: &mut Group, line: &str, into: &mut Vec<Measured>) {
    for filter in group.filters.values_mut() {
        into.extend(filter.measure(line));
    }
}

/// Hands values over to the metrics.
pub(super) fn emit(cloud: &Cloud, measured: Vec<Measured>) {
    let Ok(metrics) = cloud.ports.metrics() else { return };
    for one in measured {
        let dimensions: Vec<(&str, &str)> =
            one.dimensions.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        metrics.put(&one.namespace, &one.name, &dimensions, one.value, &one.unit);
    }
}
