//! Fleet metrics: a query whose numbers go to CloudWatch again and again.
//!
//! The period is checked and the field must be in the index, as on AWS. Who sends
//! the numbers is the task in `core/background.rs`.

use std::collections::BTreeMap;

use iotstack_local_kernel::{Call, Fault, tags};
use serde_json::{Map, Value, json};

use super::indexing::{check_index, check_numeric, collect};
use super::input::{self, expect_version, listed, object, text_of, texts};
use crate::core::{Changed, Registry, Tx};
use crate::fault;
use crate::index::{self, THINGS_INDEX};
use crate::state::{FleetMetric, State};

pub fn create(registry: &Registry, call: &Call) -> Changed {
    let name = call.text("metricName")?;
    let tags = tags::read(&call.input)?;
    registry.change(|tx| {
        tx.create_fleet_metric(name, &call.input)?;
        let arn = tx.arn(format_args!("fleetmetric/{name}"));
        tx.put_tags(&arn, tags);
        Ok(json!({"metricName": name, "metricArn": arn}))
    })
}

pub fn update(registry: &Registry, call: &Call) -> Changed {
    let name = call.text("metricName")?;
    registry.change(|tx| {
        tx.update_fleet_metric(name, &call.input)?;
        Ok(json!({}))
    })
}

pub fn delete(registry: &Registry, call: &Call) -> Changed {
    let name = call.text("metricName")?;
    let expected = call.optional_integer("expectedVersion")?;
    registry.change(|tx| {
        tx.delete_fleet_metric(name, expected)?;
        Ok(json!({}))
    })
}

pub fn describe(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let name = call.text("metricName")?;
    registry.read(|state| {
        let found =
            state.fleet_metrics.get(name).ok_or_else(|| fault::not_found("fleet metric", name))?;
        let mut answer = json!({
            "metricName": name,
            "metricArn": registry.account.arn("iot", format_args!("fleetmetric/{name}")),
            "queryString": found.query,
            "queryVersion": index::QUERY_VERSION,
            "indexName": found.index,
            "aggregationType": {"name": found.aggregation, "values": found.values},
            "aggregationField": found.field,
            "period": found.period,
            "creationDate": found.created.fractional_seconds(),
            "lastModifiedDate": found.modified.fractional_seconds(),
            "version": found.version,
        });
        if let Some(description) = &found.description {
            answer["description"] = json!(description);
        }
        if let Some(unit) = &found.unit {
            answer["unit"] = json!(unit);
        }
        Ok(answer)
    })
}

pub fn list(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    registry.read(|state| {
        listed(
            call,
            "fleetMetrics",
            state.fleet_metrics.keys(),
            |name| name.to_string(),
            |name| {
                let arn = registry.account.arn("iot", format_args!("fleetmetric/{name}"));
                json!({"metricName": &**name, "metricArn": arn})
            },
        )
    })
}

/// The values of a metric as they are now, under the words of CloudWatch's dimension.
pub fn values(state: &State, metric: &FleetMetric) -> Result<Vec<(String, f64)>, Fault> {
    let groups = check_index(state, Some(&metric.index))?;
    let query = index::parse(&metric.query)?;
    let (found, kind) = collect(state, &query, &metric.field, groups)?;
    Ok(match metric.aggregation.as_str() {
        "Cardinality" => vec![("cardinality".to_owned(), found.values.len() as f64)],
        "Percentiles" => {
            let percents: Vec<f64> =
                metric.values.iter().filter_map(|value| value.parse().ok()).collect();
            index::percentiles(&found, &percents)
                .into_iter()
                .map(|(percent, value)| (format!("P{percent}"), value))
                .collect()
        }
        _ => {
            let statistics = index::aggregate(&found, kind == "Number");
            metric
                .values
                .iter()
                .filter_map(|name| Some((name.clone(), statistics.get(member(name))?.as_f64()?)))
                .collect()
        }
    })
}

/// Fleet metrics say `stddev` and `sumOfSquares` where statistics have members.
fn member(name: &str) -> &str {
    match name {
        "stdDeviation" | "stddev" => "stdDeviation",
        "min" => "minimum",
        "max" => "maximum",
        other => other,
    }
}

impl Tx<'_> {
    pub fn create_fleet_metric(
        &mut self,
        name: &str,
        members: &Map<String, Value>,
    ) -> Result<(), Fault> {
        input::name("metric name", name, 128, "-.")?;
        if self.state.fleet_metrics.contains_key(name) {
            let arn = self.arn(format_args!("fleetmetric/{name}"));
            return Err(fault::exists("fleet metric", name, name, &arn));
        }
        if self.state.fleet_metrics.len() >= MOST {
            return Err(fault::limit(format!("{MOST} fleet metrics are the most")));
        }
        for required in ["queryString", "aggregationType", "period", "aggregationField"] {
            if members.get(required).is_none_or(Value::is_null) {
                return Err(fault::invalid(format!("{required} is required")));
            }
        }
        let metric = FleetMetric {
            name: name.into(),
            query: String::new(),
            aggregation: String::new(),
            values: Vec::new(),
            field: String::new(),
            period: 0,
            index: THINGS_INDEX.to_owned(),
            description: None,
            unit: None,
            created: self.now,
            modified: self.now,
            version: 0,
        };
        self.store_metric(metric, members)
    }

    pub fn update_fleet_metric(
        &mut self,
        name: &str,
        members: &Map<String, Value>,
    ) -> Result<(), Fault> {
        let found = self.state.fleet_metrics.get(name).cloned();
        let metric = found.ok_or_else(|| fault::not_found("fleet metric", name))?;
        let expected = members.get("expectedVersion").and_then(Value::as_i64);
        expect_version("fleet metric", name, expected, metric.version)?;
        self.store_metric(metric, members)
    }

    pub fn delete_fleet_metric(&mut self, name: &str, expected: Option<i64>) -> Result<(), Fault> {
        let Some(found) = self.state.fleet_metrics.get(name) else { return Ok(()) };
        expect_version("fleet metric", name, expected, found.version)?;
        self.remove_fleet_metric(name);
        let arn = self.arn(format_args!("fleetmetric/{name}"));
        self.put_tags(&arn, BTreeMap::new());
        self.effects.timers = true;
        Ok(())
    }

    /// Takes over what is given, checks the whole, and stores it.
    fn store_metric(
        &mut self,
        mut metric: FleetMetric,
        members: &Map<String, Value>,
    ) -> Result<(), Fault> {
        if let Some(query) = text_of(members, "queryString")? {
            metric.query = query;
        }
        if members.get("aggregationType").is_some_and(|value| !value.is_null()) {
            let kind = object(members, "aggregationType")?;
            metric.aggregation = text_of(&kind, "name")?.unwrap_or_default();
            metric.values = texts(&kind, "values")?;
        }
        if let Some(field) = text_of(members, "aggregationField")? {
            metric.field = field;
        }
        if let Some(index) = text_of(members, "indexName")? {
            metric.index = index;
        }
        if let Some(description) = text_of(members, "description")? {
            metric.description = Some(description);
        }
        if let Some(unit) = text_of(members, "unit")? {
            metric.unit = Some(unit);
        }
        if let Some(period) = members.get("period").filter(|value| !value.is_null()) {
            metric.period = period
                .as_i64()
                .filter(|period| (60..=86_400).contains(period) && period % 60 == 0)
                .ok_or_else(|| {
                    fault::invalid(format!(
                        "period must be 60 to 86400 in steps of 60, not {period}"
                    ))
                })?;
        }
        index::check_version(text_of(members, "queryVersion")?.as_deref())?;
        index::parse(&metric.query)?;
        let groups = check_index(self.state, Some(&metric.index))?;
        let indexing = &self.state.settings.indexing;
        let Some(kind) = indexing.aggregated(&metric.field, groups) else {
            return Err(fault::invalid_aggregation(format!(
                "field `{}` cannot be aggregated: it is neither a managed nor a custom field of the \
                 index",
                metric.field
            )));
        };
        match metric.aggregation.as_str() {
            "Statistics" | "Cardinality" => {}
            "Percentiles" => check_numeric(kind, "percentiles")?,
            other => {
                return Err(fault::invalid_aggregation(format!(
                    "the aggregation type must be Statistics, Percentiles or Cardinality, not `{other}`"
                )));
            }
        }
        metric.version += 1;
        metric.modified = self.now;
        self.put_fleet_metric(metric);
        self.effects.timers = true;
        Ok(())
    }
}

const MOST: usize = 100;
