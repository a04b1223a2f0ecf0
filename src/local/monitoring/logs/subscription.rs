//! Subscription filters: lines that are sent on to functions.
//!
//! A filter looks at every line as it comes. What fits goes to its function as AWS
//! packs it: JSON, compressed with gzip, in base64, under `awslogs.data`. Only functions
//! are destinations here; streams of Kinesis are refused by name. A function may not
//! subscribe to the group that bears its name, as its own lines would call it for ever; a
//! circle over several groups or functions is not looked for.

use std::collections::BTreeMap;
use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use iotstack_local_kernel::{Account, Call, Cloud, Commit, Fault, Reply, Timestamp, loose};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::group::Line;
use super::pattern::{Pattern, member};
use super::shape::limit;
use super::{Logs, missing, no_group, page};

/// A subscription filter, as it is kept.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Subscription {
    pub(super) name: String,
    pattern: String,
    destination: String,
    distribution: String,
    created: Timestamp,
    #[serde(skip)]
    parsed: Option<Pattern>,
}

/// Lines for one function.
pub(super) struct Batch {
    filter: String,
    destination: String,
    lines: Vec<Sent>,
    size: usize,
}

struct Sent {
    id: String,
    at: Timestamp,
    text: String,
}

impl Logs {
    pub(super) fn put_subscription(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let subscription =
            Subscription::read(&call.input, false, call.text("filterName")?, call.at)?;
        let commit = self.subscribe(call.text("logGroupName")?, subscription)?;
        Ok((Reply::empty(), commit))
    }

    /// Adds or replaces a subscription filter.
    pub(super) fn subscribe(
        &self,
        group: &str,
        mut subscription: Subscription,
    ) -> Result<Commit, Fault> {
        if !self.groups().all.contains_key(group) {
            return Err(no_group());
        }
        self.judge_destination(group, &subscription.destination)?;
        let ((), commit) = self.change(group, |group| {
            let known = group.subscriptions.get(&subscription.name);
            if known.is_none() && group.subscriptions.len() >= MOST {
                let message = format!("a log group has at most {MOST} subscription filters");
                return Err(Fault::new("LimitExceededException", 400, message));
            }
            if let Some(known) = known {
                subscription.created = known.created;
            }
            group.subscriptions.insert(subscription.name.clone(), subscription);
            Ok(())
        })?;
        Ok(commit)
    }

    /// Refuses what is no function, what calls itself, and what Logs may not call.
    fn judge_destination(&self, group: &str, destination: &str) -> Result<(), Fault> {
        let function = destination.split_once(":lambda:").and_then(|(_, rest)| {
            let (_, name) = rest.split_once(":function:")?;
            name.split(':').next().filter(|name| !name.is_empty())
        });
        let Some(function) = function.filter(|_| destination.starts_with("arn:")) else {
            return Err(Fault::invalid_input(format!(
                "destinationArn `{destination}` is no function: expected the ARN of a Lambda \
                 function, the only kind of destination here"
            )));
        };
        if group.strip_prefix("/aws/lambda/") == Some(function) {
            return Err(Fault::invalid_input(format!(
                "the function `{function}` cannot be sent its own lines: each call would make \
                 the next one"
            )));
        }
        let Some(cloud) = self.cloud.upgrade() else { return Ok(()) };
        let source = format!("{}:*", self.arn(group));
        let principals = [
            "logs.amazonaws.com".to_owned(),
            format!("logs.{}.amazonaws.com", self.account.region),
        ];
        let functions = cloud.ports.functions()?;
        if principals.iter().any(|who| functions.permits(destination, who, &source)) {
            return Ok(());
        }
        Err(Fault::invalid_input(format!(
            "Could not execute the lambda function. Make sure you have given CloudWatch Logs \
             permission to execute your function: `{}` may not for {source}",
            principals[0]
        )))
    }

    pub(super) fn delete_subscription(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let commit = self.unsubscribe(call.text("logGroupName")?, call.text("filterName")?)?;
        Ok((Reply::empty(), commit))
    }

    /// Removes a subscription filter.
    pub(super) fn unsubscribe(&self, group: &str, filter: &str) -> Result<Commit, Fault> {
        let ((), commit) = self.change(group, |group| {
            let removed = group.subscriptions.remove(filter).map(drop);
            removed.ok_or_else(|| missing("subscription filter"))
        })?;
        Ok(commit)
    }

    pub(super) fn describe_subscriptions(&self, call: Call) -> Result<Reply, Fault> {
        let name = call.text("logGroupName")?;
        let prefix = call.optional_text("filterNamePrefix")?.unwrap_or_default();
        let limit = limit(&call, 50)?;
        let groups = self.groups();
        let group = groups.all.get(name).ok_or_else(no_group)?;
        let fitting = group.subscriptions.values().filter(|one| one.name.starts_with(prefix));
        let token = call.optional_text("nextToken")?;
        let (found, next) = page(fitting, |one| one.name.clone(), token, limit)?;
        let shown: Vec<Value> = found.into_iter().map(|one| one.shown(name)).collect();
        Ok(json!({"subscriptionFilters": shown, "nextToken": next}).into())
    }
}

impl Subscription {
    /// Reads a filter from a request, whose members begin with small letters, or from a
    /// template, whose begin with capitals.
    pub(super) fn read(
        input: &Map<String, Value>,
        capitals: bool,
        name: &str,
        now: Timestamp,
    ) -> Result<Self, Fault> {
        let member = |name: &str| member(name, capitals);
        let is_fit = |c: char| !c.is_control() && c != ':' && c != '*';
        if !(1..=512).contains(&name.len()) || !name.chars().all(is_fit) {
            return Err(Fault::invalid_input(format!(
                "filterName `{name}` must be 1 to 512 characters without `:` and `*`"
            )));
        }
        let (pattern, parsed) = Pattern::required(input, capitals)?;
        let distribution = loose::text(input, &member("distribution"))?;
        let distribution = distribution.unwrap_or_else(|| "ByLogStream".to_owned());
        if distribution != "ByLogStream" && distribution != "Random" {
            return Err(Fault::invalid_input(format!(
                "distribution is `{distribution}`: expected ByLogStream or Random"
            )));
        }
        Ok(Subscription {
            name: name.to_owned(),
            parsed: Some(parsed),
            pattern,
            destination: loose::required(input, &member("destinationArn"))?,
            distribution,
            created: now,
        })
    }

    fn shown(&self, group: &str) -> Value {
        json!({
            "filterName": self.name,
            "logGroupName": group,
            "filterPattern": self.pattern,
            "destinationArn": self.destination,
            "distribution": self.distribution,
            "creationTime": self.created.millis(),
        })
    }
}

/// Collects a line for all functions that want it. What one of them gets at once is
/// bounded, as AWS bounds what a function can be called with.
pub(super) fn collect(
    subscriptions: &mut BTreeMap<String, Subscription>,
    line: &Line,
    into: &mut Vec<Batch>,
) {
    for one in subscriptions.values_mut() {
        let pattern = Pattern::kept(&mut one.parsed, &one.pattern);
        if !pattern.is_some_and(|pattern| pattern.fits(&line.text)) {
            continue;
        }
        let size = line.size();
        let open = into.iter_mut().rev().find(|batch| batch.filter == one.name);
        let sent = Sent { id: line.id(), at: line.at, text: line.text.clone() };
        match open.filter(|batch| batch.size + size <= LARGEST_BATCH) {
            Some(batch) => {
                batch.size += size;
                batch.lines.push(sent);
            }
            None => into.push(Batch {
                filter: one.name.clone(),
                destination: one.destination.clone(),
                lines: vec![sent],
                size,
            }),
        }
    }
}

/// Hands lines over to their functions.
pub(super) fn send(
    cloud: &Cloud,
    account: &Account,
    (group, stream): (&str, &str),
    batches: Vec<Batch>,
) {
    let Ok(functions) = cloud.ports.functions() else { return };
    for batch in batches {
        let events: Vec<Value> = batch
            .lines
            .iter()
            .map(|line| json!({"id": line.id, "timestamp": line.at.millis(), "message": line.text}))
            .collect();
        let data = json!({
            "messageType": "DATA_MESSAGE",
            "owner": account.id,
            "logGroup": group,
            "logStream": stream,
            "subscriptionFilters": [batch.filter],
            "logEvents": events,
        });
        match packed(&data) {
            Ok(data) => {
                let payload = json!({"awslogs": {"data": data}}).to_string();
                functions.invoke_event(&batch.destination, payload.into());
            }
            Err(error) => tracing::warn!(group, %error, "lines are not sent on"),
        }
    }
}

/// JSON, compressed, in base64.
fn packed(data: &Value) -> std::io::Result<String> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(data.to_string().as_bytes())?;
    Ok(STANDARD.encode(packer.finish()?))
}

/// How many filters a group may have.
const MOST: usize = 2;

/// The bytes of lines for one call; in base64 they still fit into an event of 256 KiB,
/// even where they cannot be compressed. A single line that is longer goes alone, and
/// fits only if it compresses well.
const LARGEST_BATCH: usize = 128 * 1024;
