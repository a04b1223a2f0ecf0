//! Removed and added resources that look like one that was renamed.
//!
//! A logical id comes from the construct's path, so renaming a construct deletes the
//! resource and makes a new one. That is rarely meant, and worth a word before it
//! happens. This only guesses; it never changes what is deployed.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::{ResourceChange, values};

/// A removed and an added resource that are probably meant to be one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PossibleRename {
    /// The type of both.
    pub resource_type: String,
    /// The logical id that is removed.
    pub old: String,
    /// The logical id that is added.
    pub new: String,
}

impl fmt::Display for PossibleRename {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} `{}` looks like `{}` under another id: renaming a construct, or moving it to \
             another parent, deletes the resource and makes a new one; keep the id to keep it",
            self.resource_type, self.new, self.old
        )
    }
}

/// Finds the pairs, each resource in one at most.
pub(super) fn among(changes: &[ResourceChange]) -> Vec<PossibleRename> {
    let mut candidates: Vec<(usize, &ResourceChange, &ResourceChange)> = Vec::new();
    let removed = changes.iter().filter(|change| change.new.is_none());
    for old in removed {
        for new in changes.iter().filter(|change| change.old.is_none()) {
            if old.old_type == new.new_type
                && let Some(score) = likeness(old, new)
            {
                candidates.push((score, old, new));
            }
        }
    }
    // The sort is stable: among equals the template's order decides.
    candidates.sort_by_key(|(score, ..)| std::cmp::Reverse(*score));
    let mut renames: Vec<PossibleRename> = Vec::new();
    for (_, old, new) in candidates {
        let taken =
            renames.iter().any(|known| known.old == old.logical_id || known.new == new.logical_id);
        if !taken {
            renames.push(PossibleRename {
                resource_type: old.kind().to_owned(),
                old: old.logical_id.clone(),
                new: new.logical_id.clone(),
            });
        }
    }
    renames
}

/// How much two resources are alike in percent; `None` if too little.
fn likeness(old: &ResourceChange, new: &ResourceChange) -> Option<usize> {
    let old = &old.old.as_ref()?.properties;
    let new = &new.new.as_ref()?.properties;
    let names = old.keys().chain(new.keys().filter(|key| !old.contains_key(*key))).count();
    if names == 0 {
        return Some(100);
    }
    let alike = |(key, value): &(&String, &Value)| {
        new.get(*key).is_some_and(|other| values::same(value, other))
    };
    let same = old.iter().filter(alike).count();
    let percent = same * 100 / names;
    (percent >= 50).then_some(percent)
}
