//! How much one message may cost a rule.
//!
//! A short statement can name a large value thousands of times, and queries within
//! queries multiply their rows. So everything that is copied into a result is counted,
//! and everything that is looked at: both are bounded, and a rule that needs more ends
//! for this message instead of holding up all others.

use std::cell::Cell;

use super::context::Interrupt;
use super::value::Value;

/// What one message has cost until now.
#[derive(Debug, Default)]
pub struct Budget {
    steps: Cell<usize>,
    copied: Cell<usize>,
}

impl Budget {
    /// Counts work: one step for a value, or for 64 bytes of a text.
    pub fn work(&self, steps: usize) -> Result<(), Interrupt> {
        let spent = self.steps.get().saturating_add(steps);
        self.steps.set(spent);
        if spent > MOST_STEPS {
            return Err(Interrupt::Failed(format!(
                "the statement takes more than {MOST_STEPS} steps for this message"
            )));
        }
        Ok(())
    }

    /// Counts memory that the result will hold.
    pub fn hold(&self, bytes: usize) -> Result<(), Interrupt> {
        let held = self.copied.get().saturating_add(bytes);
        self.copied.set(held);
        if held > MOST_COPIED {
            return Err(Interrupt::Failed(format!("the result outgrew {MOST_COPIED} bytes")));
        }
        Ok(())
    }

    /// Counts a value that is about to be copied.
    pub fn copy(&self, value: &Value) -> Result<(), Interrupt> {
        self.hold(weight(value))
    }
}

/// The steps that it takes to look at all of a value.
pub fn steps(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(steps).sum::<usize>(),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| 1 + name.len() / 64 + steps(value);
            1 + members.iter().map(member).sum::<usize>()
        }
        scalar => 1 + text_steps(scalar),
    }
}

/// The steps that it takes to read a value if it is a text; anything else is at hand.
pub fn text_steps(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() / 64,
        _ => 0,
    }
}

/// The bytes that a member's name takes beside its value.
pub fn name_weight(name: &str) -> usize {
    64 + name.len()
}

/// Roughly the bytes of memory that a value takes.
pub fn weight(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(weight).sum(),
            Value::Object(members) => {
                members.iter().map(|(name, value)| name_weight(name) + weight(value)).sum()
            }
            _ => 0,
        }
}

/// Some tenths of a second. A thousand rows can be looked up among a thousand others.
const MOST_STEPS: usize = 4 * 1024 * 1024;
const MOST_COPIED: usize = 32 * 1024 * 1024;
