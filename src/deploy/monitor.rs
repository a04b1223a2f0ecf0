//! Follows a stack until nothing runs any more.

use std::time::{Duration, SystemTime};

use crate::event::{EventSink, Failure};
use crate::state::StackStatus;
use crate::{Clients, Result};

/// How long to wait between two looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Between two looks at a stack that changes.
    pub stack: Duration,
    /// Between two looks at a change set that is being computed.
    pub change_set: Duration,
}

impl Pace {
    /// No waiting, for tests.
    pub const INSTANT: Pace = Pace { stack: Duration::ZERO, change_set: Duration::ZERO };
}

impl Default for Pace {
    fn default() -> Self {
        Pace { stack: Duration::from_secs(5), change_set: Duration::from_secs(1) }
    }
}

/// Which events belong to what is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Since {
    /// Those that carry this request token.
    Token(String),
    /// Those from this moment on.
    Time(SystemTime),
    /// Those of the operation that runs now, whenever it began.
    RunningOperation,
}

/// What following a stack led to.
#[derive(Debug, Clone, PartialEq)]
pub struct Watched {
    /// Where the stack stands; `None` if it is gone.
    pub status: Option<StackStatus>,
    /// The first real failure of the operation, if there was one.
    pub failure: Option<Failure>,
    /// Every real failure of the operation, the first one first.
    pub failures: Vec<Failure>,
}

/// Follows a stack (by ARN or name) to the end of what runs. `total` is how many
/// resources it touches, if known.
pub async fn watch(
    clients: &Clients,
    stack: &str,
    since: Since,
    total: Option<usize>,
    sink: &dyn EventSink,
) -> Result<Watched> {
    todo!()
}
