//! A log group with its streams, and what they keep.
//!
//! Streams and lines are bounded: the oldest lines of a stream and the quietest streams of
//! a group make room for new ones.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use iotstack_local_kernel::{Fault, Timestamp};
use serde::{Deserialize, Serialize};

use super::filter::MetricFilter;
use super::subscription::Subscription;

/// A log group. Its streams are not stored.
#[derive(Serialize, Deserialize)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) created: Timestamp,
    pub(super) retention_days: Option<u32>,
    pub(super) kms_key: Option<String>,
    pub(super) class: String,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) filters: BTreeMap<String, MetricFilter>,
    #[serde(default)]
    pub(super) subscriptions: BTreeMap<String, Subscription>,
    #[serde(skip)]
    pub(super) streams: BTreeMap<String, Stream>,
}

/// A stream of lines, in the order of their times.
#[derive(Default)]
pub(super) struct Stream {
    pub(super) created: Timestamp,
    pub(super) last_arrival: Timestamp,
    pub(super) lines: VecDeque<Line>,
    pub(super) size: usize,
}

/// One event.
pub(super) struct Line {
    pub(super) at: Timestamp,
    pub(super) arrived: Timestamp,
    pub(super) number: u64,
    pub(super) text: String,
}

impl Group {
    pub(super) fn new(name: &str, now: Timestamp) -> Self {
        Group {
            name: name.to_owned(),
            created: now,
            retention_days: None,
            kms_key: None,
            class: "STANDARD".to_owned(),
            tags: BTreeMap::new(),
            filters: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            streams: BTreeMap::new(),
        }
    }

    /// Adds a line; the stream is made if it is missing.
    pub(super) fn append(&mut self, stream: &str, line: Line, now: Timestamp) {
        if !self.streams.contains_key(stream) {
            self.make_stream(stream, now);
        }
        let Some(found) = self.streams.get_mut(stream) else { return };
        found.last_arrival = now;
        found.size += line.size();
        // Lines come in order almost always.
        let place = match found.lines.back() {
            Some(last) if last.at > line.at => {
                found.lines.partition_point(|known| known.at <= line.at)
            }
            _ => found.lines.len(),
        };
        found.lines.insert(place, line);
        while found.lines.len() > MOST_LINES || found.size > LARGEST_STREAM {
            let Some(first) = found.lines.pop_front() else { break };
            found.size -= first.size();
        }
    }

    pub(super) fn make_stream(&mut self, name: &str, now: Timestamp) {
        if self.streams.len() >= MOST_STREAMS {
            let quiet = self
                .streams
                .iter()
                .min_by_key(|(_, stream)| stream.last_arrival.max(stream.created));
            if let Some(quiet) = quiet.map(|(name, _)| name.clone()) {
                self.streams.remove(&quiet);
            }
        }
        let stream = Stream { created: now, ..Stream::default() };
        self.streams.insert(name.to_owned(), stream);
    }

    /// Since when lines are kept.
    pub(super) fn horizon(&self, now: Timestamp) -> Timestamp {
        match self.retention_days {
            None => Timestamp(i64::MIN),
            Some(days) => Timestamp(now.0 - i64::from(days) * 86_400_000),
        }
    }

    /// Drops lines that are older than the retention.
    pub(super) fn forget(&mut self, now: Timestamp) {
        let horizon = self.horizon(now);
        for stream in self.streams.values_mut() {
            while stream.lines.front().is_some_and(|line| line.at < horizon) {
                if let Some(line) = stream.lines.pop_front() {
                    stream.size -= line.size();
                }
            }
        }
    }

    pub(super) fn size(&self) -> usize {
        self.streams.values().map(|stream| stream.size).sum()
    }
}

impl Line {
    /// As AWS counts it.
    pub(super) fn size(&self) -> usize {
        self.text.len() + OVERHEAD
    }
}

/// Judges the name of a group.
pub(super) fn judge_group(name: &str) -> Result<(), Fault> {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || "_-/.#".contains(c);
    if (1..=512).contains(&name.len()) && name.chars().all(is_fit) && !name.starts_with("aws/") {
        return Ok(());
    }
    Err(Fault::invalid_input(format!(
        "logGroupName `{name}` must be 1 to 512 letters, digits and `_-/.#`, and not begin with `aws/`"
    )))
}

/// Judges the name of a stream.
pub(super) fn judge_stream(name: &str) -> Result<(), Fault> {
    if (1..=512).contains(&name.len()) && !name.contains([':', '*']) {
        return Ok(());
    }
    Err(Fault::invalid_input(format!(
        "logStreamName `{name}` must be 1 to 512 characters without `:` and `*`"
    )))
}

/// Judges a retention.
pub(super) fn judge_retention(days: i64) -> Result<u32, Fault> {
    let days = u32::try_from(days).unwrap_or(0);
    if RETENTIONS.contains(&days) {
        return Ok(days);
    }
    Err(Fault::invalid_input(format!("retentionInDays must be one of {RETENTIONS:?}, not {days}")))
}

/// How late a line may be.
pub(super) const OLDEST: Duration = Duration::from_secs(14 * 86_400);

/// How far in the future a line may be.
pub(super) const NEWEST: Duration = Duration::from_secs(2 * 3600);

/// What AWS adds to the size of each line.
pub(super) const OVERHEAD: usize = 26;

const MOST_LINES: usize = 20_000;
const LARGEST_STREAM: usize = 8 * 1024 * 1024;
const MOST_STREAMS: usize = 1000;

const RETENTIONS: [u32; 22] = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
];
