//! The operations on groups, streams and metric filters.
//!
//! Only groups are stored; streams and lines live in memory, so that those operations
//! need not wait.

use iotstack_local_kernel::{Call, Commit, Fault, Reply, loose};
use serde_json::{Value, json};

use super::filter::MetricFilter;
use super::group::{Group, Stream, judge_group, judge_retention, judge_stream};
use super::pattern::Pattern;
use super::shape::limit;
use super::{GROUPS, Logs, SEQUENCE_TOKEN, invalid_token, missing, no_group, no_stream, page};

impl Logs {
    pub(super) fn create_group(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let name = call.text("logGroupName")?;
        let mut group = Group::new(name, call.at);
        group.kms_key = call.optional_text("kmsKeyId")?.map(str::to_owned);
        if let Some(class) = call.optional_text("logGroupClass")? {
            group.class = class.to_owned();
        }
        group.tags = loose::pairs(&call.input, "tags", ("key", "value"))?.into_iter().collect();
        Ok((Reply::empty(), self.insert(group)?))
    }

    /// Adds a group that was not there.
    pub(super) fn insert(&self, group: Group) -> Result<Commit, Fault> {
        judge_group(&group.name)?;
        let mut groups = self.groups();
        if groups.all.contains_key(&group.name) {
            let message = "The specified log group already exists";
            return Err(Fault::new("ResourceAlreadyExistsException", 400, message));
        }
        let mut batch = self.store.batch();
        batch.put(GROUPS, group.name.as_str(), &group);
        groups.all.insert(group.name.clone(), group);
        Ok(self.store.commit(batch))
    }

    pub(super) fn delete_group(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        Ok((Reply::empty(), self.remove(call.text("logGroupName")?)?))
    }

    /// Removes a group with all its lines.
    pub(super) fn remove(&self, name: &str) -> Result<Commit, Fault> {
        let mut groups = self.groups();
        let removed = groups.all.remove(name).ok_or_else(no_group)?;
        groups.size = groups.size.saturating_sub(removed.size());
        let mut batch = self.store.batch();
        batch.remove(GROUPS, name);
        Ok(self.store.commit(batch))
    }

    pub(super) fn describe_groups(&self, call: Call) -> Result<Reply, Fault> {
        let prefix = call.optional_text("logGroupNamePrefix")?.unwrap_or_default();
        let part = call.optional_text("logGroupNamePattern")?.unwrap_or_default();
        let limit = limit(&call, 50)?;
        let groups = self.groups();
        let fitting = groups
            .all
            .values()
            .filter(|group| group.name.starts_with(prefix) && group.name.contains(part));
        let token = call.optional_text("nextToken")?;
        let (found, next) = page(fitting, |group| group.name.clone(), token, limit)?;
        let shown: Vec<Value> = found.into_iter().map(|group| self.shown(group)).collect();
        Ok(json!({"logGroups": shown, "nextToken": next}).into())
    }

    fn shown(&self, group: &Group) -> Value {
        let arn = self.arn(&group.name);
        let mut shown = json!({
            "logGroupName": group.name,
            "creationTime": group.created.millis(),
            "metricFilterCount": group.filters.len(),
            "arn": format!("{arn}:*"),
            "logGroupArn": arn,
            "storedBytes": group.size(),
            "logGroupClass": group.class,
        });
        if let Some(days) = group.retention_days {
            shown["retentionInDays"] = json!(days);
        }
        if let Some(key) = &group.kms_key {
            shown["kmsKeyId"] = json!(key);
        }
        shown
    }

    pub(super) fn put_retention(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let days = call
            .optional_integer("retentionInDays")?
            .ok_or_else(|| Fault::invalid_input("retentionInDays is required"))?;
        let days = judge_retention(days)?;
        self.retain(call.text("logGroupName")?, Some(days))
    }

    pub(super) fn delete_retention(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        self.retain(call.text("logGroupName")?, None)
    }

    fn retain(&self, name: &str, days: Option<u32>) -> Result<(Reply, Commit), Fault> {
        let now = self.clock.now();
        let ((), commit) = self.change(name, |group| {
            group.retention_days = days;
            group.forget(now);
            Ok(())
        })?;
        Ok((Reply::empty(), commit))
    }

    pub(super) fn create_stream(&self, call: Call) -> Result<Reply, Fault> {
        let (group, stream) = (call.text("logGroupName")?, call.text("logStreamName")?);
        self.add_stream(group, stream)?;
        Ok(Reply::empty())
    }

    /// Adds a stream that was not there.
    pub(super) fn add_stream(&self, group: &str, stream: &str) -> Result<(), Fault> {
        judge_stream(stream)?;
        let mut groups = self.groups();
        let found = groups.all.get_mut(group).ok_or_else(no_group)?;
        if found.streams.contains_key(stream) {
            let message = "The specified log stream already exists";
            return Err(Fault::new("ResourceAlreadyExistsException", 400, message));
        }
        found.make_stream(stream, self.clock.now());
        Ok(())
    }

    pub(super) fn delete_stream(&self, call: Call) -> Result<Reply, Fault> {
        self.remove_stream(call.text("logGroupName")?, call.text("logStreamName")?)?;
        Ok(Reply::empty())
    }

    /// Removes a stream with its lines.
    pub(super) fn remove_stream(&self, group: &str, stream: &str) -> Result<(), Fault> {
        let mut groups = self.groups();
        let found = groups.all.get_mut(group).ok_or_else(no_group)?;
        let removed = found.streams.remove(stream).ok_or_else(no_stream)?;
        groups.size = groups.size.saturating_sub(removed.size);
        Ok(())
    }

    pub(super) fn describe_streams(&self, call: Call) -> Result<Reply, Fault> {
        let name = group_of(&call)?;
        let prefix = call.optional_text("logStreamNamePrefix")?.unwrap_or_default();
        let by_time = call.optional_text("orderBy")? == Some("LastEventTime");
        if by_time && !prefix.is_empty() {
            let message = "Cannot order by LastEventTime with a logStreamNamePrefix.";
            return Err(Fault::invalid_input(message));
        }
        let descending = call.flag("descending")?;
        let limit = limit(&call, 50)?;
        let groups = self.groups();
        let group = groups.all.get(&name).ok_or_else(no_group)?;
        let mut fitting: Vec<(String, &String, &Stream)> = group
            .streams
            .iter()
            .filter(|(name, _)| name.starts_with(prefix))
            .map(|(name, stream)| {
                let last = stream.lines.back().map_or(stream.created, |line| line.at).millis();
                let order = if by_time { format!("{last:020} {name}") } else { name.clone() };
                (order, name, stream)
            })
            .collect();
        fitting.sort_by(|a, b| a.0.cmp(&b.0));
        if descending {
            fitting.reverse();
        }
        // The token is the place, as the order may run both ways.
        let begin: usize = match call.optional_text("nextToken")? {
            None => 0,
            Some(token) => token.parse().map_err(|_| invalid_token())?,
        };
        let next =
            (fitting.len() > begin.saturating_add(limit)).then(|| (begin + limit).to_string());
        let shown: Vec<Value> = fitting
            .into_iter()
            .skip(begin)
            .take(limit)
            .map(|(_, stream, found)| {
                let mut shown = json!({
                    "logStreamName": stream,
                    "creationTime": found.created.millis(),
                    "arn": format!("{}:log-stream:{stream}", self.arn(&name)),
                    "storedBytes": found.size,
                    "uploadSequenceToken": SEQUENCE_TOKEN,
                });
                if let (Some(first), Some(last)) = (found.lines.front(), found.lines.back()) {
                    shown["firstEventTimestamp"] = json!(first.at.millis());
                    shown["lastEventTimestamp"] = json!(last.at.millis());
                    shown["lastIngestionTime"] = json!(found.last_arrival.millis());
                }
                shown
            })
            .collect();
        Ok(json!({"logStreams": shown, "nextToken": next}).into())
    }

    pub(super) fn put_metric_filter(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let filter = MetricFilter::read(&call.input, false, call.text("filterName")?, call.at)?;
        let commit = self.add_filter(call.text("logGroupName")?, filter)?;
        Ok((Reply::empty(), commit))
    }

    /// Adds or replaces a metric filter.
    pub(super) fn add_filter(&self, group: &str, filter: MetricFilter) -> Result<Commit, Fault> {
        let ((), commit) = self.change(group, |group| {
            if group.filters.len() >= 100 && !group.filters.contains_key(&filter.name) {
                let message = "a log group has at most 100 metric filters";
                return Err(Fault::new("LimitExceededException", 400, message));
            }
            group.filters.insert(filter.name.clone(), filter);
            Ok(())
        })?;
        Ok(commit)
    }

    pub(super) fn delete_metric_filter(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let commit = self.drop_filter(call.text("logGroupName")?, call.text("filterName")?)?;
        Ok((Reply::empty(), commit))
    }

    /// Removes a metric filter.
    pub(super) fn drop_filter(&self, group: &str, filter: &str) -> Result<Commit, Fault> {
        let ((), commit) = self.change(group, |group| {
            group.filters.remove(filter).map(drop).ok_or_else(|| missing("metric filter"))
        })?;
        Ok(commit)
    }

    pub(super) fn describe_metric_filters(&self, call: Call) -> Result<Reply, Fault> {
        let wanted = call.optional_text("logGroupName")?;
        let prefix = call.optional_text("filterNamePrefix")?.unwrap_or_default();
        let namespace = call.optional_text("metricNamespace")?;
        let metric = call.optional_text("metricName")?;
        let limit = limit(&call, 50)?;
        let groups = self.groups();
        if wanted.is_some_and(|wanted| !groups.all.contains_key(wanted)) {
            return Err(no_group());
        }
        let fitting = groups
            .all
            .values()
            .filter(|group| wanted.is_none_or(|wanted| group.name == wanted))
            .flat_map(|group| group.filters.values().map(|filter| (group.name.as_str(), filter)))
            .filter(|(_, filter)| {
                filter.name.starts_with(prefix) && filter.is_of(namespace, metric)
            });
        let key = |(group, filter): &(&str, &MetricFilter)| format!("{group}\0{}", filter.name);
        let (found, next) = page(fitting, key, call.optional_text("nextToken")?, limit)?;
        let shown: Vec<Value> =
            found.into_iter().map(|(group, filter)| filter.shown(group)).collect();
        Ok(json!({"metricFilters": shown, "nextToken": next}).into())
    }

    pub(super) fn test_metric_filter(&self, call: Call) -> Result<Reply, Fault> {
        let pattern = Pattern::parse(call.text("filterPattern")?)?;
        let lines = loose::texts(&call.input, "logEventMessages")?;
        let fitting: Vec<Value> = lines
            .iter()
            .enumerate()
            .filter(|(_, line)| pattern.fits(line))
            .map(|(index, line)| {
                json!({"eventNumber": index + 1, "eventMessage": line, "extractedValues": {}})
            })
            .collect();
        Ok(json!({"matches": fitting}).into())
    }

    pub(super) fn tag(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let tags = loose::pairs(&call.input, "tags", ("key", "value"))?;
        let ((), commit) = self.change(&tagged(&call)?, |group| {
            group.tags.extend(tags);
            Ok(())
        })?;
        Ok((Reply::empty(), commit))
    }

    pub(super) fn untag(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let mut keys = loose::texts(&call.input, "tagKeys")?;
        if call.operation == "UntagLogGroup" {
            keys = loose::texts(&call.input, "tags")?;
        }
        let ((), commit) = self.change(&tagged(&call)?, |group| {
            group.tags.retain(|key, _| !keys.contains(key));
            Ok(())
        })?;
        Ok((Reply::empty(), commit))
    }

    pub(super) fn list_tags(&self, call: Call) -> Result<Reply, Fault> {
        let name = tagged(&call)?;
        let groups = self.groups();
        let group = groups.all.get(&name).ok_or_else(no_group)?;
        Ok(json!({"tags": group.tags}).into())
    }
}

/// The group that a call names, by its name or its ARN.
pub(super) fn group_of(call: &Call) -> Result<String, Fault> {
    if let Some(name) = call.optional_text("logGroupName")? {
        return Ok(name.to_owned());
    }
    Ok(name_of_arn(call.text("logGroupIdentifier")?))
}

fn tagged(call: &Call) -> Result<String, Fault> {
    match call.optional_text("logGroupName")? {
        Some(name) => Ok(name.to_owned()),
        None => Ok(name_of_arn(call.text("resourceArn")?)),
    }
}

fn name_of_arn(arn: &str) -> String {
    let name = arn.split_once(":log-group:").map_or(arn, |(_, name)| name);
    name.trim_end_matches(":*").to_owned()
}
