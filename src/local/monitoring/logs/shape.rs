//! What the members of requests may be, whatever the operation.
//!
//! Judged before anything is looked up, and told in AWS's words, all violations at once. A
//! member means the same in every operation, so that one table does for all of them.

use iotstack_local_kernel::{Call, Fault, violation, violations};
use serde_json::Value;

/// A pattern as AWS tells it, and which characters it means.
type Pattern = (&'static str, fn(char) -> bool);

/// A text's bounds in characters, and the characters that it may have.
struct Shape {
    member: &'static str,
    shortest: usize,
    longest: usize,
    pattern: Option<Pattern>,
}

/// Judges the members of a request.
pub(super) fn judge(call: &Call) -> Result<(), Fault> {
    let mut found = Vec::new();
    for shape in SHAPES {
        if let Some(Value::String(text)) = call.input.get(shape.member) {
            shape.judge(text, &mut found);
        }
    }
    if let Some(Value::String(order)) = call.input.get("orderBy")
        && !ORDERS.contains(&order.as_str())
    {
        let wanted = format!("Member must satisfy enum value set: [{}]", ORDERS.join(", "));
        found.push(violation("orderBy", Some(order), &wanted));
    }
    if found.is_empty() { Ok(()) } else { Err(Fault::invalid_input(violations(&found))) }
}

/// How many items an operation is asked for, `most` if it does not say.
pub(super) fn limit(call: &Call, most: i64) -> Result<usize, Fault> {
    let limit = call.optional_integer("limit")?.unwrap_or(most);
    let wanted = match limit {
        ..=0 => "Member must have value greater than or equal to 1".to_owned(),
        _ if limit > most => format!("Member must have value less than or equal to {most}"),
        _ => return Ok(usize::try_from(limit).unwrap_or(1)),
    };
    let violation = violation("limit", Some(&limit.to_string()), &wanted);
    Err(Fault::invalid_input(violations(&[violation])))
}

impl Shape {
    const fn new(
        member: &'static str,
        (shortest, longest): (usize, usize),
        pattern: Option<Pattern>,
    ) -> Self {
        Shape { member, shortest, longest, pattern }
    }

    fn judge(&self, text: &str, found: &mut Vec<String>) {
        let length = text.chars().count();
        let mut tell = |wanted: &str| {
            // AWS does not repeat what may be an ARN of somebody else's.
            let shown = (self.member != "logGroupIdentifier").then_some(text);
            found.push(violation(self.member, shown, wanted));
        };
        if length < self.shortest {
            tell(&format!("Member must have length greater than or equal to {}", self.shortest));
        }
        if length > self.longest {
            tell(&format!("Member must have length less than or equal to {}", self.longest));
        }
        if let Some((pattern, is_fit)) = self.pattern
            && !text.chars().all(is_fit)
        {
            tell(&format!("Member must satisfy regular expression pattern: {pattern}"));
        }
    }
}

const GROUP: Option<Pattern> =
    Some((r"[\.\-_/#A-Za-z0-9]+", |c| c.is_ascii_alphanumeric() || ".-_/#".contains(c)));
const IDENTIFIER: Option<Pattern> =
    Some((r"[\w#+=/:,.@-]*", |c| c.is_ascii_alphanumeric() || "_#+=/:,.@-".contains(c)));
const NAME: Option<Pattern> = Some(("[^:*]*", |c| c != ':' && c != '*'));
const METRIC: Option<Pattern> = Some(("[^:*$]*", |c| !":*$".contains(c)));

const SHAPES: &[Shape] = &[
    Shape::new("logGroupName", (1, 512), GROUP),
    Shape::new("logGroupNamePrefix", (1, 512), GROUP),
    Shape::new("logGroupNamePattern", (0, 512), GROUP),
    Shape::new("logGroupIdentifier", (1, 2048), IDENTIFIER),
    Shape::new("logStreamName", (1, 512), NAME),
    Shape::new("logStreamNamePrefix", (1, 512), NAME),
    Shape::new("filterName", (1, 512), NAME),
    Shape::new("filterNamePrefix", (1, 512), NAME),
    Shape::new("filterPattern", (0, 1024), None),
    Shape::new("metricName", (0, 255), METRIC),
    Shape::new("metricNamespace", (0, 255), METRIC),
    Shape::new("kmsKeyId", (0, 256), None),
    Shape::new("nextToken", (1, usize::MAX), None),
];

const ORDERS: [&str; 2] = ["LogStreamName", "LastEventTime"];
