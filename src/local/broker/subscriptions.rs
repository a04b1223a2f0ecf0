//! Who gets a message: all subscriptions of all clients, found by topic.
//!
//! A client with several filters that match gets a message once, at the highest of
//! their QoS. Of the members of a shared subscription one gets it, in turn: one that
//! is connected if there is any, else one whose session is kept.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, RwLock};

use iotstack_local_kernel::Commit;
use iotstack_mqtt::topic::{Index, Matching, Shared};
use iotstack_mqtt::wire::QoS;

use crate::limits;
use crate::message::{Delivery, Routed};
use crate::session::{Options, Session};

/// All subscriptions.
#[derive(Default)]
pub(crate) struct Subscriptions {
    index: RwLock<Index<Key, Target>>,
    groups: Mutex<HashMap<Box<str>, Arc<Group>>>,
}

/// Why a subscription was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QuotaExceeded;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Client(u64),
    Group(Arc<str>),
}

enum Target {
    Client(Arc<Session>, Options),
    Group(Arc<Group>),
}

/// The members of `$share/<name>/<filter>`.
struct Group {
    name: Arc<str>,
    members: Mutex<Members>,
}

#[derive(Default)]
struct Members {
    list: Vec<(Arc<Session>, Options)>,
    next: usize,
}

impl Subscriptions {
    /// Subscribes a session; true if it was not subscribed to the filter before.
    pub(crate) fn add(
        &self,
        session: &Arc<Session>,
        filter: &str,
        options: Options,
    ) -> Result<bool, QuotaExceeded> {
        let Some(shared) = Shared::parse(filter) else {
            let key = Key::Client(session.number);
            let target = Target::Client(session.clone(), options);
            return Ok(write(&self.index).insert(filter, key, target).is_none());
        };
        let mut groups = lock(&self.groups);
        let group = match groups.get(filter) {
            Some(group) => group.clone(),
            None => {
                if groups.len() >= limits::SHARE_GROUPS {
                    return Err(QuotaExceeded);
                }
                let name = Arc::from(shared.group);
                let group = Arc::new(Group { name, members: Mutex::default() });
                groups.insert(filter.into(), group.clone());
                let key = Key::Group(group.name.clone());
                write(&self.index).insert(shared.filter, key, Target::Group(group.clone()));
                group
            }
        };
        let mut members = lock(&group.members);
        let known = members.list.iter_mut().find(|(each, _)| each.number == session.number);
        if let Some((_, known)) = known {
            *known = options;
            return Ok(false);
        }
        if members.list.len() >= limits::SHARE_MEMBERS {
            return Err(QuotaExceeded);
        }
        members.list.push((session.clone(), options));
        Ok(true)
    }

    /// Takes a subscription away.
    pub(crate) fn remove(&self, session: &Session, filter: &str) {
        let Some(shared) = Shared::parse(filter) else {
            write(&self.index).remove(filter, &Key::Client(session.number));
            return;
        };
        let mut groups = lock(&self.groups);
        let Some(group) = groups.get(filter).cloned() else { return };
        let mut members = lock(&group.members);
        members.list.retain(|(each, _)| each.number != session.number);
        let is_empty = members.list.is_empty();
        // Routing holds the index while it looks at members, never the reverse.
        drop(members);
        if is_empty {
            groups.remove(filter);
            write(&self.index).remove(shared.filter, &Key::Group(group.name.clone()));
        }
    }

    /// Hands a message to everybody who wants it. The commit says when it is stored
    /// for those whose sessions outlive the process.
    pub(crate) fn route(&self, message: &Arc<Routed>, matching: Matching) -> Option<Commit> {
        let index = read(&self.index);
        let mut found: Vec<&Target> = Vec::new();
        index.visit(&message.topic, matching, &mut |_, target| found.push(target));
        let mut stored = None;
        if found.len() > 1 {
            let ids = subscription_ids(&found);
            merge(&mut found);
            for target in found {
                hand_to(target, message, ids.as_ref(), &mut stored);
            }
        } else if let Some(target) = found.first() {
            hand_to(target, message, None, &mut stored);
        }
        stored
    }
}

/// Leaves one target per client, the one with the highest QoS; a client that wants
/// its own messages by one of its filters gets them.
fn merge(found: &mut Vec<&Target>) {
    let rank = |target: &Target| match target {
        Target::Client(session, options) => (session.number, options.no_local, options.qos),
        Target::Group(_) => (u64::MAX, false, QoS::AtMostOnce),
    };
    found.sort_by_key(|target| {
        let (number, no_local, qos) = rank(target);
        (number, no_local, std::cmp::Reverse(qos))
    });
    found.dedup_by(|later, earlier| match (later, earlier) {
        (Target::Client(later, _), Target::Client(earlier, _)) => later.number == earlier.number,
        _ => false,
    });
}

fn hand_to(target: &Target, message: &Arc<Routed>, ids: Option<&Ids>, stored: &mut Option<Commit>) {
    match target {
        Target::Client(session, options) => {
            let is_own = options.no_local
                && message
                    .publisher
                    .as_ref()
                    .is_some_and(|publisher| publisher.client_id == session.client_id);
            let mut delivery = delivery(message, *options);
            if let Some(ids) = ids.and_then(|ids| ids.get(&session.number)) {
                delivery.subscription_ids = Some(ids.as_slice().into());
            }
            if !is_own {
                session.deliver(delivery, stored);
            }
        }
        Target::Group(group) => group.hand_to_one(message, stored),
    }
}

impl Group {
    fn hand_to_one(&self, message: &Arc<Routed>, stored: &mut Option<Commit>) {
        let mut members = lock(&self.members);
        let count = members.list.len();
        // First those who are there, then those who will come back.
        for only_connected in [true, false] {
            for step in 0..count {
                let place = (members.next + step) % count;
                let (session, options) = &members.list[place];
                if only_connected && session.lock().link.is_none() {
                    continue;
                }
                if session.deliver(delivery(message, *options), stored) {
                    members.next = place + 1;
                    return;
                }
            }
        }
    }
}

fn delivery(message: &Arc<Routed>, options: Options) -> Delivery {
    let retain = message.retain && options.retain_as_published;
    let mut delivery = Delivery::new(message.clone(), message.qos.min(options.qos), retain);
    delivery.subscription_ids = options.id.map(|id| [id].into());
    delivery
}

/// The identifiers of all subscriptions that match, by session, if there are any.
fn subscription_ids(found: &[&Target]) -> Option<Ids> {
    let mut ids = Ids::new();
    for target in found {
        if let Target::Client(session, Options { id: Some(id), .. }) = target {
            ids.entry(session.number).or_default().push(*id);
        }
    }
    (!ids.is_empty()).then_some(ids)
}

type Ids = BTreeMap<u64, Vec<NonZeroU32>>;

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(|poisoned| poisoned.into_inner())
}
