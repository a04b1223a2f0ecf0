//! One line of a policy: who may do what to which resource.
//!
//! Statements of all kinds of policies are brought to one form, with sorted lists and
//! functions written as `${Name}`, so that they can be compared and shown. Whether one
//! covers another is judged by its text: wildcards at the end of a word count, account
//! contents do not.

use serde::Serialize;
use serde_json::Value;

use super::values::describe_value;

/// Whether a statement permits or forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Effect {
    /// It permits.
    Allow,
    /// It forbids, whatever others permit.
    Deny,
}

/// A statement in the form in which all are compared.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    /// The logical id of the resource that holds it.
    pub logical_id: String,
    /// Permits or forbids.
    pub effect: Effect,
    /// Who: `AWS:arn`, `Service:iot.amazonaws.com`; for a policy of an identity the
    /// identities themselves. With a leading `not ` everybody else.
    pub principals: Vec<String>,
    /// What, such as `s3:GetObject`; with a leading `not ` everything else.
    pub actions: Vec<String>,
    /// On which resources; with a leading `not ` on all others.
    pub resources: Vec<String>,
    /// Under which condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<Value>,
}

impl Statement {
    /// Reads one statement of a policy document. `principals` and `resources` are what
    /// holds where the statement itself says nothing.
    pub(super) fn read(
        value: &Value,
        logical_id: &str,
        principals: &[String],
        resources: &[String],
    ) -> Option<Self> {
        let map = value.as_object()?;
        let effect = match map.get("Effect").and_then(Value::as_str) {
            Some("Deny") => Effect::Deny,
            _ => Effect::Allow,
        };
        let either = |name: &str, otherwise: &[String]| match (
            map.get(name),
            map.get(&format!("Not{name}")),
        ) {
            (Some(value), _) => words(value, ""),
            (None, Some(value)) => words(value, "not "),
            (None, None) => otherwise.to_vec(),
        };
        Some(Statement {
            logical_id: logical_id.to_owned(),
            effect,
            principals: either("Principal", principals),
            actions: either("Action", &[]),
            resources: either("Resource", resources),
            condition: map.get("Condition").cloned(),
        })
    }

    /// Whether both say the same, wherever they stand.
    pub fn says_the_same(&self, other: &Statement) -> bool {
        self.effect == other.effect
            && self.principals == other.principals
            && self.actions == other.actions
            && self.resources == other.resources
            && self.condition == other.condition
    }

    /// Whether everything that `other` says is said by this statement too.
    pub fn covers(&self, other: &Statement) -> bool {
        self.effect == other.effect
            && (self.condition.is_none() || self.condition == other.condition)
            && cover(&self.principals, &other.principals)
            && cover(&self.actions, &other.actions)
            && cover(&self.resources, &other.resources)
    }
}

/// The words of a value that is one or a list, or of a principal's map, sorted.
pub(super) fn words(value: &Value, prefix: &str) -> Vec<String> {
    let mut words = Vec::new();
    collect(value, prefix, &mut words);
    words.sort();
    words.dedup();
    words
}

fn collect(value: &Value, prefix: &str, words: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, prefix, words)),
        Value::Object(map) if crate::intrinsic::Function::of(value).is_none() => {
            for (kind, value) in map {
                collect(value, &format!("{prefix}{kind}:"), words);
            }
        }
        other => words.push(format!("{prefix}{}", describe_value(other))),
    }
}

fn cover(wide: &[String], narrow: &[String]) -> bool {
    narrow.iter().all(|word| wide.iter().any(|pattern| matches(pattern, word)))
}

fn matches(pattern: &str, word: &str) -> bool {
    let negated = |text: &str| text.starts_with("not ");
    if pattern == word {
        return true;
    }
    // The reach of negated words is the reverse; only the same word is sure.
    if negated(pattern) || negated(word) {
        return false;
    }
    // `*` among principals stands for everybody, of every kind.
    pattern == "*" || pattern.strip_suffix('*').is_some_and(|start| word.starts_with(start))
}
