//! The operations of CloudWatch Logs.

use iotstack_local_kernel::{Call, Commit, Fault, Reply, Timestamp, loose, page};
use serde_json::{Map, Value, json};

use super::filter::MetricFilter;
use super::group::{
    Group, Line, NEWEST, OLDEST, OVERHEAD, Stream, judge_group, judge_retention, judge_stream,
};
use super::pattern::Pattern;
use super::{GROUPS, Logs, no_group, no_stream};

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
            let message = format!("The specified log group already exists: {}", group.name);
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
        let removed = groups.all.remove(name).ok_or_else(|| no_group(name))?;
        groups.size = groups.size.saturating_sub(removed.size());
        let mut batch = self.store.batch();
        batch.remove(GROUPS, name);
        Ok(self.store.commit(batch))
    }

    pub(super) fn describe_groups(&self, call: Call) -> Result<Reply, Fault> {
        let prefix = call.optional_text("logGroupNamePrefix")?.unwrap_or_default();
        let part = call.optional_text("logGroupNamePattern")?.unwrap_or_default();
        let limit = limit(&call, 50, 50)?;
        let groups = self.groups();
        let fitting = groups
            .all
            .values()
            .filter(|group| group.name.starts_with(prefix) && group.name.contains(part));
        let token = call.optional_text("nextToken")?;
        let (found, next) = page::page(fitting, |group| group.name.clone(), token, limit)?;
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
        let found = groups.all.get_mut(group).ok_or_else(|| no_group(group))?;
        if found.streams.contains_key(stream) {
            let message = format!("The specified log stream already exists: {stream}");
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
        let found = groups.all.get_mut(group).ok_or_else(|| no_group(group))?;
        let removed = found.streams.remove(stream).ok_or_else(|| no_stream(stream))?;
        groups.size = groups.size.saturating_sub(removed.size);
        Ok(())
    }

    pub(super) fn describe_streams(&self, call: Call) -> Result<Reply, Fault> {
        let name = group_of(&call)?;
        let prefix = call.optional_text("logStreamNamePrefix")?.unwrap_or_default();
        let by_time = call.optional_text("orderBy")? == Some("LastEventTime");
        if by_time && !prefix.is_empty() {
            let message = "orderBy LastEventTime and logStreamNamePrefix exclude each other";
            return Err(Fault::invalid_input(message));
        }
        let descending = call.flag("descending")?;
        let limit = limit(&call, 50, 50)?;
        let groups = self.groups();
        let group = groups.all.get(&name).ok_or_else(|| no_group(&name))?;
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
        let begin: usize =
            call.optional_text("nextToken")?.and_then(|token| token.parse().ok()).unwrap_or(0);
        let next = (fitting.len() > begin + limit).then(|| (begin + limit).to_string());
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
                    "uploadSequenceToken": "0",
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

    pub(super) fn put_events(&self, call: Call) -> Result<Reply, Fault> {
        let (group, stream) = (call.text("logGroupName")?, call.text("logStreamName")?);
        let events = loose::list(&call.input, "logEvents")?;
        if events.is_empty() || events.len() > 10_000 {
            return Err(Fault::invalid_input(format!(
                "logEvents must have 1 to 10000 items, not {}",
                events.len()
            )));
        }
        let mut lines: Vec<(Timestamp, String)> = Vec::with_capacity(events.len());
        let mut size = 0;
        for event in &events {
            let Value::Object(event) = event else {
                return Err(Fault::invalid_input("logEvents must be objects"));
            };
            let at = loose::integer(event, "timestamp")?
                .ok_or_else(|| Fault::invalid_input("timestamp is required"))?;
            let text = loose::required(event, "message")?;
            size += text.len() + OVERHEAD;
            if lines.last().is_some_and(|(last, _)| last.0 > at) {
                return Err(Fault::invalid_input("logEvents must be in the order of their times"));
            }
            lines.push((Timestamp(at), text));
        }
        if size > LARGEST_BATCH {
            return Err(Fault::invalid_input(format!(
                "logEvents has {size} bytes; {LARGEST_BATCH} are allowed"
            )));
        }
        let oldest = Timestamp(call.at.0 - i64::try_from(OLDEST.as_millis()).unwrap_or(0));
        let newest = call.at.after(NEWEST);
        let too_old = lines.iter().take_while(|(at, _)| *at < oldest).count();
        let in_time = lines.iter().take_while(|(at, _)| *at <= newest).count();
        let total = lines.len();
        lines.truncate(in_time);
        lines.drain(..too_old.min(in_time));
        self.append(group, stream, lines, false)?;
        let mut rejected = Map::new();
        if too_old > 0 {
            rejected.insert("tooOldLogEventEndIndex".to_owned(), json!(too_old));
        }
        if in_time < total {
            rejected.insert("tooNewLogEventStartIndex".to_owned(), json!(in_time));
        }
        let mut shown = json!({"nextSequenceToken": "0"});
        if !rejected.is_empty() {
            shown["rejectedLogEventsInfo"] = Value::Object(rejected);
        }
        Ok(shown.into())
    }

    pub(super) fn get_events(&self, call: Call) -> Result<Reply, Fault> {
        let (name, stream) = (group_of(&call)?, call.text("logStreamName")?);
        let limit = limit(&call, 10_000, 10_000)?;
        let span = Span::of(&call)?;
        let token = call.optional_text("nextToken")?.map(Place::parse).transpose()?;
        let from_head = call.flag("startFromHead")?;
        let groups = self.groups();
        let group = groups.all.get(&name).ok_or_else(|| no_group(&name))?;
        let found = group.streams.get(stream).ok_or_else(|| no_stream(stream))?;
        let horizon = group.horizon(call.at);
        let lines: Vec<&Line> =
            found.lines.iter().filter(|line| line.at >= horizon && span.holds(line)).collect();
        let (begin, end) = match &token {
            Some(Place { forward: true, after }) => {
                let begin = lines.partition_point(|line| line.place() <= *after);
                (begin, lines.len().min(begin + limit))
            }
            Some(Place { forward: false, after }) => {
                let end = lines.partition_point(|line| line.place() < *after);
                (end.saturating_sub(limit), end)
            }
            None if from_head => (0, lines.len().min(limit)),
            None => (lines.len().saturating_sub(limit), lines.len()),
        };
        let shown = &lines[begin..end];
        // An empty page repeats its token: that is how clients see the end.
        let here = token.map_or((i64::MIN, 0), |place| place.after);
        let first = shown.first().map_or(here, |line| line.place());
        let last = shown.last().map_or(here, |line| line.place());
        let events: Vec<Value> = shown.iter().map(|line| line.shown(None)).collect();
        Ok(json!({
            "events": events,
            "nextForwardToken": format!("f/{}.{}", last.0, last.1),
            "nextBackwardToken": format!("b/{}.{}", first.0, first.1),
        })
        .into())
    }

    pub(super) fn filter_events(&self, call: Call) -> Result<Reply, Fault> {
        let name = group_of(&call)?;
        let pattern = Pattern::parse(call.optional_text("filterPattern")?.unwrap_or_default())?;
        let limit = limit(&call, 10_000, 10_000)?;
        let span = Span::of(&call)?;
        let names = loose::texts(&call.input, "logStreamNames")?;
        let prefix = call.optional_text("logStreamNamePrefix")?.unwrap_or_default();
        if !names.is_empty() && !prefix.is_empty() {
            let message = "logStreamNames and logStreamNamePrefix exclude each other";
            return Err(Fault::invalid_input(message));
        }
        let after = match call.optional_text("nextToken")? {
            None => None,
            Some(token) => Some(Place::parse(token)?.after),
        };
        let groups = self.groups();
        let group = groups.all.get(&name).ok_or_else(|| no_group(&name))?;
        if let Some(missing) = names.iter().find(|name| !group.streams.contains_key(*name)) {
            return Err(no_stream(missing));
        }
        let horizon = group.horizon(call.at);
        let mut fitting: Vec<(&Line, &str)> = group
            .streams
            .iter()
            .filter(|(name, _)| {
                name.starts_with(prefix) && (names.is_empty() || names.contains(name))
            })
            .flat_map(|(name, stream)| stream.lines.iter().map(move |line| (line, name.as_str())))
            .filter(|(line, _)| {
                line.at >= horizon
                    && span.holds(line)
                    && after.is_none_or(|after| line.place() > after)
                    && pattern.fits(&line.text)
            })
            .collect();
        fitting.sort_by_key(|(line, _)| line.place());
        let mut size = 0;
        let fits = |line: &Line| {
            size += line.size();
            size <= LARGEST_PAGE
        };
        let taken =
            fitting.iter().take(limit).map(|(line, _)| *line).take_while(mut_fn(fits)).count();
        let next = (taken < fitting.len())
            .then(|| taken.checked_sub(1).map(|last| fitting[last].0.place()))
            .flatten()
            .map(|(at, number)| format!("f/{at}.{number}"));
        let events: Vec<Value> =
            fitting[..taken].iter().map(|(line, stream)| line.shown(Some(stream))).collect();
        Ok(json!({"events": events, "searchedLogStreams": [], "nextToken": next}).into())
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
            group.filters.remove(filter).map(drop).ok_or_else(|| {
                let message = format!("The specified metric filter does not exist: {filter}");
                Fault::new("ResourceNotFoundException", 400, message)
            })
        })?;
        Ok(commit)
    }

    pub(super) fn describe_metric_filters(&self, call: Call) -> Result<Reply, Fault> {
        let wanted = call.optional_text("logGroupName")?;
        let prefix = call.optional_text("filterNamePrefix")?.unwrap_or_default();
        let namespace = call.optional_text("metricNamespace")?;
        let metric = call.optional_text("metricName")?;
        let limit = limit(&call, 50, 50)?;
        let groups = self.groups();
        if let Some(wanted) = wanted.filter(|wanted| !groups.all.contains_key(*wanted)) {
            return Err(no_group(wanted));
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
        let (found, next) = page::page(fitting, key, call.optional_text("nextToken")?, limit)?;
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

    pub(super) fn describe_subscription_filters(&self, call: Call) -> Result<Reply, Fault> {
        let name = call.text("logGroupName")?;
        if !self.groups().all.contains_key(name) {
            return Err(no_group(name));
        }
        // There are none: PutSubscriptionFilter is refused.
        Ok(json!({"subscriptionFilters": []}).into())
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
        let group = groups.all.get(&name).ok_or_else(|| no_group(&name))?;
        Ok(json!({"tags": group.tags}).into())
    }
}

impl Line {
    fn place(&self) -> (i64, u64) {
        (self.at.0, self.number)
    }

    fn shown(&self, stream: Option<&str>) -> Value {
        let mut shown = json!({
            "timestamp": self.at.millis(),
            "message": self.text,
            "ingestionTime": self.arrived.millis(),
        });
        if let Some(stream) = stream {
            shown["logStreamName"] = json!(stream);
            shown["eventId"] = json!(format!("{:056}", self.number));
        }
        shown
    }
}

/// From when to when lines are wanted.
struct Span {
    start: i64,
    end: i64,
}

impl Span {
    fn of(call: &Call) -> Result<Self, Fault> {
        let start = call.optional_integer("startTime")?.unwrap_or(i64::MIN);
        let end = call.optional_integer("endTime")?.unwrap_or(i64::MAX);
        if start > end {
            let message = format!("startTime {start} must not be after endTime {end}");
            return Err(Fault::invalid_input(message));
        }
        Ok(Span { start, end })
    }

    fn holds(&self, line: &Line) -> bool {
        // The end itself is left out, as AWS does.
        self.start <= line.at.0 && line.at.0 < self.end
    }
}

/// A place between lines, which a token names.
struct Place {
    forward: bool,
    after: (i64, u64),
}

impl Place {
    fn parse(token: &str) -> Result<Self, Fault> {
        let read = || {
            let (way, place) = token.split_once('/')?;
            let (at, number) = place.split_once('.')?;
            let forward = match way {
                "f" => true,
                "b" => false,
                _ => return None,
            };
            Some(Place { forward, after: (at.parse().ok()?, number.parse().ok()?) })
        };
        read().ok_or_else(|| {
            Fault::invalid_input(format!("nextToken `{token}` was not given by a page"))
        })
    }
}

/// The group that a call names, by its name or its ARN.
fn group_of(call: &Call) -> Result<String, Fault> {
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

fn limit(call: &Call, default: i64, most: i64) -> Result<usize, Fault> {
    let limit = call.optional_integer("limit")?.unwrap_or(default);
    if !(1..=most).contains(&limit) {
        return Err(Fault::invalid_input(format!("limit must be 1 to {most}, not {limit}")));
    }
    Ok(usize::try_from(limit).unwrap_or(1))
}

/// A predicate that counts while it is asked.
fn mut_fn<'a>(mut fits: impl FnMut(&'a Line) -> bool) -> impl FnMut(&&'a Line) -> bool {
    move |line| fits(line)
}

/// What one PutLogEvents may bring.
const LARGEST_BATCH: usize = 1_048_576;

/// What one page of FilterLogEvents brings.
const LARGEST_PAGE: usize = 1_048_576;
