//! The operations on log events: put, read in order, searched.
//!
//! Tokens name a place between two lines, by time and number, so that lines that
//! come or go between two pages neither repeat nor hide others.

use std::time::Duration;

use iotstack_local_kernel::{Call, Fault, Reply, Timestamp, loose};
use serde_json::{Map, Value, json};

use super::group::{Line, NEWEST, OLDEST, OVERHEAD};
use super::operations::group_of;
use super::pattern::Pattern;
use super::shape::limit;
use super::{Logs, SEQUENCE_TOKEN, invalid_token, no_group, no_stream};

impl Logs {
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
                return Err(Fault::invalid_input(
                    "Log events in a single PutLogEvents request must be in chronological order.",
                ));
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
        // What is past the retention of its group is not kept, and said to be expired.
        let horizon = self.groups().all.get(group).ok_or_else(no_group)?.horizon(call.at);
        let expired = lines.iter().take_while(|(at, _)| *at < horizon).count();
        lines.truncate(in_time);
        lines.drain(..too_old.max(expired).min(in_time));
        if let (Some((first, _)), Some((last, _))) = (lines.first(), lines.last())
            && last.since(*first) > LONGEST_SPAN
        {
            return Err(Fault::invalid_input(
                "The batch of log events in a single PutLogEvents request cannot span more than \
                 24 hours.",
            ));
        }
        self.append(group, stream, lines, false)?;
        let mut rejected = Map::new();
        if too_old > 0 {
            rejected.insert("tooOldLogEventEndIndex".to_owned(), json!(too_old));
        }
        if expired > too_old {
            rejected.insert("expiredLogEventEndIndex".to_owned(), json!(expired));
        }
        if in_time < total {
            rejected.insert("tooNewLogEventStartIndex".to_owned(), json!(in_time));
        }
        let mut shown = json!({"nextSequenceToken": SEQUENCE_TOKEN});
        if !rejected.is_empty() {
            shown["rejectedLogEventsInfo"] = Value::Object(rejected);
        }
        Ok(shown.into())
    }

    pub(super) fn get_events(&self, call: Call) -> Result<Reply, Fault> {
        let (name, stream) = (group_of(&call)?, call.text("logStreamName")?);
        let limit = limit(&call, 10_000)?;
        let span = Span::of(&call)?;
        let token = call.optional_text("nextToken")?.map(Place::parse).transpose()?;
        let from_head = call.flag("startFromHead")?;
        let groups = self.groups();
        let group = groups.all.get(&name).ok_or_else(no_group)?;
        let found = group.streams.get(stream).ok_or_else(no_stream)?;
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
        let limit = limit(&call, 10_000)?;
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
        let group = groups.all.get(&name).ok_or_else(no_group)?;
        if names.iter().any(|name| !group.streams.contains_key(name)) {
            return Err(no_stream());
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
            shown["eventId"] = json!(self.id());
        }
        shown
    }

    /// The id under which clients know it.
    pub(super) fn id(&self) -> String {
        format!("{:056}", self.number)
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
        read().ok_or_else(invalid_token)
    }
}

/// A predicate that counts while it is asked.
fn mut_fn<'a>(mut fits: impl FnMut(&'a Line) -> bool) -> impl FnMut(&&'a Line) -> bool {
    move |line| fits(line)
}

/// What one PutLogEvents may bring.
const LARGEST_BATCH: usize = 1_048_576;
const LONGEST_SPAN: Duration = Duration::from_secs(86_400);

/// What one page of FilterLogEvents brings.
const LARGEST_PAGE: usize = 1_048_576;
