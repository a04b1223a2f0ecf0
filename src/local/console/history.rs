//! What happened lately: for the timeline of a device, and live for every page.
//!
//! The newest events are kept, whoever they are about; a large fleet has a short
//! memory here. Documents of shadows are not kept, as a page asks for them anew.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use iotstack_local_kernel::{Cloud, CloudEvent, Timestamp};
use serde_json::{Value, json};
use tokio::sync::broadcast;

/// What happened lately.
pub struct History {
    events: Mutex<VecDeque<(Timestamp, CloudEvent)>>,
    live: broadcast::Sender<Arc<str>>,
}

impl History {
    /// Hears everything that happens in the cloud from now on.
    pub fn of(cloud: &Arc<Cloud>) -> Arc<Self> {
        let history =
            Arc::new(History { events: Mutex::default(), live: broadcast::channel(LIVE).0 });
        let (heard, clock) = (Arc::downgrade(&history), cloud.clock.clone());
        cloud.bus.hear(move |event| {
            if let Some(history) = heard.upgrade() {
                history.keep(clock.now(), event);
            }
        });
        history
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
