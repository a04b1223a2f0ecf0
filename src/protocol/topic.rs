//! Topics and topic filters, and those that AWS IoT reserves.
//!
//! A topic name or a filter that breaks a rule of AWS IoT costs a device its
//! connection, so both are types that cannot hold such a text. The reserved
//! topics of jobs, shadows, provisioning and events are made by functions, and
//! are written down nowhere else.
//!
//! Who may use a topic is a question for policies, not for this file.

use std::fmt;
use std::str::FromStr;

use crate::{Error, JobId, Result, ThingName};

/// The name of a topic, as in a PUBLISH packet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName(String);

/// A pattern of topic names, as in a SUBSCRIBE packet or the FROM of a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicFilter(String);

impl TopicName {
    /// The topic as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The topic on which AWS IoT says yes to a request on this one.
    pub fn accepted(&self) -> TopicName {
        TopicName(format!("{}/accepted", self.0))
    }

    /// The topic on which AWS IoT says no to a request on this one.
    pub fn rejected(&self) -> TopicName {
        TopicName(format!("{}/rejected", self.0))
    }
}

impl TopicFilter {
    /// The filter as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether AWS IoT delivers messages on `topic` to this filter.
    ///
    /// `a/#` does not match `a` in AWS IoT, and a wildcard at the first level
    /// matches no topic that starts with `$`.
    pub fn matches(&self, topic: &TopicName) -> bool {
        let mut names = topic.0.split('/');
        if topic.0.starts_with('$') && self.0.starts_with(['+', '#']) {
            return false;
        }
        for level in levels(&self.0) {
            match (level, names.next()) {
                ("#", Some(_)) => return true,
                ("+", Some(_)) => {}
                (level, Some(name)) if level == name => {}
                _ => return false,
            }
        }
        names.next().is_none()
    }

    /// Whether some topic matches both filters.
    pub fn overlaps(&self, other: &TopicFilter) -> bool {
        let reserved = |filter: &TopicFilter| filter.0.starts_with('$');
        let open = |filter: &TopicFilter| filter.0.starts_with(['+', '#']);
        if (reserved(self) && open(other)) || (open(self) && reserved(other)) {
            return false;
        }
        let (mut ours, mut theirs) = (levels(&self.0), levels(&other.0));
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => return true,
                (Some("#"), Some(_)) | (Some(_), Some("#")) => return true,
                (Some("+"), Some(_)) | (Some(_), Some("+")) => {}
                (Some(a), Some(b)) if a == b => {}
                _ => return false,
            }
        }
    }

    /// A filter that is written in this crate.
    pub(crate) fn reserved(text: &str) -> TopicFilter {
        debug_assert!(text.parse::<TopicFilter>().is_ok(), "{text}");
        TopicFilter(text.to_owned())
    }
}

impl FromStr for TopicName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse =
            |reason| Error::InvalidTopic { kind: "topic name", value: text.to_owned(), reason };
        check(text, basic_ingest_topic(text)).map_err(refuse)?;
        if text.contains(['+', '#']) {
            return Err(refuse("`+` and `#` belong in topic filters"));
        }
        Ok(TopicName(text.to_owned()))
    }
}

impl FromStr for TopicFilter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse =
            |reason| Error::InvalidTopic { kind: "topic filter", value: text.to_owned(), reason };
        check(text, shared_filter(text)).map_err(refuse)?;
        let mut rest = text.split('/').peekable();
        while let Some(level) = rest.next() {
            if level.contains('#') && (level != "#" || rest.peek().is_some()) {
                return Err(refuse("`#` must be the last level"));
            }
            if level.contains('+') && level != "+" {
                return Err(refuse("`+` must be a whole level"));
            }
        }
        Ok(TopicFilter(text.to_owned()))
    }
}

impl From<TopicName> for TopicFilter {
    fn from(name: TopicName) -> TopicFilter {
        TopicFilter(name.0)
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The reserved topics of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThingTopics {
    thing: String,
}

/// Which job a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhichJob<'a> {
    /// The one with this id.
    Id(&'a JobId),
    /// The next one that is pending, `$next`.
    Next,
}

impl ThingTopics {
    /// The topics of `thing`.
    pub fn of(thing: &ThingName) -> Self {
        ThingTopics { thing: thing.to_string() }
    }

    /// The topics of whichever thing is connected, for an IoT policy.
    pub fn of_connected_thing() -> Self {
        ThingTopics { thing: "${iot:Connection.Thing.ThingName}".to_owned() }
    }

    /// Asks for the list of pending jobs.
    pub fn jobs_get(&self) -> TopicName {
        self.topic("jobs/get")
    }

    /// Starts the next pending job.
    pub fn jobs_start_next(&self) -> TopicName {
        self.topic("jobs/start-next")
    }

    /// Asks for one job.
    pub fn job_get(&self, job: WhichJob<'_>) -> TopicName {
        self.topic(&format!("jobs/{job}/get"))
    }

    /// Reports the state of one job.
    pub fn job_update(&self, job: WhichJob<'_>) -> TopicName {
        self.topic(&format!("jobs/{job}/update"))
    }

    /// Tells that the list of pending jobs has changed.
    pub fn jobs_notify(&self) -> TopicName {
        self.topic("jobs/notify")
    }

    /// Tells that another job is next.
    pub fn jobs_notify_next(&self) -> TopicName {
        self.topic("jobs/notify-next")
    }

    /// The thing's classic shadow, up to the operation, such as `…/shadow`.
    pub fn shadow(&self) -> TopicName {
        self.topic("shadow")
    }

    /// One of the thing's named shadows, up to the operation.
    pub fn named_shadow(&self, name: &str) -> Result<TopicName> {
        let is_word = |b: u8| b.is_ascii_alphanumeric() || b":_-".contains(&b);
        if !(1..=64).contains(&name.len()) || !name.bytes().all(is_word) {
            return Err(Error::InvalidName {
                kind: "shadow name",
                value: name.to_owned(),
                expected: "1 to 64 of the characters a-z, A-Z, 0-9, `:`, `_` and `-`",
            });
        }
        Ok(self.topic(&format!("shadow/name/{name}")))
    }

    fn topic(&self, rest: &str) -> TopicName {
        TopicName(format!("$aws/things/{}/{rest}", self.thing))
    }
}

impl fmt::Display for WhichJob<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WhichJob::Id(id) => id.fmt(f),
            WhichJob::Next => f.write_str("$next"),
        }
    }
}

/// Asks for new keys and a certificate, before a device has its own.
pub fn create_keys_and_certificate() -> TopicName {
    TopicName("$aws/certificates/create/json".to_owned())
}

/// Asks for a certificate for the device's own key.
pub fn create_certificate_from_csr() -> TopicName {
    TopicName("$aws/certificates/create-from-csr/json".to_owned())
}

/// Registers the device with a provisioning template.
pub fn provision(template: &str) -> Result<TopicName> {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
    if !(1..=36).contains(&template.len()) || !template.bytes().all(is_word) {
        return Err(Error::InvalidName {
            kind: "provisioning template name",
            value: template.to_owned(),
            expected: "1 to 36 of the characters a-z, A-Z, 0-9, `_` and `-`",
        });
    }
    Ok(TopicName(format!("$aws/provisioning-templates/{template}/provision/json")))
}

/// The part that is limited in depth, of a topic that a rule takes in directly.
fn basic_ingest_topic(text: &str) -> &str {
    let rest = text.strip_prefix("$aws/rules/").and_then(|rest| rest.split_once('/'));
    rest.map_or(text, |(_, topic)| topic)
}

/// The part that is limited in depth, of a filter that may be a shared one.
fn shared_filter(text: &str) -> &str {
    let rest = text.strip_prefix("$share/").and_then(|rest| rest.split_once('/'));
    rest.map_or(text, |(_, filter)| filter)
}

fn levels(filter: &str) -> impl Iterator<Item = &str> {
    shared_filter(filter).split('/')
}

fn check(text: &str, limited: &str) -> std::result::Result<(), &'static str> {
    if text.is_empty() || limited.is_empty() {
        return Err("it is empty");
    }
    if limited.len() > MAXIMUM_BYTES {
        return Err("it has more than 256 bytes");
    }
    if limited.matches('/').count() > MAXIMUM_SLASHES {
        return Err("it has more than 7 slashes");
    }
    if text.contains('\0') {
        return Err("it holds a NUL character");
    }
    Ok(())
}

const MAXIMUM_BYTES: usize = 256;
const MAXIMUM_SLASHES: usize = 7;

#[cfg(test)]
mod tests;
