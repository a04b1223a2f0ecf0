//! What the pages show, gathered from the services through their own operations.
//!
//! Nothing is computed here that an operation of a service tells, so that the console
//! cannot disagree with the APIs; how fast a rollout goes, and who has gone, is known
//! from what happened ([`super::history`]), as no operation tells it. Only searching is
//! not asked of an operation, as SearchIndex refuses where the account does not index
//! its fleet.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use iotstack_local_kernel::{Fault, Timestamp};
use serde_json::{Value, json};

use super::widget::{alarms, series};
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
    let told = told(gateway);
    let mut jobs = Vec::new();
    for job in list(&found, "jobs") {
        jobs.push(described(gateway, job["jobId"].as_str().unwrap_or_default(), &told).await?);
    }
    Ok(json!({ "jobs": jobs, "next": found["nextToken"] }))
}

/// One job with its newest executions.
pub async fn job(gateway: &Gateway, id: &str) -> Result<Value, Fault> {
    let mut job = described(gateway, id, &told(gateway)).await?;
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
    let query = query.filter(|query| !query.is_empty());
    let mut newest: Vec<Value> = Vec::new();
    // Lines come oldest first, so a longer time is asked for only where a short one is
    // not enough.
    for minutes in [5, 60, 24 * 60, i64::MAX] {
        let from = now.saturating_sub(minutes.saturating_mul(60_000)).max(0);
        let (found, ended) = lines(gateway, group, query.as_deref(), from).await?;
        if !goes_on(&mut newest, found, ended) {
            break;
        }
    }
    Ok(json!({ "events": newest }))
}

/// The last lines of a log since a moment that can be had, and whether its end was reached.
async fn lines(
    gateway: &Gateway,
    group: &str,
    query: Option<&str>,
    from: i64,
) -> Result<(Vec<Value>, bool), Fault> {
    let mut input = json!({ "logGroupName": group, "limit": 10_000, "startTime": from });
    if let Some(query) = query {
        input["filterPattern"] = json!(query);
    }
    let mut lines: Vec<Value> = Vec::new();
    for _ in 0..PARTS_OF_A_LOG {
        let found = ask(gateway, "logs", "FilterLogEvents", input.clone()).await?;
        lines.extend_from_slice(list(&found, "events"));
        lines.drain(..lines.len().saturating_sub(LINES));
        match &found["nextToken"] {
            Value::Null => return Ok((lines, true)),
            token => input["nextToken"] = token.clone(),
        }
    }
    Ok((lines, false))
}

/// Takes what a longer time has brought, and says whether a still longer one may bring more.
/// What was not read to its end lacks the newest lines, and is better than none alone.
fn goes_on(newest: &mut Vec<Value>, found: Vec<Value>, ended: bool) -> bool {
    if ended || newest.is_empty() {
        *newest = found;
    }
    ended && newest.len() < LINES
}

/// What a line of the fleet shows.
fn summary(gateway: &Gateway, name: &str) -> Value {
    let ports = &gateway.cloud.ports;
    let shadow = ports.shadows().ok().and_then(|shadows| shadows.shadow(name, None));
    let version = shadow
        .as_deref()
        .map_or(Value::Null, |shadow| shadow["state"]["reported"]["firmware"]["version"].clone());
    let connection = ports.messages().ok().and_then(|messages| messages.connection(name));
    // Of a client without a session the broker knows nothing once it has gone.
    let (connected, since, reason) = match connection {
        Some(known) => (Some(known.connected), Some(known.since), known.disconnect_reason),
        None => {
            let gone = gateway.history.gone(name);
            (gone.map(|_| false), gone.map(|(since, _)| since), gone.map(|(_, reason)| reason))
        }
    };
    json!({
        "name": name,
        "version": version,
        "connected": connected,
        "since": since.map(Timestamp::millis),
        "reason": reason,
    })
}

/// How many things each job has told within the last minute of the cloud's time: the rate
/// that it has, beside the one that it may have.
fn told(gateway: &Gateway) -> BTreeMap<Arc<str>, usize> {
    gateway.history.told_since(Timestamp(gateway.cloud.clock.now().millis() - 60_000))
}

async fn described(
    gateway: &Gateway,
    id: &str,
    told: &BTreeMap<Arc<str>, usize>,
) -> Result<Value, Fault> {
    let mut found = ask(gateway, "iot", "DescribeJob", json!({ "jobId": id })).await?;
    let mut job = found["job"].take();
    job["toldWithinAMinute"] = json!(told.get(id).copied().unwrap_or(0));
    Ok(job)
}

/// Calls an operation of a service.
pub(super) async fn ask(
    gateway: &Gateway,
    scope: &str,
    operation: &str,
    input: Value,
) -> Result<Value, Fault> {
    let at = gateway.cloud.clock.now();
    let reply = gateway.cloud.services.call(scope, operation, input, Bytes::new(), at).await?;
    Ok(reply.members().cloned().unwrap_or_default())
}

/// A list in an answer; nothing if there is none.
pub(super) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// How many lines of a log are shown.
const LINES: usize = 500;
/// How many answers are asked for until the end of a log is believed to be far away.
const PARTS_OF_A_LOG: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_read_further_back_only_as_long_as_its_newest_lines_stay() {
        let of = |name: &str, count: usize| vec![json!(name); count];
        let mut newest = Vec::new();
        assert!(goes_on(&mut newest, of("five minutes", 2), true));
        assert!(goes_on(&mut newest, of("hour", 7), true));
        assert_eq!(newest, of("hour", 7));
        // The day was cut off before its end, so the hour stays.
        assert!(!goes_on(&mut newest, of("day", LINES), false));
        assert_eq!(newest, of("hour", 7));
        // Enough is enough.
        assert!(!goes_on(&mut newest, of("day", LINES), true));
        assert_eq!(newest, of("day", LINES));
        // Where there is nothing else, what was cut off is shown.
        let mut newest = Vec::new();
        assert!(!goes_on(&mut newest, of("day", 9), false));
        assert_eq!(newest, of("day", 9));
    }
}
