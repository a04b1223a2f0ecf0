//! What happened lately: for the timeline of a device, and live for every page.
//!
//! The newest events are kept, whoever they are about; a large fleet has a short
//! memory here. Documents of shadows are not kept, as a page asks for them anew.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use iotstack_local_kernel::{Cloud, CloudEvent, Timestamp};
use serde_json::{Value, json};
use tokio::sync::broadcast;

/// What happened lately.
pub struct History {
    events: Mutex<VecDeque<(Timestamp, CloudEvent)>>,
    /// Who was connected and is not any more, since when and why. The broker forgets
    /// clients that leave no session behind.
    gone: Mutex<BTreeMap<Arc<str>, (Timestamp, &'static str)>>,
    live: broadcast::Sender<Arc<str>>,
}

impl History {
    /// Hears everything that happens in the cloud from now on.
    pub fn of(cloud: &Arc<Cloud>) -> Arc<Self> {
        let history = Arc::new(History::new(LIVE));
        let (heard, clock) = (Arc::downgrade(&history), cloud.clock.clone());
        cloud.bus.hear(move |event| {
            if let Some(history) = heard.upgrade() {
                history.keep(clock.now(), event);
            }
        });
        history
    }

    fn new(behind: usize) -> Self {
        let live = broadcast::channel(behind).0;
        History { events: Mutex::default(), gone: Mutex::default(), live }
    }

    /// Hears events as JSON texts from now on.
    pub fn listen(&self) -> broadcast::Receiver<Arc<str>> {
        self.live.subscribe()
    }

    /// The newest events about a thing, newest first.
    pub fn about(&self, thing: &str) -> Vec<Value> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = events.iter().rev().filter(|(_, event)| subject(event) == Some(thing));
        mine.take(TIMELINE).filter_map(|(at, event)| as_json(*at, event)).collect()
    }

    /// Since when and why a thing is not connected any more, if it once was.
    pub fn gone(&self, thing: &str) -> Option<(Timestamp, &'static str)> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner).get(thing).copied()
    }

    /// How many things each job has told since a moment, which is not long ago.
    pub fn told_since(&self, from: Timestamp) -> BTreeMap<Arc<str>, usize> {
        let mut told: Vec<(Arc<str>, Arc<str>)> = {
            let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
            let lately = events.iter().rev().take_while(|(at, _)| *at >= from);
            let queued = |event: &CloudEvent| match event {
                CloudEvent::ExecutionChanged { job_id, thing, status: "QUEUED", .. } => {
                    Some((job_id.clone(), thing.clone()))
                }
                _ => None,
            };
            lately.filter_map(|(_, event)| queued(event)).collect()
        };
        // Counted without the lock, which every event takes. A thing that is told again, as
        // it is to try again, is one thing.
        told.sort_unstable();
        told.dedup();
        let mut counts = BTreeMap::new();
        for (job, _) in told {
            *counts.entry(job).or_default() += 1;
        }
        counts
    }

    fn keep(&self, at: Timestamp, event: &CloudEvent) {
        if self.live.receiver_count() > 0
            && let Some(event) = as_json(at, event)
        {
            // Nobody listens any more: that is fine.
            let _ = self.live.send(event.to_string().into());
        }
        if subject(event).is_none() {
            return;
        }
        self.keep_connection(at, event);
        let mut event = event.clone();
        if let CloudEvent::ShadowChanged { document, .. } = &mut event {
            *document = None;
        }
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() == KEPT {
            events.pop_front();
        }
        events.push_back((at, event));
    }

    fn keep_connection(&self, at: Timestamp, event: &CloudEvent) {
        let gone = || self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            CloudEvent::ClientConnected { client_id: thing, .. }
            | CloudEvent::ThingChanged { thing, exists: false } => {
                gone().remove(thing);
            }
            CloudEvent::ClientDisconnected { client_id, reason, .. } => {
                let mut gone = gone();
                // Clients may have any number of names.
                if gone.len() < KEPT || gone.contains_key(client_id) {
                    gone.insert(client_id.clone(), (at, *reason));
                }
            }
            _ => {}
        }
    }
}

/// The thing that an event is about; devices connect under their thing's name.
fn subject(event: &CloudEvent) -> Option<&str> {
    match event {
        CloudEvent::ClientConnected { client_id: thing, .. }
        | CloudEvent::ClientDisconnected { client_id: thing, .. }
        | CloudEvent::ThingChanged { thing, .. }
        | CloudEvent::MembershipChanged { thing, .. }
        | CloudEvent::ShadowChanged { thing, .. }
        | CloudEvent::ExecutionChanged { thing, .. } => Some(thing),
        _ => None,
    }
}

fn as_json(at: Timestamp, event: &CloudEvent) -> Option<Value> {
    let mut value = match event {
        CloudEvent::ClientConnected { client_id, .. } => {
            json!({ "kind": "connected", "thing": &**client_id })
        }
        CloudEvent::ClientDisconnected { client_id, reason, .. } => {
            json!({ "kind": "disconnected", "thing": &**client_id, "detail": reason })
        }
        CloudEvent::ThingChanged { thing, exists } => {
            json!({ "kind": "registry", "thing": &**thing, "detail": if *exists { "registered" } else { "deleted" } })
        }
        CloudEvent::MembershipChanged { thing, group, member } => {
            let what = if *member { "joined" } else { "left" };
            json!({ "kind": "registry", "thing": &**thing, "detail": format!("{what} {group}") })
        }
        CloudEvent::ShadowChanged { thing, name, .. } => {
            let name = name.as_deref().unwrap_or("shadow");
            json!({ "kind": "shadow", "thing": &**thing, "detail": name })
        }
        CloudEvent::ExecutionChanged { job_id, thing, status, .. } => {
            json!({ "kind": "execution", "thing": &**thing, "job": &**job_id, "detail": status })
        }
        CloudEvent::JobChanged { job_id, status, .. } => {
            json!({ "kind": "job", "job": &**job_id, "detail": status })
        }
        CloudEvent::StackChanged { stack, status } => {
            json!({ "kind": "stack", "stack": &**stack, "detail": status })
        }
        CloudEvent::LogWritten { group } => json!({ "kind": "log", "group": &**group }),
        _ => return None,
    };
    value["at"] = json!(at.millis());
    Some(value)
}

/// How many events are kept in all, about 64 bytes each.
const KEPT: usize = 200_000;
/// How many a timeline shows.
const TIMELINE: usize = 200;
/// How many a slow page may be behind.
const LIVE: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_things_that_each_job_has_told_lately() {
        let history = History::new(1);
        let happens = |at, job: &str, thing: &str, status| {
            let event = CloudEvent::ExecutionChanged {
                job_id: job.into(),
                thing: thing.into(),
                status,
                at: Timestamp(at),
            };
            history.keep(Timestamp(at), &event);
        };
        happens(10, "a", "one", "QUEUED");
        happens(20, "a", "two", "QUEUED");
        happens(20, "b", "two", "QUEUED");
        happens(30, "a", "two", "FAILED");
        happens(30, "a", "two", "QUEUED");
        happens(30, "a", "three", "QUEUED");
        let told = |from| -> Vec<String> {
            let told = history.told_since(Timestamp(from));
            told.iter().map(|(job, things)| format!("{job}: {things}")).collect()
        };
        assert_eq!(told(10), ["a: 3", "b: 1"]);
        assert_eq!(told(20), ["a: 2", "b: 1"]);
        assert!(told(31).is_empty());
    }

    #[test]
    fn knows_who_was_connected_until_it_is_again_or_deleted() {
        let history = History::new(1);
        let (at, pump): (_, Arc<str>) = (Timestamp(5), "pump".into());
        let leaves = CloudEvent::ClientDisconnected {
            client_id: pump.clone(),
            reason: "CONNECTION_LOST",
            at,
        };
        assert_eq!(history.gone("pump"), None);
        history.keep(at, &leaves);
        assert_eq!(history.gone("pump"), Some((at, "CONNECTION_LOST")));
        assert_eq!(history.gone("lamp"), None);
        history.keep(at, &CloudEvent::ClientConnected { client_id: pump.clone(), at });
        assert_eq!(history.gone("pump"), None);
        history.keep(at, &leaves);
        history.keep(at, &CloudEvent::ThingChanged { thing: pump, exists: false });
        assert_eq!(history.gone("pump"), None);
    }
}
