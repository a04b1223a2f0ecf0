//! Follows a stack until nothing runs any more.
//!
//! The SDK's own waiters look every thirty seconds and say nothing in between, so this
//! is a loop of its own: read the state, read the new events, tell them, wait. The state
//! is read before the events, so that no event of a finished operation is missed. A look
//! that fails for reasons of the network is repeated; whatever runs at CloudFormation
//! does not depend on being watched.

mod history;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::event::{Event, EventSink, Failure, Progress, StackEvent};
use crate::state::StackStatus;
use crate::{Clients, Error, Result, stack};

pub(crate) use history::last_failures;

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
    /// Those of the operation that runs now, whenever it began.
    RunningOperation,
}

/// What following a stack led to.
#[derive(Debug, Clone, PartialEq)]
pub struct Watched {
    /// Where the stack stands; `None` if it is gone.
    pub status: Option<StackStatus>,
    /// The first real failure of the operation, if there was one. A failed nested stack
    /// is followed to the resource inside.
    pub failure: Option<Failure>,
    /// Every real failure of the operation, in order of time.
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
    let mut told = Told::default();
    let mut looks_before_first_event = 0;
    let mut unreachable = 0;
    let status = loop {
        let look = look(clients, stack, &since, &told).await;
        let (status, events) = match look {
            Ok(look) => look,
            Err(error) if may_pass(&error) && unreachable < PATIENCE => {
                unreachable += 1;
                tokio::time::sleep(clients.pace.stack).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        unreachable = 0;
        for event in events {
            let progress = told.add(&event, total);
            sink.hear(Event::Resource { event, progress });
        }
        let running = status.as_ref().is_some_and(StackStatus::is_in_progress);
        // Right after a request CloudFormation may still show the state before it. Until
        // the request's first event is there, the state alone proves nothing.
        let begun = !matches!(since, Since::Token(_))
            || !told.events.is_empty()
            || status.is_none()
            || looks_before_first_event >= LOOKS_WITHOUT_EVENTS;
        if !running && begun {
            break status.filter(|status| *status != StackStatus::DeleteComplete);
        }
        looks_before_first_event += 1;
        tokio::time::sleep(clients.pace.stack).await;
    };
    let failed = status.as_ref().is_some_and(|status| !status.is_success());
    let failures = match failed {
        true => history::failures(clients, &told.events).await,
        false => Vec::new(),
    };
    Ok(Watched { status, failure: failures.first().cloned(), failures })
}

/// One look: the state, and the events that were not told yet, the oldest first.
async fn look(
    clients: &Clients,
    name: &str,
    since: &Since,
    told: &Told,
) -> Result<(Option<StackStatus>, Vec<StackEvent>)> {
    let status = stack::describe(clients, name).await?.map(|stack| stack.status);
    if status.is_none() {
        return Ok((None, Vec::new()));
    }
    let events = history::events(clients, name, since, &told.ids).await?;
    Ok((status, events))
}

/// What was told so far.
#[derive(Debug, Default)]
struct Told {
    ids: BTreeSet<String>,
    events: Vec<StackEvent>,
    /// Whether each resource came to its end, by stack and logical id.
    ended: BTreeMap<(String, String), bool>,
}

impl Told {
    fn add(&mut self, event: &StackEvent, total: Option<usize>) -> Progress {
        self.ids.insert(event.id.clone());
        self.events.push(event.clone());
        if !event.is_stack {
            let ended = !event.status.ends_with("_IN_PROGRESS");
            self.ended.insert((event.stack.clone(), event.logical_id.clone()), ended);
        }
        let done = self.ended.values().filter(|ended| **ended).count();
        // A rollback and a clean-up come back to resources that were counted already.
        Progress { done: total.map_or(done, |total| done.min(total)), total }
    }
}

fn may_pass(error: &Error) -> bool {
    matches!(error, Error::Throttled { .. } | Error::Unreachable { .. })
}

/// How many looks in a row may fail for reasons of the network.
const PATIENCE: u32 = 20;

/// How many looks may pass before the first event; a minute at the usual pace.
const LOOKS_WITHOUT_EVENTS: u32 = 12;
