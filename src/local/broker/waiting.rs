//! Messages that wait for a client, in the state: what a restart must not lose.
//!
//! A message of QoS 1 for a session that outlives its connection is stored when it is
//! queued and removed when the client has acknowledged it, whether the client is
//! connected or not: a process that is killed has told nobody what it had sent. So a
//! client may get a message twice after a restart, and none is lost. Each record is
//! one message for one session, under the client's id and a number that grows.
//!
//! A message is stored before its publisher is answered. Packet ids are not stored:
//! what is sent again after a restart gets a new one. A cloud without a folder for its
//! state stores nothing and does nothing here.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

use iotstack_local_kernel::{Commit, Store, StoreError, Timestamp};
use iotstack_mqtt::wire::Text;
use serde::{Deserialize, Serialize};

use crate::message::{Delivery, Routed};
use crate::record::{Body, qos};

/// The place of a message among those of its session, in the state.
pub(crate) type Place = NonZeroU64;

/// A message for one session.
#[derive(Serialize, Deserialize)]
struct Record {
    topic: String,
    #[serde(flatten)]
    body: Body,
    /// As it is delivered; it was published at `published`.
    qos: u8,
    published: u8,
    retain: bool,
    expires: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ids: Option<Vec<NonZeroU32>>,
}

/// Stores a message that is queued for a client.
pub(crate) fn keep(store: &Store, client_id: &str, place: Place, delivery: &Delivery) -> Commit {
    let message = &delivery.message;
    let record = Record {
        topic: message.topic.to_string(),
        body: Body::of(&message.payload, message.properties.as_deref()),
        qos: delivery.qos as u8,
        published: message.qos as u8,
        retain: delivery.retain,
        expires: message.expires,
        ids: delivery.subscription_ids.as_deref().map(<[_]>::to_vec),
    };
    let mut batch = store.batch();
    batch.put_new(TABLE, key(client_id, place), &record);
    store.commit(batch)
}

/// Removes messages that the client has, or that nobody waits for any more. Nobody
/// waits for that either: a message that comes back is only sent once more.
pub(crate) fn remove(store: &Store, client_id: &str, places: impl IntoIterator<Item = Place>) {
    let mut batch = store.batch();
    for place in places {
        batch.remove(TABLE, key(client_id, place));
    }
    drop(store.commit(batch));
}

/// What waits for each client, in the order in which it was queued.
pub(crate) fn load(store: &Store) -> Result<BTreeMap<String, Vec<Delivery>>, StoreError> {
    let mut waiting: BTreeMap<String, Vec<Delivery>> = BTreeMap::new();
    for (key, record) in store.load::<Record>(TABLE)? {
        let place = key.rsplit_once(SEPARATOR).and_then(|(client_id, place)| {
            Some((client_id, Place::new(u64::from_str_radix(place, 16).ok()?)?))
        });
        let Some((client_id, place)) = place else { continue };
        if let Some(delivery) = record.delivery(place) {
            waiting.entry(client_id.to_owned()).or_default().push(delivery);
        }
    }
    Ok(waiting)
}

impl Record {
    fn delivery(self, place: Place) -> Option<Delivery> {
        let (payload, properties) = self.body.open()?;
        let message = Arc::new(Routed {
            topic: Text::from(self.topic.as_str()),
            payload,
            qos: qos(self.published),
            retain: self.retain,
            properties,
            expires: self.expires,
            publisher: None,
        });
        let mut delivery = Delivery::new(message, qos(self.qos), self.retain);
        delivery.subscription_ids = self.ids.map(Into::into);
        delivery.stored = Some(place);
        Some(delivery)
    }
}

/// The messages of a client stand together, in the order of their numbers.
fn key(client_id: &str, place: Place) -> String {
    format!("{client_id}{SEPARATOR}{place:016x}")
}

/// No client id contains it.
const SEPARATOR: char = '\0';

const TABLE: &str = "broker-waiting";
