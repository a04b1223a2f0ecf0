//! Topic names, topic filters, and which of them meet.
//!
//! AWS IoT departs from the standard in one rule: `a/#` does not match `a`. Which
//! of the two holds is said by [`Matching`]. In both, a wildcard at the first level
//! matches no topic that begins with `$`.
//!
//! [`Index`] finds the filters that match a topic without looking at the others.
//! Who may use a topic is a question for policies, not for this module.

mod index;

use std::fmt;

pub use index::Index;

/// Which rules of matching hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Matching {
    /// Those of AWS IoT: `a/#` does not match `a`.
    #[default]
    Aws,
    /// Those of the standard: `a/#` matches `a` as well.
    Standard,
}

/// How long and how deep topics may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest number of bytes.
    pub bytes: usize,
    /// The largest number of slashes.
    pub slashes: usize,
}

impl Limits {
    /// Those of AWS IoT.
    pub const AWS: Limits = Limits { bytes: 256, slashes: 7 };
    /// Those of the standard, which are none but the length of a text and the
    /// depth that keeps every walk through the levels short.
    pub const STANDARD: Limits = Limits { bytes: 65_535, slashes: MOST_SLASHES };
}

/// What is wrong with a topic name or a topic filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// It is empty.
    Empty,
    /// It holds a NUL character.
    Nul,
    /// `+` or `#` in a topic name.
    WildcardInName,
    /// `#` before the end, or in a level with other characters.
    HashNotLast,
    /// `+` in a level with other characters.
    PlusNotAlone,
    /// `$share` without a name, or with a name that holds a wildcard.
    ShareName,
    /// More bytes than the limit.
    TooLong {
        /// The limit.
        maximum: usize,
    },
    /// More slashes than the limit.
    TooDeep {
        /// The limit.
        maximum: usize,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Empty => f.write_str("it is empty"),
            Problem::Nul => f.write_str("it holds a NUL character"),
            Problem::WildcardInName => f.write_str("`+` and `#` belong in topic filters"),
            Problem::HashNotLast => f.write_str("`#` must be the last level"),
            Problem::PlusNotAlone => f.write_str("`+` must be a whole level"),
            Problem::ShareName => {
                f.write_str("expected `$share/<name>/<filter>` with a name without wildcards")
            }
            Problem::TooLong { maximum } => write!(f, "it has more than {maximum} bytes"),
            Problem::TooDeep { maximum } => write!(f, "it has more than {maximum} slashes"),
        }
    }
}

/// A filter of a shared subscription, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shared<'a> {
    /// The name of the group that shares the messages.
    pub group: &'a str,
    /// The filter proper.
    pub filter: &'a str,
}

impl<'a> Shared<'a> {
    /// Takes `$share/<group>/<filter>` apart; `None` for any other filter.
    pub fn parse(filter: &'a str) -> Option<Self> {
        let (group, filter) = filter.strip_prefix(SHARE)?.split_once('/')?;
        Some(Shared { group, filter })
    }
}

/// Judges the syntax of a topic name.
pub fn name_syntax(name: &str) -> Result<(), Problem> {
    if name.is_empty() {
        return Err(Problem::Empty);
    }
    match name.bytes().find(|byte| matches!(byte, 0 | b'+' | b'#')) {
        None => Ok(()),
        Some(0) => Err(Problem::Nul),
        Some(_) => Err(Problem::WildcardInName),
    }
}

/// Judges the syntax of a topic filter, which may be a shared one.
pub fn filter_syntax(filter: &str) -> Result<(), Problem> {
    if filter.is_empty() {
        return Err(Problem::Empty);
    }
    let mut proper = filter;
    if filter == "$share" || filter.starts_with(SHARE) {
        let shared = Shared::parse(filter).ok_or(Problem::ShareName)?;
        if shared.group.is_empty() || shared.group.contains(['+', '#']) {
            return Err(Problem::ShareName);
        }
        if shared.filter.is_empty() {
            return Err(Problem::Empty);
        }
        proper = shared.filter;
    }
    let mut levels = proper.split('/').peekable();
    while let Some(level) = levels.next() {
        for byte in level.bytes() {
            match byte {
                0 => return Err(Problem::Nul),
                b'#' if level.len() > 1 || levels.peek().is_some() => {
                    return Err(Problem::HashNotLast);
                }
                b'+' if level.len() > 1 => return Err(Problem::PlusNotAlone),
                _ => {}
            }
        }
    }
    if filter.len() > proper.len() && filter.contains('\0') {
        return Err(Problem::Nul);
    }
    size(proper, Limits::STANDARD)
}

/// Judges the size of a topic name. What leads a message straight into a rule,
/// `$aws/rules/<rule>/`, does not count.
pub fn name_size(name: &str, limits: Limits) -> Result<(), Problem> {
    size(basic_ingest(name).map_or(name, |(_, topic)| topic), limits)
}

/// Judges the size of a topic filter. `$share/<group>/` does not count.
pub fn filter_size(filter: &str, limits: Limits) -> Result<(), Problem> {
    size(Shared::parse(filter).map_or(filter, |shared| shared.filter), limits)
}

/// Takes `$aws/rules/<rule>/<topic>` apart into rule and topic. The topic may be
/// absent: `$aws/rules/<rule>` feeds the rule as well.
pub fn basic_ingest(name: &str) -> Option<(&str, &str)> {
    let rest = name.strip_prefix("$aws/rules/")?;
    let (rule, topic) = rest.split_once('/').unwrap_or((rest, ""));
    (!rule.is_empty()).then_some((rule, topic))
}

/// Whether a filter holds a wildcard.
pub fn has_wildcard(filter: &str) -> bool {
    filter.bytes().any(|byte| matches!(byte, b'+' | b'#'))
}

/// Whether messages on `topic` go to `filter`, both without mistakes in syntax.
///
/// For a shared subscription, ask with its proper filter.
pub fn matches(filter: &str, topic: &str, matching: Matching) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let (mut filter, mut topic) = (Some(filter), Some(topic));
    loop {
        match (filter.map(first_level), topic.map(first_level)) {
            (None, None) => return true,
            (Some(("#", _)), Some(_)) => return true,
            (Some(("#", _)), None) => return matching == Matching::Standard,
            (Some(("+", filter_rest)), Some((_, topic_rest))) => {
                (filter, topic) = (filter_rest, topic_rest);
            }
            (Some((wanted, filter_rest)), Some((level, topic_rest))) if wanted == level => {
                (filter, topic) = (filter_rest, topic_rest);
            }
            _ => return false,
        }
    }
}

/// The first level of a topic, and the levels behind it if there are any.
fn first_level(topic: &str) -> (&str, Option<&str>) {
    match topic.as_bytes().iter().position(|byte| *byte == b'/') {
        Some(slash) => (&topic[..slash], Some(&topic[slash + 1..])),
        None => (topic, None),
    }
}

fn size(limited: &str, limits: Limits) -> Result<(), Problem> {
    if limited.len() > limits.bytes {
        return Err(Problem::TooLong { maximum: limits.bytes });
    }
    if limited.bytes().filter(|byte| *byte == b'/').count() > limits.slashes {
        return Err(Problem::TooDeep { maximum: limits.slashes });
    }
    Ok(())
}

const SHARE: &str = "$share/";

/// Deeper filters are refused as if their syntax were wrong: an [`Index`] walks its
/// levels by recursion.
const MOST_SLASHES: usize = 199;

#[cfg(test)]
mod tests;
