//! What a widget of a dashboard shows: the values of its metrics, and states of alarms.
//!
//! A dashboard names its metrics in CloudWatch's short form, in which dots repeat what
//! stands above. Here they are written out, each line gets a label that tells it from the
//! others, and GetMetricData is asked for all at once. The page only draws.

use iotstack_local_kernel::Fault;
use serde_json::{Map, Value, json};

use super::view::{ask, list};
use crate::gateway::Gateway;

/// The values of a widget's metrics, one list for each line of it; a search gives several.
pub async fn series(gateway: &Gateway, properties: &Value, minutes: i64) -> Result<Value, Fault> {
    let (queries, longest) = queries(properties);
    if queries.is_empty() {
        return Ok(json!([]));
    }
    let now = gateway.cloud.clock.now().seconds();
    let input = json!({
        "MetricDataQueries": queries,
        // Periods begin at whole multiples, and the one that runs is shown as well.
        "StartTime": (now - minutes * 60).div_euclid(longest) * longest,
        "EndTime": now + 60,
        "ScanBy": "TimestampAscending",
    });
    let found = ask(gateway, "monitoring", "GetMetricData", input).await?;
    let lines = list(&found, "MetricDataResults").iter().map(|line| {
        json!({ "label": line["Label"], "times": line["Timestamps"], "values": line["Values"] })
    });
    Ok(lines.collect())
}

/// The states of the alarms that a widget names, in its order.
pub async fn alarms(gateway: &Gateway, properties: &Value) -> Result<Value, Fault> {
    let names = list(properties, "alarms").iter().filter_map(Value::as_str);
    let names: Vec<&str> =
        names.map(|arn| arn.rsplit_once(":alarm:").map_or(arn, |(_, name)| name)).collect();
    let input = json!({ "AlarmNames": names, "MaxRecords": 100 });
    let found = ask(gateway, "monitoring", "DescribeAlarms", input).await?;
    let known = list(&found, "MetricAlarms").iter().chain(list(&found, "CompositeAlarms"));
    let known: Vec<&Value> = known.collect();
    let states = names.iter().map(|name| {
        let alarm = known.iter().find(|alarm| alarm["AlarmName"] == *name);
        json!({ "name": name, "state": alarm.map(|alarm| &alarm["StateValue"]) })
    });
    Ok(states.collect())
}

/// One line of a widget, written out.
struct Line {
    /// Namespace, name, and names and values of dimensions; none of an expression.
    parts: Vec<Value>,
    options: Map<String, Value>,
}

impl Line {
    fn name(&self) -> Option<&str> {
        self.parts.get(1)?.as_str()
    }

    /// Names and values of the dimensions.
    fn dimensions(&self) -> impl Iterator<Item = (&Value, &Value)> {
        self.parts.get(2..).unwrap_or_default().chunks_exact(2).map(|pair| (&pair[0], &pair[1]))
    }

    fn has_value(&self, wanted: &Value) -> bool {
        self.dimensions().any(|(_, value)| value == wanted)
    }
}

/// The queries that give a widget's lines with their labels, and the longest of their
/// periods in seconds.
fn queries(properties: &Value) -> (Vec<Value>, i64) {
    let lines = written_out(list(properties, "metrics"));
    let metrics: Vec<&Line> = lines.iter().filter(|line| line.name().is_some()).collect();
    let usual = properties["stat"].as_str().unwrap_or("Average");
    let (mut queries, mut longest) = (Vec::new(), 60);
    for (at, line) in lines.iter().enumerate() {
        let option = |name: &str| line.options.get(name);
        let id = |letter: char| option("id").cloned().unwrap_or(json!(format!("{letter}{at}")));
        let shown = option("visible") != Some(&json!(false));
        let own = option("label").and_then(Value::as_str);
        if let Some(expression) = option("expression").and_then(Value::as_str) {
            // What a search finds has labels of its own.
            let text = (!expression.contains("SEARCH(")).then_some(expression);
            queries.push(json!({
                "Id": id('e'),
                "Label": own.or(text),
                "ReturnData": shown,
                "Expression": expression,
            }));
            continue;
        }
        let Some((namespace, name)) = line.parts.first().and_then(Value::as_str).zip(line.name())
        else {
            continue;
        };
        let period = option("period").or_else(|| properties.get("period"));
        let period = period.and_then(Value::as_i64).unwrap_or(60).clamp(1, 86_400);
        longest = longest.max(period);
        let dimensions =
            line.dimensions().map(|(name, value)| json!({ "Name": name, "Value": value }));
        queries.push(json!({
            "Id": id('m'),
            "Label": own.map_or_else(|| label(line, &metrics), str::to_owned),
            "ReturnData": shown,
            "MetricStat": {
                "Metric": {
                    "Namespace": namespace,
                    "MetricName": name,
                    "Dimensions": dimensions.collect::<Vec<_>>(),
                },
                "Period": period,
                "Stat": option("stat").and_then(Value::as_str).unwrap_or(usual),
            },
        }));
    }
    (queries, longest)
}

/// All lines, with what dots stand for: one repeats what is above, three all that is missing.
fn written_out(lines: &[Value]) -> Vec<Line> {
    let mut above: Vec<Value> = Vec::new();
    let mut found = Vec::new();
    for line in lines {
        let mut parts: Vec<Value> = line.as_array().cloned().unwrap_or_default();
        let options = match parts.pop_if(|last| last.is_object()) {
            Some(Value::Object(options)) => options,
            _ => Map::new(),
        };
        if let Some(at) = parts.iter().position(|part| part == "...") {
            let missing = above.len().saturating_sub(parts.len() - 1);
            let repeated = above.get(at..at + missing).unwrap_or_default().to_vec();
            parts.splice(at..=at, repeated);
        }
        for (place, part) in parts.iter_mut().enumerate() {
            if part == "." {
                *part = above.get(place).cloned().unwrap_or_default();
            }
        }
        if !parts.is_empty() {
            above.clone_from(&parts);
        }
        found.push(Line { parts, options });
    }
    found
}

/// What a metric is called: two of one name are told apart by what not all are about.
fn label(line: &Line, metrics: &[&Line]) -> String {
    let is_alone = metrics.iter().filter(|other| other.name() == line.name()).count() < 2;
    let values = line.dimensions().map(|(_, value)| value);
    let telling =
        values.filter(|value| !is_alone && !metrics.iter().all(|one| one.has_value(value)));
    telling.filter_map(Value::as_str).chain(line.name()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(metrics: Value) -> Vec<String> {
        let (queries, _) = queries(&json!({ "metrics": metrics }));
        queries.iter().map(|query| query["Label"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn lines_with_dots_are_told_apart_by_what_they_stand_for() {
        let metrics = json!([
            ["AWS/IoT", "Success", "RuleName", "jobs", "ActionType", "Lambda"],
            [".", "Failure", ".", ".", ".", "."],
            [".", "Success", ".", "shadows", ".", "."],
            [".", "Failure", ".", ".", ".", "."],
        ]);
        let wanted = ["jobs Success", "jobs Failure", "shadows Success", "shadows Failure"];
        assert_eq!(labels(metrics), wanted);
    }

    #[test]
    fn an_expression_among_metrics_changes_no_label() {
        let metrics = json!([
            ["AWS/Lambda", "Errors", "FunctionName", "f", "Stage", "dev", { "id": "a" }],
            [{ "expression": "a + b", "label": "both" }],
            [".", ".", ".", "g", ".", ".", { "id": "b" }],
            [{ "expression": "a * 2" }],
            [{ "expression": "SEARCH('Errors', 'Sum', 60)", "label": "found" }],
        ]);
        assert_eq!(labels(metrics), ["f Errors", "both", "g Errors", "a * 2", "found"]);
        let (queries, _) =
            queries(&json!({ "metrics": [[{ "expression": "SEARCH('E', 'Sum')" }]] }));
        assert_eq!(queries[0]["Label"], Value::Null, "each line that is found has its own");
    }

    #[test]
    fn a_name_that_stands_alone_is_label_enough_and_a_given_one_wins() {
        let metrics = json!([
            ["AWS/S3", "BucketSizeBytes", "BucketName", "b", "StorageType", "StandardStorage"],
            [".", "NumberOfObjects", ".", ".", ".", "AllStorageTypes"],
            ["AWS/Lambda", "Errors", "FunctionName", "f", { "label": "errors of f" }],
            ["nothing"],
        ]);
        assert_eq!(labels(metrics), ["BucketSizeBytes", "NumberOfObjects", "errors of f"]);
    }

    #[test]
    fn dots_are_written_out_in_what_is_asked() {
        let metrics = json!([
            ["N", "a", "D", "1", "E", "x", { "stat": "Sum", "period": 300 }],
            [".", "b", "...", "y"],
            ["...", "z", { "visible": false }],
        ]);
        let (queries, longest) = queries(&json!({ "metrics": metrics, "stat": "Maximum" }));
        let asked = |at: usize| {
            let stat = &queries[at]["MetricStat"];
            let values: Vec<&str> = stat["Metric"]["Dimensions"]
                .as_array()
                .unwrap()
                .iter()
                .map(|dimension| dimension["Value"].as_str().unwrap())
                .collect();
            (stat["Metric"]["MetricName"].as_str().unwrap(), values, stat["Stat"].as_str().unwrap())
        };
        assert_eq!(asked(0), ("a", vec!["1", "x"], "Sum"));
        assert_eq!(asked(1), ("b", vec!["1", "y"], "Maximum"));
        assert_eq!(asked(2), ("b", vec!["1", "z"], "Maximum"));
        let shown: Vec<&Value> = queries.iter().map(|query| &query["ReturnData"]).collect();
        assert_eq!(shown, [true, true, false]);
        assert_eq!(longest, 300);
    }

    #[test]
    fn dots_with_nothing_above_and_odd_lines_do_no_harm() {
        let metrics = json!([["..."], [".", "."], "text", [], [1, 2, 3], ["...", "...", "a", "b"]]);
        assert_eq!(labels(metrics), ["a"]);
        assert!(labels(json!("text")).is_empty());
    }
}
