//! Sessions in the state: what outlives the process.
//!
//! Of a session that outlives its connection, its filters are stored, so that a
//! client that comes back after a restart finds its subscriptions. The messages that
//! wait for it are stored one by one, in [`waiting`].

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use iotstack_local_kernel::{Commit, Store, StoreError, Timestamp};
use iotstack_mqtt::wire::Version;
use serde::{Deserialize, Serialize};

use crate::broker::after;
use crate::session::{Offline, Options, Session, State, Subscribed};
use crate::{Broker, record, waiting};

/// A session in the state, under its client id.
#[derive(Serialize, Deserialize)]
struct Record {
    version: u8,
    expires_after: u32,
    /// Since when nobody is connected; absent while somebody is.
    since: Option<Timestamp>,
    keep_alive: u16,
    filters: Vec<Filter>,
}

#[derive(Serialize, Deserialize)]
struct Filter {
    filter: String,
    qos: u8,
    no_local: bool,
    retain_as_published: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<NonZeroU32>,
}

/// Makes the sessions that were stored, with their subscriptions.
pub(crate) fn load(broker: &Broker) -> Result<Vec<Arc<Session>>, StoreError> {
    let records: Vec<(String, Record)> = broker.store.load(TABLE)?;
    let mut waiting = waiting::load(&broker.store)?;
    let mut sessions = Vec::with_capacity(records.len());
    for (client_id, record) in records {
        let version = if record.version == 5 { Version::V5 } else { Version::V311 };
        let messages = waiting.remove(&client_id).unwrap_or_default();
        let number = broker.next_number();
        let session = Session::new(client_id.into(), number, version, broker.store.clone());
        let since = record.since.unwrap_or_else(|| broker.clock.now());
        let mut state = session.lock();
        state.expires_after = record.expires_after;
        state.refill(messages);
        state.offline = Some(Box::new(Offline {
            since,
            reason: crate::lifecycle::reason::CONNECTION_LOST,
            publisher: None,
            keep_alive: record.keep_alive,
            will: None,
        }));
        let deadline = after(since, record.expires_after).millis();
        session.deadline.store(deadline, Ordering::Relaxed);
        for each in record.filters {
            let options = Options {
                qos: record::qos(each.qos),
                id: each.id,
                no_local: each.no_local,
                retain_as_published: each.retain_as_published,
            };
            if broker.subscriptions.add(&session, &each.filter, options).is_ok() {
                state.subscriptions.push(Subscribed { filter: each.filter.into(), options });
            }
        }
        drop(state);
        sessions.push(session);
    }
    // Whose session ended with the process that stored them.
    for (client_id, messages) in waiting {
        let places = messages.into_iter().filter_map(|each| each.stored);
        waiting::remove(&broker.store, &client_id, places);
    }
    Ok(sessions)
}

/// Stores the filters of a session that outlives its connection. Whoever has given it up
/// has done so in the state as well, where another session may stand in its place.
pub(crate) fn save(store: &Store, session: &Session) -> Option<Commit> {
    let state = session.lock();
    (state.expires_after > 0).then(|| write(store, session, &state)).flatten()
}

/// Stores a session as it is now, or removes it if it does not outlive its connection.
/// The session is locked and so, where one begins or ends, is the list of sessions: a
/// later state must not be stored first, nor a session removed in place of its successor.
pub(crate) fn write(store: &Store, session: &Session, state: &State) -> Option<Commit> {
    store.folder()?;
    let mut batch = store.batch();
    if state.expires_after == 0 {
        batch.remove(TABLE, &*session.client_id);
    } else {
        let link = state.link.as_ref();
        let offline = state.offline.as_ref();
        let record = Record {
            version: if state.version == Version::V5 { 5 } else { 4 },
            expires_after: state.expires_after,
            since: offline.map(|offline| offline.since),
            keep_alive: link
                .map(|link| link.keep_alive)
                .or(offline.map(|offline| offline.keep_alive))
                .unwrap_or_default(),
            filters: state
                .subscriptions
                .iter()
                .map(|each| Filter {
                    filter: each.filter.to_string(),
                    qos: each.options.qos as u8,
                    no_local: each.options.no_local,
                    retain_as_published: each.options.retain_as_published,
                    id: each.options.id,
                })
                .collect(),
        };
        batch.put(TABLE, &*session.client_id, &record);
    }
    Some(store.commit(batch))
}

const TABLE: &str = "broker-sessions";
