//! The broker itself: all sessions, and how a message goes through.
//!
//! One lock guards the list of sessions, and each session has one of its own, which
//! is taken second. Connections come and go in two steps, [`Broker::attach`] and
//! [`Broker::end`]; whoever ends a connection, its own task, its successor, the
//! sweeper or the API, does so through the second, and only the first to come does
//! anything.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock, Weak};
use std::time::Duration;

use iotstack_local_kernel::{Clock, Cloud, CloudEvent, Store, StoreError, Timestamp};
use iotstack_mqtt::wire::{Ack, Packet, ReasonCode, Version};
use tokio::sync::Notify;

use crate::lifecycle::{About, reason};
use crate::misbehaviour::Misbehaviour;
use crate::rate::Turns;
use crate::retained::Retained;
use crate::session::{Link, Offline, Orders, Session, Subscribed};
use crate::settings::Settings;
use crate::subscriptions::Subscriptions;
use crate::{limits, stored};

/// The message broker of the local cloud.
pub struct Broker {
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    pub(crate) store: Store,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) retained: Retained,
    /// Wakes the sweeper to judge the rights of all connections again.
    pub(crate) rights_changed: Arc<Notify>,
    pub(crate) turns: Turns,
    cloud: Weak<Cloud>,
    sessions: Mutex<Sessions>,
    misbehaviours: RwLock<HashMap<Arc<str>, Misbehaviour>>,
    numbers: AtomicU64,
}

#[derive(Default)]
struct Sessions {
    by_client: HashMap<Arc<str>, Arc<Session>>,
    connected: usize,
    /// How often each client has connected; the count outlives the session.
    connections: HashMap<Arc<str>, u64>,
}

/// A connection that is about to stand for a session.
pub(crate) struct Arrival {
    pub(crate) link: Box<Link>,
    pub(crate) client_id: Arc<str>,
    pub(crate) version: Version,
    /// Whether an earlier session is forgotten.
    pub(crate) clean_start: bool,
    pub(crate) expires_after: u32,
}

/// What a connection found.
pub(crate) struct Attached {
    pub(crate) session: Arc<Session>,
    /// Whether it goes on with an earlier session.
    pub(crate) is_resumed: bool,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    /// AWS's word for it.
    pub(crate) reason: &'static str,
    pub(crate) by_client: bool,
    /// Whether the will is published.
    pub(crate) publishes_will: bool,
    /// Whether the session is forgotten, whatever was agreed on.
    pub(crate) forgets_session: bool,
    /// What a client of MQTT 5 is told, if anything.
    pub(crate) farewell: Option<ReasonCode>,
}

impl End {
    /// An end that the client did not announce.
    pub(crate) fn because(reason: &'static str, farewell: Option<ReasonCode>) -> Self {
        End { reason, by_client: false, publishes_will: true, forgets_session: false, farewell }
    }
}

impl Broker {
    pub(crate) fn restore(cloud: &Arc<Cloud>, settings: Settings) -> Result<Arc<Self>, StoreError> {
        let broker = Arc::new(Broker {
            settings,
            clock: cloud.clock.clone(),
            store: cloud.store.clone(),
            subscriptions: Subscriptions::default(),
            retained: Retained::load(&cloud.store)?,
            rights_changed: Arc::default(),
            turns: Turns::default(),
            cloud: Arc::downgrade(cloud),
            sessions: Mutex::default(),
            misbehaviours: RwLock::default(),
            numbers: AtomicU64::new(1),
        });
        for session in stored::load(&broker)? {
            broker.lock().by_client.insert(session.client_id.clone(), session);
        }
        Ok(broker)
    }

    /// The settings that hold.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The number of connections that stand now.
    pub fn connections(&self) -> usize {
        self.lock().connected
    }

    /// Withholds answers from a client from now on, connected or not. The default
    /// [`Misbehaviour`] serves it as it should be.
    pub fn misbehave(&self, client_id: &str, misbehaviour: Misbehaviour) {
        let mut all = self.misbehaviours.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        if misbehaviour.is_none() {
            all.remove(client_id);
        } else {
            all.insert(client_id.into(), misbehaviour);
        }
        drop(all);
        if let Some(session) = self.session(client_id) {
            session.misbehave(misbehaviour);
        }
    }

    /// Ends a connection as a server does that goes away. False if there is none.
    pub fn kick(&self, client_id: &str) -> bool {
        let end = End::because(reason::SERVER_INITIATED, Some(ReasonCode::SERVER_SHUTTING_DOWN));
        self.session(client_id).is_some_and(|session| self.end_any(&session, end))
    }

    /// Ends all connections; sessions and retained messages stay.
    pub fn shut_down(&self) {
        let all: Vec<_> = self.lock().by_client.values().cloned().collect();
        let end = End::because(reason::SERVER_INITIATED, Some(ReasonCode::SERVER_SHUTTING_DOWN));
        for session in all {
            self.end_any(&session, end);
        }
    }

    pub(crate) fn misbehaviour(&self, client_id: &str) -> Misbehaviour {
        let all = self.misbehaviours.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        all.get(client_id).copied().unwrap_or_default()
    }

    pub(crate) fn cloud(&self) -> Option<Arc<Cloud>> {
        self.cloud.upgrade()
    }

    pub(crate) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// A span of the network's time, which is the machine's, on the cloud's clock.
    pub(crate) fn network(&self, duration: Duration) -> Duration {
        let factor = self.clock.real_duration(Duration::from_secs(1)).as_secs_f64();
        if factor > 0.0 { duration.div_f64(factor) } else { duration }
    }

    /// Milliseconds after which a message that was not acknowledged is sent again, at
    /// the client's next sign of life.
    pub(crate) fn retry_after(&self) -> i64 {
        let span = self.network(Duration::from_secs(limits::RETRY));
        i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
    }

    pub(crate) fn session(&self, client_id: &str) -> Option<Arc<Session>> {
        self.lock().by_client.get(client_id).cloned()
    }

    pub(crate) fn all_sessions(&self) -> Vec<Arc<Session>> {
        self.lock().by_client.values().cloned().collect()
    }

    /// The sessions that somebody must look after.
    pub(crate) fn due(&self, now: Timestamp) -> Vec<Arc<Session>> {
        let sessions = self.lock();
        let due =
            |session: &&Arc<Session>| session.deadline.load(Ordering::Relaxed) <= now.millis();
        sessions.by_client.values().filter(due).cloned().collect()
    }

    /// Lets a connection stand for its client: for a session that was kept, or for a
    /// new one. An earlier connection of the client is ended first.
    pub(crate) fn attach(&self, mut arrival: Arrival, now: Timestamp) -> Attached {
        let mut sessions = self.lock();
        let client_id = arrival.client_id;
        let counted = count_connection(&mut sessions.connections, &client_id);
        arrival.link.version_number = counted;
        let earlier = sessions.by_client.get(&client_id).cloned();
        let mut replaced = None;
        let resumed = earlier.filter(|session| {
            let mut state = session.lock();
            let goes_on = !arrival.clean_start
                && state.expires_after > 0
                && state.version == arrival.version
                && !(state.link.is_none() && has_expired(&state.offline, state.expires_after, now));
            let link = state.link.take();
            if let Some(link) = &link {
                link.orders.close(ReasonCode::SESSION_TAKEN_OVER);
            }
            let offline = state.offline.take();
            let mut filters = Vec::new();
            if !goes_on {
                filters = session.give_up(&mut state);
            }
            drop(state);
            replaced = Some((session.clone(), link, offline, filters));
            goes_on
        });
        let is_resumed = resumed.is_some();
        let session = resumed.unwrap_or_else(|| {
            let number = self.next_number();
            Session::new(client_id.clone(), number, arrival.version, self.store.clone())
        });
        session.misbehave(self.misbehaviour(&client_id));
        let mut state = session.lock();
        let releasing = state.rewind(self.settings.standard_mqtt);
        arrival
            .link
            .answers
            .extend(releasing.into_iter().map(|id| Packet::PubRel(Ack::success(id))));
        state.expires_after = arrival.expires_after;
        let connected = About::link(&arrival.link).connected(now);
        state.link = Some(arrival.link);
        session.deadline.store(i64::MAX, Ordering::Relaxed);
        // Nobody waits for it: whatever the session promises is stored after it.
        drop(stored::write(&self.store, &session, &state));
        drop(state);
        sessions.by_client.insert(client_id.clone(), session.clone());
        let had_link = replaced.as_ref().is_some_and(|(_, link, ..)| link.is_some());
        sessions.connected += usize::from(!had_link);
        drop(sessions);

        if let Some((old, link, offline, filters)) = replaced {
            self.forget_filters(&old, &filters);
            if let Some(link) = link {
                let code = ReasonCode::SESSION_TAKEN_OVER;
                let end = End::because(reason::DUPLICATE_CLIENT_ID, Some(code));
                // A will with a delay waits for the client to come back: here it is.
                let keeps_will =
                    link.will.as_ref().is_some_and(|will| will.delay > 0) && is_resumed;
                self.close(*link, End { publishes_will: !keeps_will, ..end }, now);
            }
            if let Some(offline) = offline
                && let Some((will, _)) = offline.will
                && !is_resumed
            {
                self.publish_will(will, offline.publisher, now);
            }
        }
        self.publish_event(connected);
        self.tell(&CloudEvent::ClientConnected { client_id, at: now });
        Attached { session, is_resumed }
    }

    /// Ends the connection that follows `orders`, if it still stands for `session`.
    pub(crate) fn end(&self, session: &Arc<Session>, orders: &Arc<Orders>, end: End) -> bool {
        let now = self.clock.now();
        let mut sessions = self.lock();
        let mut state = session.lock();
        if state.link_of(orders).is_none() {
            return false;
        }
        let Some(mut link) = state.link.take() else { return false };
        // Said under the lock, so that the task never misses it before it sleeps.
        link.orders.close(end.farewell.unwrap_or(ReasonCode::UNSPECIFIED_ERROR));
        sessions.connected = sessions.connected.saturating_sub(1);
        let survives = state.expires_after > 0 && !end.forgets_session;
        let mut filters = Vec::new();
        if survives {
            state.rewind(self.settings.standard_mqtt);
            let mut offline = Box::new(Offline {
                since: now,
                reason: end.reason,
                publisher: Some(link.rights.publisher().clone()),
                keep_alive: link.keep_alive,
                will: None,
            });
            let expires = after(now, state.expires_after);
            if end.publishes_will
                && let Some(will) = link.will.take_if(|will| will.delay > 0)
            {
                let due = after(now, will.delay).min(expires);
                offline.will = Some((will, due));
            }
            let deadline = offline.will.as_ref().map_or(expires, |(_, due)| *due);
            session.deadline.store(deadline.millis(), Ordering::Relaxed);
            state.offline = Some(offline);
        } else {
            filters = session.give_up(&mut state);
            remove(&mut sessions, session);
        }
        drop(stored::write(&self.store, session, &state));
        drop(state);
        drop(sessions);
        self.forget_filters(session, &filters);
        self.close(*link, end, now);
        true
    }

    /// Ends whichever connection stands for a session.
    pub(crate) fn end_any(&self, session: &Arc<Session>, end: End) -> bool {
        let orders = session.lock().link.as_ref().map(|link| link.orders.clone());
        orders.is_some_and(|orders| self.end(session, &orders, end))
    }

    /// Forgets a session that nobody is connected to. `expired` limits it to one
    /// whose time is over. A will that still waits is published.
    pub(crate) fn forget(&self, session: &Arc<Session>, expired: Option<Timestamp>) -> bool {
        let mut sessions = self.lock();
        let mut state = session.lock();
        let goes = state.link.is_none()
            && is_listed(&sessions, session)
            && expired.is_none_or(|now| has_expired(&state.offline, state.expires_after, now));
        if !goes {
            return false;
        }
        let filters = session.give_up(&mut state);
        let offline = state.offline.take();
        remove(&mut sessions, session);
        drop(stored::write(&self.store, session, &state));
        drop(state);
        drop(sessions);
        self.forget_filters(session, &filters);
        if let Some(offline) = offline
            && let Some((will, _)) = offline.will
            && expired.is_some()
        {
            self.publish_will(will, offline.publisher, self.clock.now());
        }
        true
    }

    /// Tells everybody that a connection has ended, and its task to stop.
    fn close(&self, mut link: Link, end: End, now: Timestamp) {
        if let Some(waker) = link.waker.take() {
            waker.wake();
        }
        let publisher = link.rights.publisher().clone();
        if end.publishes_will
            && let Some(will) = link.will.take()
        {
            self.publish_will(will, Some(publisher.clone()), now);
        }
        self.publish_event(About::link(&link).disconnected(end.by_client, end.reason, now));
        let client_id = publisher.client_id.clone();
        tracing::debug!(%client_id, reason = end.reason, "a client is gone");
        self.tell(&CloudEvent::ClientDisconnected { client_id, reason: end.reason, at: now });
    }

    fn forget_filters(&self, session: &Session, filters: &[Subscribed]) {
        for each in filters {
            self.subscriptions.remove(session, &each.filter);
        }
    }

    fn tell(&self, event: &CloudEvent) {
        if let Some(cloud) = self.cloud() {
            cloud.bus.tell(event);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Lets the task end that waits for it.
        self.rights_changed.notify_one();
    }
}

/// Whether a session that nobody is connected to has outlived its time.
fn has_expired(offline: &Option<Box<Offline>>, expires_after: u32, now: Timestamp) -> bool {
    offline.as_ref().is_none_or(|offline| after(offline.since, expires_after) <= now)
}

pub(crate) fn after(moment: Timestamp, seconds: u32) -> Timestamp {
    moment.after(Duration::from_secs(seconds.into()))
}

/// Removes a session from the list, unless a later one of the client is there.
fn remove(sessions: &mut Sessions, session: &Arc<Session>) {
    if is_listed(sessions, session) {
        sessions.by_client.remove(&session.client_id);
    }
}

fn is_listed(sessions: &Sessions, session: &Session) -> bool {
    let listed = sessions.by_client.get(&session.client_id);
    listed.is_some_and(|listed| listed.number == session.number)
}

/// Counts a connection of a client, beginning with 0.
fn count_connection(connections: &mut HashMap<Arc<str>, u64>, client_id: &Arc<str>) -> u64 {
    if let Some(count) = connections.get_mut(client_id) {
        *count += 1;
        return *count;
    }
    // Clients that choose a new id each time must not fill the memory.
    if connections.len() >= limits::REMEMBERED_CLIENTS {
        connections.clear();
    }
    connections.insert(client_id.clone(), 0);
    0
}
