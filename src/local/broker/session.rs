//! One client's session: what it subscribes to, what waits for it, what it owes an
//! acknowledgement for, and the connection that stands for it now.
//!
//! Whoever has a message for a client puts it into the session and wakes the
//! connection's task; only that task writes to the socket. A session without a
//! connection keeps messages of QoS 1 until the client comes back or the session
//! expires, in the state as well. Queues are bounded: what does not fit is dropped and
//! logged.
//!
//! The session knows no policies. Its lock is held for a few operations on queues, and
//! while what changed is handed to the store, so that changes are stored in their order;
//! never while the disk or another service is waited for.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;

use iotstack_local_kernel::{Commit, Publisher, Rights, Store, Timestamp};
use iotstack_mqtt::wire::{Packet, PacketId, QoS, ReasonCode, Version, Will};

use crate::limits;
use crate::message::Delivery;
use crate::misbehaviour::Misbehaviour;
use crate::waiting::{self, Place};

/// A client's session.
pub(crate) struct Session {
    pub(crate) client_id: Arc<str>,
    /// Tells this session from all others, earlier ones of the client included.
    pub(crate) number: u64,
    /// When somebody must look after this session next, in milliseconds.
    pub(crate) deadline: AtomicI64,
    misbehaviour: AtomicU8,
    store: Store,
    state: Mutex<State>,
}

/// What changes in a session.
pub(crate) struct State {
    pub(crate) link: Option<Box<Link>>,
    pub(crate) version: Version,
    /// Seconds for which the session outlives its connection; 0 for not at all.
    pub(crate) expires_after: u32,
    pub(crate) subscriptions: Vec<Subscribed>,
    pub(crate) offline: Option<Box<Offline>>,
    /// Messages of QoS 2 that came and were not released; standard mode only.
    pub(crate) unreleased: BTreeSet<u16>,
    queue: VecDeque<Delivery>,
    queued_bytes: usize,
    in_flight: VecDeque<InFlight>,
    last_id: u16,
    /// The place of the message that was stored last.
    last_place: u64,
}

/// The connection that stands for a session.
pub(crate) struct Link {
    pub(crate) orders: Arc<Orders>,
    pub(crate) rights: Arc<dyn Rights>,
    pub(crate) will: Option<Will>,
    pub(crate) since: Timestamp,
    /// The id of this connection in lifecycle events.
    pub(crate) identifier: Box<str>,
    pub(crate) version_number: u64,
    pub(crate) keep_alive: u16,
    pub(crate) clean_session: bool,
    pub(crate) source: SocketAddr,
    /// When a WebSocket has lived long enough.
    pub(crate) ends: Option<Timestamp>,
    /// The most unacknowledged messages that the client takes.
    pub(crate) window: u16,
    pub(crate) answers: VecDeque<Packet>,
    pub(crate) waker: Option<Waker>,
}

/// What a session remembers while nobody is connected.
pub(crate) struct Offline {
    pub(crate) since: Timestamp,
    pub(crate) reason: &'static str,
    pub(crate) publisher: Option<Arc<Publisher>>,
    pub(crate) keep_alive: u16,
    /// A will that waits for the client to come back, and until when.
    pub(crate) will: Option<(Will, Timestamp)>,
}

/// A filter that a client subscribes to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Subscribed {
    /// As the client wrote it, `$share` included.
    pub(crate) filter: Arc<str>,
    pub(crate) options: Options,
}

/// How the messages of a filter are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) qos: QoS,
    pub(crate) no_local: bool,
    pub(crate) retain_as_published: bool,
    /// What comes back with every message; standard mode only.
    pub(crate) id: Option<NonZeroU32>,
}

/// What somebody else tells a connection's task to do.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    farewell: AtomicU8,
}

impl Orders {
    /// Tells the task to say goodbye with this code and to close.
    pub(crate) fn close(&self, code: ReasonCode) {
        self.farewell.store(code.0.max(1), Ordering::Release);
    }

    /// The code to say goodbye with, once the connection is to be closed.
    pub(crate) fn farewell(&self) -> Option<ReasonCode> {
        match self.farewell.load(Ordering::Acquire) {
            0 => None,
            code => Some(ReasonCode(code)),
        }
    }
}

struct InFlight {
    id: PacketId,
    /// With the moment at which it was sent for the first time.
    delivery: Delivery,
    /// When it was sent last.
    sent: Timestamp,
    /// Whether a message of QoS 2 has arrived, and only its release is open.
    is_received: bool,
}

/// What a connection's task is to write next.
#[derive(Default)]
pub(crate) struct Outgoing {
    pub(crate) answers: Vec<Packet>,
    pub(crate) messages: Vec<(Delivery, Option<PacketId>)>,
}

impl Outgoing {
    pub(crate) fn is_empty(&self) -> bool {
        self.answers.is_empty() && self.messages.is_empty()
    }
}

impl Session {
    pub(crate) fn new(
        client_id: Arc<str>,
        number: u64,
        version: Version,
        store: Store,
    ) -> Arc<Self> {
        Arc::new(Session {
            client_id,
            number,
            deadline: AtomicI64::new(i64::MAX),
            misbehaviour: AtomicU8::new(0),
            store,
            state: Mutex::new(State {
                link: None,
                version,
                expires_after: 0,
                subscriptions: Vec::new(),
                offline: None,
                unreleased: BTreeSet::new(),
                queue: VecDeque::new(),
                queued_bytes: 0,
                in_flight: VecDeque::new(),
                last_id: 0,
                last_place: 0,
            }),
        })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn misbehaviour(&self) -> Misbehaviour {
        Misbehaviour::of_bits(self.misbehaviour.load(Ordering::Relaxed))
    }

    pub(crate) fn misbehave(&self, misbehaviour: Misbehaviour) {
        self.misbehaviour.store(misbehaviour.bits(), Ordering::Relaxed);
    }

    /// Puts a message behind those that wait. If it has to be stored, `stored` becomes
    /// the promise of that, in place of an earlier one that it includes. False if it is not
    /// taken: nobody is connected and nothing is kept, or the queue is full.
    pub(crate) fn deliver(&self, mut delivery: Delivery, stored: &mut Option<Commit>) -> bool {
        let mut state = self.lock();
        if state.link.is_none()
            && (delivery.qos == QoS::AtMostOnce || !state.is_kept() || delivery.is_direct)
        {
            return false;
        }
        let bytes = state.queued_bytes + delivery.message.weight();
        let misbehaviour = self.misbehaviour();
        let comes_twice = match delivery.qos {
            QoS::AtMostOnce => misbehaviour.repeats_qos0,
            _ => misbehaviour.redelivers,
        };
        if state.queue.len() >= limits::QUEUE_MESSAGES || bytes > limits::QUEUE_BYTES {
            drop(state);
            tracing::debug!(client_id = %self.client_id, "a message is dropped: the queue is full");
            return false;
        }
        if state.is_kept() && delivery.qos != QoS::AtMostOnce && !delivery.is_direct {
            // Under the lock, so that it is never removed before it is stored.
            *stored = state.next_place(&self.store).map(|place| {
                delivery.stored = Some(place);
                waiting::keep(&self.store, &self.client_id, place, &delivery)
            });
        }
        state.queued_bytes = bytes;
        if comes_twice {
            state.queued_bytes += delivery.message.weight();
            state.queue.push_back(delivery.clone());
        }
        // Of every two that wait, the second goes before the first.
        let is_second = misbehaviour.swaps_neighbours && state.queue.len() % 2 == 1;
        let place = state.queue.len() - usize::from(is_second);
        state.queue.insert(place, delivery);
        let waker = state.link.as_mut().and_then(|link| link.waker.take());
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// Puts an answer before the messages that wait. False if the connection that it
    /// was meant for is gone.
    pub(crate) fn answer(&self, orders: &Arc<Orders>, packet: Packet) -> bool {
        let mut state = self.lock();
        let Some(link) = state.link_of(orders) else { return false };
        link.answers.push_back(packet);
        if link.answers.len() > limits::QUEUE_ANSWERS {
            orders.close(ReasonCode::QUOTA_EXCEEDED);
        }
        let waker = link.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// Takes what may be written now, at most about `most` packets. Messages of QoS 1
    /// get their packet ids and wait for acknowledgement from here on.
    pub(crate) fn outgoing(&self, orders: &Arc<Orders>, most: usize, now: Timestamp) -> Outgoing {
        let mut state = self.lock();
        let State { link, queue, queued_bytes, in_flight, last_id, version, .. } = &mut *state;
        let mut outgoing = Outgoing::default();
        let mut gone = Vec::new();
        let Some(link) = link.as_mut().filter(|link| Arc::ptr_eq(&link.orders, orders)) else {
            return outgoing;
        };
        // Whoever has something for the task now need not wake it: it is awake.
        link.waker = None;
        outgoing.answers.extend(link.answers.drain(..));
        while outgoing.messages.len() < most {
            let Some(next) = queue.front() else { break };
            if next.qos != QoS::AtMostOnce && in_flight.len() >= usize::from(link.window) {
                forget_unacknowledged(in_flight, *version, now, &mut gone);
                if in_flight.len() >= usize::from(link.window) {
                    break;
                }
            }
            let Some(mut delivery) = queue.pop_front() else { break };
            *queued_bytes = queued_bytes.saturating_sub(delivery.message.weight());
            if delivery.message.is_expired(now) {
                gone.extend(delivery.stored);
                continue;
            }
            let id = (delivery.qos != QoS::AtMostOnce).then(|| {
                let id = delivery.again.unwrap_or_else(|| free_id(last_id, in_flight));
                delivery.tried.get_or_insert(now);
                let (delivery, is_received) = (delivery.clone(), false);
                in_flight.push_back(InFlight { id, delivery, sent: now, is_received });
                id
            });
            outgoing.messages.push((delivery, id));
        }
        give_back(queue);
        self.remove(gone);
        outgoing
    }

    /// Remembers whom to wake; false if there is something to do already.
    pub(crate) fn park(&self, orders: &Arc<Orders>, waker: &Waker) -> bool {
        let mut state = self.lock();
        let window = state.link.as_ref().map_or(0, |link| usize::from(link.window));
        let has_room = state.in_flight.len() < window;
        let may_send =
            state.queue.front().is_some_and(|next| next.qos == QoS::AtMostOnce || has_room);
        let Some(link) = state.link_of(orders) else { return false };
        if !link.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            link.waker = Some(waker.clone());
        }
        !may_send && link.answers.is_empty() && orders.farewell().is_none()
    }

    /// Puts what was sent before `before` and not acknowledged back among what waits, so
    /// that it is sent again under another packet id.
    pub(crate) fn retry(&self, before: Timestamp, now: Timestamp) {
        let mut state = self.lock();
        let State { queue, queued_bytes, in_flight, version, .. } = &mut *state;
        let mut gone = Vec::new();
        forget_unacknowledged(in_flight, *version, now, &mut gone);
        self.remove(gone);
        let late = in_flight.iter().take_while(|each| each.sent <= before).count();
        let late: Vec<_> = in_flight.drain(..late).collect();
        for each in late.into_iter().rev() {
            *queued_bytes += each.delivery.message.weight();
            queue.push_front(each.delivery);
        }
    }

    /// Notes that a message of QoS 2 has arrived.
    pub(crate) fn received(&self, id: PacketId) {
        let mut state = self.lock();
        if let Some(each) = state.in_flight.iter_mut().find(|each| each.id == id) {
            each.is_received = true;
        }
    }

    /// Ends the wait for the acknowledgement of a message.
    pub(crate) fn acknowledge(&self, id: PacketId) -> bool {
        let mut state = self.lock();
        let Some(place) = state.in_flight.iter().position(|each| each.id == id) else {
            return false;
        };
        let acknowledged = state.in_flight.remove(place);
        if state.in_flight.is_empty() {
            state.in_flight.shrink_to(1);
        }
        self.remove(acknowledged.and_then(|each| each.delivery.stored));
        true
    }

    /// Ends what the session keeps: its messages are gone, and its filters are given
    /// back for the caller to take out of the subscriptions.
    pub(crate) fn give_up(&self, state: &mut State) -> Vec<Subscribed> {
        state.expires_after = 0;
        state.queued_bytes = 0;
        let queued = std::mem::take(&mut state.queue);
        let in_flight = std::mem::take(&mut state.in_flight);
        let all = queued.into_iter().chain(in_flight.into_iter().map(|each| each.delivery));
        self.remove(all.filter_map(|each| each.stored));
        std::mem::take(&mut state.subscriptions)
    }

    /// Removes messages from the state, if any of them is there. Called under the lock.
    fn remove(&self, places: impl IntoIterator<Item = Place>) {
        let mut places = places.into_iter().peekable();
        if places.peek().is_some() {
            waiting::remove(&self.store, &self.client_id, places);
        }
    }
}

impl State {
    /// Whether the session outlives its connection.
    fn is_kept(&self) -> bool {
        self.expires_after > 0
    }

    /// Where the next message is stored; nowhere in a cloud that keeps nothing.
    fn next_place(&mut self, store: &Store) -> Option<Place> {
        store.folder()?;
        self.last_place += 1;
        Place::new(self.last_place)
    }

    /// Puts what a process before this one has stored into the queue.
    pub(crate) fn refill(&mut self, waiting: Vec<Delivery>) {
        self.last_place = waiting.last().and_then(|last| last.stored).map_or(0, Place::get);
        self.queued_bytes = waiting.iter().map(|each| each.message.weight()).sum();
        self.queue = waiting.into();
    }

    /// The connection that follows `orders`, if it still stands for the session.
    pub(crate) fn link_of(&mut self, orders: &Arc<Orders>) -> Option<&mut Link> {
        self.link.as_deref_mut().filter(|link| Arc::ptr_eq(&link.orders, orders))
    }

    /// Puts what was sent and not acknowledged before what waits: a new connection
    /// begins with it. What nobody keeps is forgotten. `keeps_ids` sends it again under
    /// the same packet ids, as the standard wants it. Gives the messages of QoS 2 that
    /// have arrived and must be released.
    pub(crate) fn rewind(&mut self, keeps_ids: bool) -> Vec<PacketId> {
        let (released, open): (VecDeque<_>, VecDeque<_>) =
            self.in_flight.drain(..).partition(|each| each.is_received);
        self.in_flight = released;
        for mut each in open.into_iter().rev() {
            each.delivery.again = keeps_ids.then_some(each.id);
            self.queue.push_front(each.delivery);
        }
        self.queue.retain(|each| each.qos != QoS::AtMostOnce && !each.is_direct);
        self.queued_bytes = self.queue.iter().map(|each| each.message.weight()).sum();
        self.queue.shrink_to_fit();
        self.in_flight.shrink_to_fit();
        self.in_flight.iter().map(|each| each.id).collect()
    }
}

/// A packet id that no unacknowledged message has. There are never more of those
/// than the window, which is far below 65,535.
fn free_id(last: &mut u16, in_flight: &VecDeque<InFlight>) -> PacketId {
    loop {
        *last = last.wrapping_add(1);
        if let Some(id) = NonZeroU16::new(*last)
            && !in_flight.iter().any(|each| each.id == id)
        {
            return id;
        }
    }
}

/// Gives up on messages that were not acknowledged for too long.
fn forget_unacknowledged(
    in_flight: &mut VecDeque<InFlight>,
    version: Version,
    now: Timestamp,
    gone: &mut Vec<Place>,
) {
    let (v311, v5) = limits::UNACKNOWLEDGED;
    let seconds = if version == Version::V311 { v311 } else { v5 };
    in_flight.retain(|each| {
        let first = each.delivery.tried.unwrap_or(each.sent);
        let stays = now.millis() - first.millis() < seconds * 1000;
        if !stays {
            gone.extend(each.delivery.stored);
        }
        stays
    });
}

fn give_back<T>(queue: &mut VecDeque<T>) {
    if queue.is_empty() && queue.capacity() > 8 {
        *queue = VecDeque::new();
    }
}
