//! Metrics: put, read, listed.
//!
//! Data of a request is read and judged as a whole before any of it counts. Lists and
//! statistics read the same minutes that alarms do.

use std::cmp::Ordering;

use iotstack_local_kernel::ports::METRIC_UNITS;
use iotstack_local_kernel::{Call, Fault, Reply, Timestamp, loose, page};
use serde_json::{Map, Value, json};

use super::moment::{self, Moments};
use super::query::{MOST_POINTS, Query, Run, period, selection};
use super::series::{Metric, Statistic, Summary};
use super::{CloudWatch, LONGEST, invalid, unfit};

impl CloudWatch {
    pub(super) fn put_metric_data(&self, call: Call) -> Result<Reply, Fault> {
        let namespace = loose::required(&call.input, "Namespace")?;
        if namespace.len() > 255 || namespace.starts_with(':') {
            return Err(invalid(format!(
                "Namespace `{namespace}` must have at most 255 characters"
            )));
        }
        let data = loose::list(&call.input, "MetricData")?;
        if data.is_empty() || data.len() > 1000 {
            return Err(invalid(format!(
                "MetricData must have 1 to 1000 items, not {}",
                data.len()
            )));
        }
        // All of it is read before any of it counts.
        let data = data
            .iter()
            .enumerate()
            .map(|(place, datum)| match datum {
                Value::Object(datum) => Datum::read(datum, place + 1, call.at),
                other => Err(invalid(format!("a datum must be an object, not {other}"))),
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut series = self.series();
        for datum in &data {
            let dimensions: Vec<(&str, &str)> = datum
                .dimensions
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            let (name, unit) = (datum.name.as_str(), datum.unit.as_str());
            if let Some(sums) = &datum.sums {
                series.merge(&namespace, name, &dimensions, unit, datum.at, sums);
            }
            for (value, count) in &datum.values {
                series.add(&namespace, name, &dimensions, unit, datum.at, *value, *count);
            }
        }
        Ok(Reply::empty())
    }

    pub(super) fn get_metric_data(&self, call: Call) -> Result<Reply, Fault> {
        let moments = Moments::of(&call);
        let queries = loose::list(&call.input, "MetricDataQueries")?;
        let is_empty =
            |query: &Value| query["MetricStat"].is_null() && query["Expression"].is_null();
        if let Some(place) = queries.iter().position(is_empty) {
            let member = format!("MetricDataQueries.member.{}.MetricStat", place + 1);
            return Err(unfit(format!("The parameter {member} is required.\n")));
        }
        // Queries are judged like those of alarms, but told of by another code.
        let queries = Query::read_all(&queries).map_err(|fault| unfit(fault.message))?;
        let (start, end) = span(&call.input)?;
        match start.seconds().cmp(&end.seconds()) {
            Ordering::Less => {}
            Ordering::Equal => {
                return Err(unfit("The parameter StartTime must not equal parameter EndTime."));
            }
            Ordering::Greater => {
                return Err(unfit("The parameter EndTime must be greater than StartTime."));
            }
        }
        let newest_first = match loose::text(&call.input, "ScanBy")?.as_deref() {
            None | Some("TimestampDescending") => true,
            Some("TimestampAscending") => false,
            Some(other) => {
                return Err(invalid(format!(
                    "ScanBy must be TimestampDescending or TimestampAscending, not `{other}`"
                )));
            }
        };
        let series = self.series();
        let run = Run::new(&series, &queries, start, end);
        let mut results: Vec<Value> = Vec::new();
        let mut left = MOST_POINTS;
        for query in queries.iter().filter(|query| query.returned) {
            for line in run.lines(query).map_err(|fault| unfit(fault.message))? {
                let mut points: Vec<(i64, f64)> = line.points.into_iter().collect();
                if newest_first {
                    points.reverse();
                }
                points.truncate(left);
                left -= points.len();
                let (times, values): (Vec<Value>, Vec<f64>) =
                    points.iter().map(|(at, value)| (moments.show(Timestamp(*at)), *value)).unzip();
                results.push(json!({
                    "Id": query.id,
                    "Label": line.label,
                    "Timestamps": times,
                    "Values": values,
                    "StatusCode": if left == 0 { "PartialData" } else { "Complete" },
                }));
            }
        }
        Ok(json!({"MetricDataResults": results, "Messages": []}).into())
    }

    pub(super) fn get_metric_statistics(&self, call: Call) -> Result<Reply, Fault> {
        let moments = Moments::of(&call);
        let selection = selection(&call.input)?;
        let (start, end) = span(&call.input)?;
        if start.seconds() >= end.seconds() {
            let message = "The parameter StartTime must be less than the parameter EndTime.";
            return Err(invalid(message));
        }
        let wanted = loose::integer(&call.input, "Period")?.ok_or_else(|| {
            Fault::new("MissingParameter", 400, "The parameter Period is required.")
        })?;
        let step = period(wanted)?;
        if (end.0 - start.0) / step > 1440 {
            return Err(Fault::new(
                "InvalidParameterCombination",
                400,
                "the time between StartTime and EndTime has more than 1440 periods",
            ));
        }
        let plain = loose::texts(&call.input, "Statistics")?;
        let extended = loose::texts(&call.input, "ExtendedStatistics")?;
        if plain.is_empty() && extended.is_empty() {
            let message = "give Statistics or ExtendedStatistics";
            return Err(Fault::new("MissingParameter", 400, message));
        }
        let parse = |names: &[String]| {
            names
                .iter()
                .map(|name| Ok((name.clone(), Statistic::parse(name)?)))
                .collect::<Result<Vec<_>, Fault>>()
        };
        let (plain, extended) = (parse(&plain)?, parse(&extended)?);
        let series = self.series();
        let unit = selection
            .unit
            .clone()
            .or_else(|| series.unit(&selection))
            .unwrap_or_else(|| "None".to_owned());
        let begin = Timestamp(start.0.div_euclid(step) * step);
        let points: Vec<Value> = series
            .read(&selection, begin, end, step)
            .into_iter()
            .map(|(at, summary)| {
                let mut point = json!({"Timestamp": moments.show(Timestamp(at)), "Unit": unit});
                for (name, statistic) in &plain {
                    point[name.as_str()] = json!(summary.statistic(*statistic));
                }
                if !extended.is_empty() {
                    let values: Vec<(String, Value)> = extended
                        .iter()
                        .map(|(name, statistic)| {
                            (name.clone(), json!(summary.statistic(*statistic)))
                        })
                        .collect();
                    point["ExtendedStatistics"] = Value::Object(values.into_iter().collect());
                }
                point
            })
            .collect();
        Ok(json!({"Label": selection.name, "Datapoints": points}).into())
    }

    pub(super) fn list_metrics(&self, call: Call) -> Result<Reply, Fault> {
        let namespace = loose::text(&call.input, "Namespace")?;
        let name = loose::text(&call.input, "MetricName")?;
        let token = loose::text(&call.input, "NextToken")?;
        let recent = loose::text(&call.input, "RecentlyActive")?.is_some();
        let mut wanted: Vec<(String, Option<String>)> = Vec::new();
        for filter in loose::list(&call.input, "Dimensions")? {
            let Value::Object(filter) = filter else {
                return Err(invalid("a dimension must be an object"));
            };
            wanted.push((loose::required(&filter, "Name")?, loose::text(&filter, "Value")?));
        }
        let horizon = Timestamp(call.at.0 - 3 * 3_600_000);
        let series = self.series();
        let fitting = series.all().filter(|(its_namespace, its_name, metric)| {
            namespace.as_ref().is_none_or(|wanted| wanted == its_namespace)
                && name.as_ref().is_none_or(|wanted| wanted == its_name)
                && (!recent || metric.last >= horizon)
                && wanted.iter().all(|(key, value)| {
                    metric.dimensions.iter().any(|(its_key, its_value)| {
                        its_key == key && value.as_ref().is_none_or(|value| value == its_value)
                    })
                })
        });
        let key = |(namespace, name, metric): &(&str, &str, &Metric)| {
            let mut key = format!("{namespace}\0{name}\0");
            for (name, value) in &metric.dimensions {
                key.push_str(&format!("{name}\u{1}{value}\u{2}"));
            }
            key
        };
        let (found, next) = page::page(fitting, key, token.as_deref(), 500)?;
        let shown: Vec<Value> = found
            .into_iter()
            .map(|(namespace, name, metric)| {
                json!({
                    "Namespace": namespace,
                    "MetricName": name,
                    "Dimensions": shown_dimensions(&metric.dimensions),
                })
            })
            .collect();
        Ok(json!({"Metrics": shown, "NextToken": next}).into())
    }
}

/// Dimensions as answers show them.
pub(super) fn shown_dimensions(dimensions: &[(String, String)]) -> Value {
    dimensions.iter().map(|(name, value)| json!({"Name": name, "Value": value})).collect()
}

/// One value, or several, for a metric.
struct Datum {
    name: String,
    dimensions: Vec<(String, String)>,
    unit: String,
    at: Timestamp,
    values: Vec<(f64, f64)>,
    sums: Option<Summary>,
}

impl Datum {
    /// Reads the datum that has a place in its request, counted from one.
    fn read(input: &Map<String, Value>, place: usize, now: Timestamp) -> Result<Self, Fault> {
        let member = |name: &str| format!("MetricData.member.{place}.{name}");
        let name = loose::required(input, "MetricName")?;
        let dimensions = loose::pairs(input, "Dimensions", ("Name", "Value"))?;
        if dimensions.len() > 30 {
            return Err(invalid(format!("metric `{name}` has more than 30 dimensions")));
        }
        if let Some((key, _)) = dimensions.iter().find(|(_, value)| value.is_empty()) {
            return Err(invalid(format!("dimension `{key}` of metric `{name}` has no value")));
        }
        let unit = loose::text(input, "Unit")?.unwrap_or_else(|| "None".to_owned());
        if !METRIC_UNITS.contains(&unit.as_str()) {
            return Err(invalid(format!(
                "Unit `{unit}` of metric `{name}` is none of {}",
                METRIC_UNITS.join(", ")
            )));
        }
        let at = moment::read(input, "Timestamp")?.unwrap_or(now);
        let too_old = now.since(at) > LONGEST;
        if too_old || at.since(now).as_secs() > 2 * 3600 {
            return Err(invalid(format!(
                "Timestamp {} of metric `{name}` must be within the last 15 days and the next two hours",
                at.iso8601()
            )));
        }
        let number = |value: &Value| value.as_f64().or_else(|| value.as_str()?.parse().ok());
        let numbers = |member: &str| {
            loose::list(input, member)?
                .iter()
                .map(|value| {
                    number(value).ok_or_else(|| invalid(format!("{member} must be numbers")))
                })
                .collect::<Result<Vec<f64>, Fault>>()
        };
        let (values, counts) = (numbers("Values")?, numbers("Counts")?);
        if !counts.is_empty() && counts.len() != values.len() {
            return Err(invalid(format!(
                "The parameters {} and {} must be of the same size.",
                member("Values"),
                member("Counts")
            )));
        }
        let mut all: Vec<(f64, f64)> = values
            .into_iter()
            .enumerate()
            .map(|(place, value)| (value, counts.get(place).copied().unwrap_or(1.0)))
            .collect();
        if let Some(value) = input.get("Value")
            && number(value).is_some_and(|value| !value.is_finite())
        {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let member = member("Value");
            return Err(invalid(format!("The value {value} for parameter {member} is invalid.")));
        }
        let value = loose::number(input, "Value")?;
        let sums = match loose::object(input, "StatisticValues")? {
            sums if sums.is_empty() => None,
            sums => {
                let part = |member: &str| {
                    loose::number(&sums, member)?
                        .ok_or_else(|| invalid(format!("StatisticValues.{member} is required")))
                };
                Some(Summary::of(
                    part("SampleCount")?,
                    part("Sum")?,
                    part("Minimum")?,
                    part("Maximum")?,
                ))
            }
        };
        let exclusive = |first: &str, second: &str| {
            format!(
                "The parameters {} and {} are mutually exclusive and you have specified both.",
                member(first),
                member(second)
            )
        };
        let combination = |message| Err(Fault::new("InvalidParameterCombination", 400, message));
        match (value.is_some(), !all.is_empty(), sums.is_some()) {
            (true, true, _) => return Err(invalid(exclusive("Value", "Values"))),
            (true, _, true) => return combination(exclusive("Value", "StatisticValues")),
            (_, true, true) => return combination(exclusive("Values", "StatisticValues")),
            (false, false, false) => {
                return combination(format!(
                    "metric `{name}` must have one of Value, Values and StatisticValues"
                ));
            }
            _ => {}
        }
        all.extend(value.map(|value| (value, 1.0)));
        let is_wrong = |(value, count): &(f64, f64)| !value.is_finite() || *count < 0.0;
        if all.iter().any(is_wrong) {
            return Err(invalid(format!("metric `{name}` must have finite values and counts")));
        }
        Ok(Datum { name, dimensions, unit, at, values: all, sums })
    }
}

/// From when to when data is wanted.
fn span(input: &Map<String, Value>) -> Result<(Timestamp, Timestamp), Fault> {
    Ok((moment::required(input, "StartTime")?, moment::required(input, "EndTime")?))
}
