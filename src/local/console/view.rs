//! What the pages show, gathered from the services through their own operations.
//!
//! Nothing is computed here that a service knows, so that the console cannot
//! disagree with the APIs. Only searching is not asked of an operation, as SearchIndex
//! refuses where the account does not index its fleet.

use bytes::Bytes;
use iotstack_local_kernel::Fault;
use serde_json::{Map, Value, json};

use crate::gateway::Gateway;

/// Counts and stacks for the first page.
pub async fn overview(gateway: &Gateway) -> Result<Value, Fault> {
    let stacks = ask(gateway, "cloudformation", "DescribeStacks", json!({})).await?;
    let stacks: Vec<Value> = list(&stacks, "Stacks")
        .iter()
        .map(|stack| {
            json!({
                "name": stack["StackName"],
                "status": stack["StackStatus"],
                "description": stack["Description"],
            })
        })
        .collect();
    let groups = ask(gateway, "iot", "ListThingGroups", json!({})).await?;
    let groups: Vec<Value> = list(&groups, "thingGroups")
        .iter()
        .map(|group| {
            let name = group["groupName"].as_str().unwrap_or_default();
            let registry = gateway.cloud.ports.registry();
            let members = registry.ok().and_then(|registry| registry.members(name));
            json!({ "name": name, "things": members.map_or(0, |members| members.len()) })
        })
        .collect();
    let addresses = gateway.cloud.addresses();
    Ok(json!({
        "endpoint": addresses.endpoint,
        "mqtt": addresses.mqtt,
        "account": gateway.cloud.account.id,
        "region": gateway.cloud.account.region,
        "now": gateway.cloud.clock.now().millis(),
        "stacks": stacks,
        "groups": groups,
    }))
}

/// A page of things with what each runs and whether it is connected.
pub async fn things(
    gateway: &Gateway,
    token: Option<String>,
    query: Option<String>,
) -> Result<Value, Fault> {
    let (things, next) = match query.filter(|query| !query.trim().is_empty()) {
        Some(query) => {
            let (names, next) = gateway.parts.search.things(&query, token.as_deref(), 100)?;
            let things = names.iter().map(|name| summary(gateway, name));
            (things.collect::<Vec<_>>(), json!(next))
        }
        // Looks at no more things than it shows.
        None => {
            let mut input = json!({ "maxResults": 100 });
            if let Some(token) = token {
                input["nextToken"] = json!(token);
            }
            let found = ask(gateway, "iot", "ListThings", input).await?;
            let names =
                list(&found, "things").iter().filter_map(|thing| thing["thingName"].as_str());
            (names.map(|name| summary(gateway, name)).collect(), found["nextToken"].clone())
        }
    };
    Ok(json!({ "things": things, "next": next }))
}

/// Everything about one thing.
pub async fn thing(gateway: &Gateway, name: &str) -> Result<Value, Fault> {
    let input = json!({ "thingName": name });
    let described = ask(gateway, "iot", "DescribeThing", input.clone()).await?;
    let executions = ask(gateway, "iot", "ListJobExecutionsForThing", input.clone()).await?;
    let principals = ask(gateway, "iot", "ListThingPrincipals", input).await?;
    let groups = gateway.cloud.ports.registry()?.groups_of(name);
    let groups: Vec<&str> = groups.iter().map(|group| &**group).collect();
    let shadow = gateway.cloud.ports.shadows().ok().and_then(|shadows| shadows.shadow(name, None));
    let mut found = summary(gateway, name);
    found["attributes"] = described["attributes"].clone();
    found["type"] = described["thingTypeName"].clone();
    found["groups"] = json!(groups);
    found["certificates"] = json!(list(&principals, "principals").len());
    found["shadow"] = shadow.map_or(Value::Null, |shadow| (*shadow).clone());
    found["executions"] = json!(list(&executions, "executionSummaries"));
    found["timeline"] = json!(gateway.history.about(name));
    Ok(found)
}

/// A page of jobs, newest first.
pub async fn jobs(gateway: &Gateway, token: Option<String>) -> Result<Value, Fault> {
    let mut input = json!({ "maxResults": 50 });
    if let Some(token) = token {
        input["nextToken"] = json!(token);
    }
    let found = ask(gateway, "iot", "ListJobs", input).await?;
    let mut jobs = Vec::new();
    for job in list(&found, "jobs") {
        jobs.push(described(gateway, job["jobId"].as_str().unwrap_or_default()).await?);
    }
    Ok(json!({ "jobs": jobs, "next": found["nextToken"] }))
}

/// One job with its newest executions.
pub async fn job(gateway: &Gateway, id: &str) -> Result<Value, Fault> {
    let mut job = described(gateway, id).await?;
    let input = json!({ "jobId": id, "maxResults": 250 });
    let executions = ask(gateway, "iot", "ListJobExecutionsForJob", input).await?;
    job["executions"] = json!(list(&executions, "executionSummaries"));
    Ok(job)
}

/// The names of the dashboards.
pub async fn dashboards(gateway: &Gateway) -> Result<Value, Fault> {
    let found = ask(gateway, "monitoring", "ListDashboards", json!({})).await?;
    let names: Vec<&Value> =
        list(&found, "DashboardEntries").iter().map(|entry| &entry["DashboardName"]).collect();
    Ok(json!({ "dashboards": names }))
}

/// A dashboard with the values of its metrics in the last `minutes`.
pub async fn dashboard(gateway: &Gateway, name: &str, minutes: i64) -> Result<Value, Fault> {
    let input = json!({ "DashboardName": name });
    let found = ask(gateway, "monitoring", "GetDashboard", input).await?;
    let body = found["DashboardBody"].as_str().unwrap_or("{}");
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let mut widgets = Vec::new();
    for widget in list(&body, "widgets") {
        let mut widget = widget.clone();
        if widget["type"] == "metric" {
            widget["series"] = series(gateway, &widget["properties"], minutes).await?;
        }
        if widget["type"] == "alarm" {
            widget["states"] = alarms(gateway, &widget["properties"]).await?;
        }
        widgets.push(widget);
    }
    Ok(json!({ "name": name, "widgets": widgets, "now": gateway.cloud.clock.now().millis() }))
}

/// The log groups.
pub async fn logs(gateway: &Gateway) -> Result<Value, Fault> {
    let found = ask(gateway, "logs", "DescribeLogGroups", json!({})).await?;
    let names: Vec<&Value> =
        list(&found, "logGroups").iter().map(|group| &group["logGroupName"]).collect();
    Ok(json!({ "groups": names }))
}

/// The newest lines of a log group, oldest first.
pub async fn log(gateway: &Gateway, group: &str, query: Option<String>) -> Result<Value, Fault> {
    let now = gateway.cloud.clock.now().millis();
    let mut newest: Vec<Value> = Vec::new();
    // Lines come oldest first, so a longer time is asked for only where a short one is
    // not enough.
    for minutes in [5, 60, i64::MAX] {
        let from = now.saturating_sub(minutes.saturating_mul(60_000)).max(0);
        let mut input = json!({ "logGroupName": group, "limit": 10_000, "startTime": from });
        if let Some(query) = query.as_ref().filter(|query| !query.is_empty()) {
            input["filterPattern"] = json!(query);
        }
        newest.clear();
        for _ in 0..PARTS_OF_A_LOG {
            let found = ask(gateway, "logs", "FilterLogEvents", input.clone()).await?;
            newest.extend_from_slice(list(&found, "events"));
            newest.drain(..newest.len().saturating_sub(LINES));
            match &found["nextToken"] {
                Value::Null => break,
                token => input["nextToken"] = token.clone(),
            }
        }
        if newest.len() == LINES {
            break;
        }
    }
    Ok(json!({ "events": newest }))
}

/// What a line of the fleet shows.
fn summary(gateway: &Gateway, name: &str) -> Value {
    let ports = &gateway.cloud.ports;
    let shadow = ports.shadows().ok().and_then(|shadows| shadows.shadow(name, None));
    let version = shadow
        .as_deref()
        .map_or(Value::Null, |shadow| shadow["state"]["reported"]["firmware"]["version"].clone());
    let connection = ports.messages().ok().and_then(|messages| messages.connection(name));
    json!({
        "name": name,
        "version": version,
        "connected": connection.as_ref().map(|connection| connection.connected),
        "since": connection.as_ref().map(|connection| connection.since.millis()),
        "reason": connection.as_ref().and_then(|connection| connection.disconnect_reason),
    })
}

async fn described(gateway: &Gateway, id: &str) -> Result<Value, Fault> {
    let found = ask(gateway, "iot", "DescribeJob", json!({ "jobId": id })).await?;
    Ok(found["job"].clone())
}

/// The states of the alarms that a widget names, in its order.
async fn alarms(gateway: &Gateway, properties: &Value) -> Result<Value, Fault> {
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

/// The values of a widget's metrics, one list for each line of it.
async fn series(gateway: &Gateway, properties: &Value, minutes: i64) -> Result<Value, Fault> {
    let mut queries = Vec::new();
    let mut labels = Vec::new();
    let usual = properties["stat"].as_str().unwrap_or("Average");
    let mut above: Vec<Value> = Vec::new();
    let mut longest = 60;
    let lines = list(properties, "metrics");
    for (at, line) in lines.iter().enumerate() {
        let mut parts: Vec<Value> = line.as_array().cloned().unwrap_or_default();
        let options = match parts.last() {
            Some(Value::Object(options)) => {
                let options = options.clone();
                parts.pop();
                options
            }
            _ => Map::new(),
        };
        if let Some(expression) = options.get("expression") {
            let id = options.get("id").cloned().unwrap_or_else(|| json!(format!("e{at}")));
            labels.push(options.get("label").cloned().unwrap_or_else(|| expression.clone()));
            queries.push(json!({ "Id": id, "Expression": expression, "ReturnData": true }));
            continue;
        }
        // A dot repeats what stands above.
        for (place, part) in parts.iter_mut().enumerate() {
            if part == "." {
                *part = above.get(place).cloned().unwrap_or_default();
            }
        }
        above.clone_from(&parts);
        let dimensions: Vec<Value> = parts
            .get(2..)
            .unwrap_or_default()
            .chunks_exact(2)
            .map(|pair| json!({ "Name": pair[0], "Value": pair[1] }))
            .collect();
        let (Some(namespace), Some(name)) = (parts.first(), parts.get(1)) else { continue };
        let id = options.get("id").cloned().unwrap_or_else(|| json!(format!("m{at}")));
        let period = options.get("period").or_else(|| properties.get("period"));
        let period = period.and_then(Value::as_i64).unwrap_or(60).clamp(1, 86_400);
        longest = longest.max(period);
        // Two metrics of one name are told apart by what not all lines are about.
        let has = |line: &Value, part: &Value| line.as_array().is_some_and(|l| l.contains(part));
        let own = if lines.iter().filter(|line| has(line, name)).count() > 1 {
            let values = dimensions.iter().map(|dimension| &dimension["Value"]);
            let telling = values.filter(|value| !lines.iter().all(|line| has(line, value)));
            let telling = telling.chain([name]).filter_map(Value::as_str);
            json!(telling.collect::<Vec<_>>().join(" "))
        } else {
            name.clone()
        };
        labels.push(options.get("label").cloned().unwrap_or(own));
        queries.push(json!({
            "Id": id,
            "ReturnData": options.get("visible") != Some(&json!(false)),
            "MetricStat": {
                "Metric": { "Namespace": namespace, "MetricName": name, "Dimensions": dimensions },
                "Period": period,
                "Stat": options.get("stat").and_then(Value::as_str).unwrap_or(usual),
            },
        }));
    }
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
    let results = list(&found, "MetricDataResults");
    let found = queries.iter().zip(labels).filter_map(|(query, label)| {
        let result = results.iter().find(|result| result["Id"] == query["Id"])?;
        Some(json!({ "label": label, "times": result["Timestamps"], "values": result["Values"] }))
    });
    Ok(found.collect())
}

async fn ask(
    gateway: &Gateway,
    scope: &str,
    operation: &str,
    input: Value,
) -> Result<Value, Fault> {
    let at = gateway.cloud.clock.now();
    let reply = gateway.cloud.services.call(scope, operation, input, Bytes::new(), at).await?;
    Ok(reply.members().cloned().unwrap_or_default())
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// How many lines of a log are shown.
const LINES: usize = 500;
/// How many answers are asked for until the end of a log is believed to be far away.
const PARTS_OF_A_LOG: usize = 20;
