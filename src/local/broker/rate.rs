//! How often something may happen in a second.
//!
//! Seconds are those of the cloud's clock and begin when it shows a full one, so that a
//! clock stepped by hand decides what is too much.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use iotstack_local_kernel::Timestamp;

/// Counts messages of the running second.
#[derive(Default)]
pub(crate) struct Rate {
    second: i64,
    count: u32,
}

impl Rate {
    /// Whether one more message is within `most` per second.
    pub(crate) fn admits(&mut self, most: Option<u32>, now: Timestamp) -> bool {
        let Some(most) = most else { return true };
        if self.second != now.seconds() {
            *self = Rate { second: now.seconds(), count: 0 };
        }
        self.count = self.count.saturating_add(1);
        self.count <= most
    }
}

/// What each client and each topic may do once per second.
#[derive(Default)]
pub(crate) struct Turns {
    /// Connecting, by client id.
    pub(crate) connecting: Once,
    /// Retaining a message, by topic.
    pub(crate) retaining: Once,
}

/// Names that have had their turn in the running second.
#[derive(Default)]
pub(crate) struct Once(Mutex<(i64, HashSet<Box<str>>)>);

impl Once {
    /// Whether the name has not had its turn yet; it has from now on.
    pub(crate) fn takes(&self, name: &str, now: Timestamp) -> bool {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if running.0 != now.seconds() {
            *running = (now.seconds(), HashSet::new());
        }
        running.1.insert(name.into())
    }
}
