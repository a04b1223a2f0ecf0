//! Device shadows: what a device is and what it shall be, kept while it is away.
//!
//! [`document`] holds the rules, [`request`] reads what clients send, this file
//! keeps all shadows and tells the changes, [`topics`] answers on MQTT. A deleted
//! shadow is remembered for 48 hours, so that its version goes on if it comes back.
//!
//! A shadow needs no thing in the registry, and outlives it. Answers and the
//! messages about a change go out when the change is stored, whichever way the
//! request came; only errors go to the one who asked alone.

pub mod document;
pub mod request;
pub mod topics;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use iotstack_local_kernel::ports::Shadows as ShadowPort;
use iotstack_local_kernel::{Cloud, CloudEvent, Commit, Message, StoreError, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::Error;
use document::{Document, with_token};
use request::Update;

/// All shadows of the cloud.
pub struct Shadows {
    cloud: Weak<Cloud>,
    kept: Mutex<All>,
}

/// The shadows of each thing by their names.
type All = BTreeMap<Arc<str>, BTreeMap<Arc<str>, Kept>>;

/// A shadow, or the memory of one.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Kept {
    Alive(Arc<Document>),
    Deleted { version: u64, at: i64 },
}

/// Which shadow: the classic one has the empty name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The thing.
    pub thing: Arc<str>,
    /// The shadow.
    pub name: Arc<str>,
}

/// A change that waits to be stored, and the answer to whoever asked for it.
#[must_use = "the change is told and answered only by `finish`"]
pub struct Change {
    /// The document of `…/accepted`, which is also the answer over HTTP.
    pub answer: Value,
    commit: Commit,
    tell: Box<dyn FnOnce() + Send>,
}

impl Change {
    /// Waits until the change is stored, tells it, and gives the answer.
    ///
    /// # Errors
    /// [`StoreError::Write`].
    pub async fn finish(self) -> Result<Value, StoreError> {
        self.commit.stored().await?;
        (self.tell)();
        Ok(self.answer)
    }

    /// As [`Change::finish`], for those who cannot wait. `kept` is dropped at the end,
    /// also if the change could not be stored.
    pub fn finish_later(self, kept: impl Send + 'static) {
        let Change { commit, tell, .. } = self;
        commit.then(move || {
            tell();
            drop(kept);
        });
    }
}

impl Shadows {
    /// The shadows that the cloud has stored.
    ///
    /// # Errors
    /// [`StoreError::Read`].
    pub fn restore(cloud: &Arc<Cloud>) -> Result<Arc<Shadows>, StoreError> {
        let mut kept = All::new();
        for (key, shadow) in cloud.store.load::<Kept>(TABLE)? {
            let (thing, name) = key.split_once('/').unwrap_or((&key, ""));
            kept.entry(thing.into()).or_default().insert(name.into(), shadow);
        }
        Ok(Arc::new(Shadows { cloud: Arc::downgrade(cloud), kept: Mutex::new(kept) }))
    }

    /// The answer to a get.
    pub fn get(
        &self,
        address: &Address,
        now: Timestamp,
        token: Option<&str>,
    ) -> Result<Value, Error> {
        match self.document(address) {
            Some(document) => Ok(document.get_accepted(now.seconds(), token)),
            None => Err(Error::NoShadow(address.title())),
        }
    }

    /// Applies an update; the first one makes the shadow.
    pub fn update(
        &self,
        address: &Address,
        update: &Update,
        now: Timestamp,
    ) -> Result<Change, Error> {
        let cloud = self.cloud()?;
        let mut all = self.lock();
        let before = match all.get(&address.thing).and_then(|shadows| shadows.get(&address.name)) {
            Some(Kept::Alive(document)) => document.clone(),
            Some(Kept::Deleted { version, at }) if remembered(*at, now) => {
                Arc::new(Document::after(*version))
            }
            _ => Arc::default(),
        };
        let after = Arc::new(before.apply(update, now.seconds())?);
        let commit = address.keep(&cloud, &mut all, Kept::Alive(after.clone()));
        drop(all);
        let answer = after.update_accepted(update);
        let (address, token, accepted) = (address.clone(), update.token.clone(), answer.clone());
        let tell = move || {
            address.publish(&cloud, "update/accepted", &accepted);
            let documents = after.documents(&before, token.as_deref());
            address.publish(&cloud, "update/documents", &documents);
            if let Some(delta) = after.delta_message(token.as_deref()) {
                address.publish(&cloud, "update/delta", &delta);
            }
            address.tell(&cloud, Some(Arc::new(after.whole())));
        };
        Ok(Change { answer, commit, tell: Box::new(tell) })
    }

    /// Deletes a shadow.
    pub fn delete(
        &self,
        address: &Address,
        now: Timestamp,
        token: Option<&str>,
    ) -> Result<Change, Error> {
        let cloud = self.cloud()?;
        let mut all = self.lock();
        let found = all.get(&address.thing).and_then(|shadows| shadows.get(&address.name));
        let Some(Kept::Alive(document)) = found else {
            return Err(Error::NoShadow(address.title()));
        };
        let version = document.version;
        let tombstone = Kept::Deleted { version, at: now.seconds() };
        let commit = address.keep(&cloud, &mut all, tombstone);
        drop(all);
        let answer = with_token(json!({"version": version, "timestamp": now.seconds()}), token);
        let (address, accepted) = (address.clone(), answer.clone());
        let tell = move || {
            address.publish(&cloud, "delete/accepted", &accepted);
            address.tell(&cloud, None);
        };
        Ok(Change { answer, commit, tell: Box::new(tell) })
    }

    /// The names of the named shadows of a thing, in order.
    pub fn names(&self, thing: &str) -> Vec<Arc<str>> {
        let all = self.lock();
        let shadows = all.get(thing).into_iter().flatten();
        shadows
            .filter(|(name, kept)| !name.is_empty() && matches!(kept, Kept::Alive(_)))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Whether the thing has, or had, any shadow.
    pub fn knows(&self, thing: &str) -> bool {
        self.lock().contains_key(thing)
    }

    /// Forgets the shadows that were deleted more than 48 hours ago.
    pub fn forget_old(&self, now: Timestamp) {
        let Ok(cloud) = self.cloud() else { return };
        let mut batch = cloud.store.batch();
        let mut all = self.lock();
        all.retain(|thing, shadows| {
            shadows.retain(|name, kept| match kept {
                Kept::Deleted { at, .. } if !remembered(*at, now) => {
                    batch.remove(TABLE, format!("{thing}/{name}"));
                    false
                }
                _ => true,
            });
            !shadows.is_empty()
        });
        // Nobody waits for it: what is not removed is forgotten at the next start.
        drop(cloud.store.commit(batch));
    }

    fn document(&self, address: &Address) -> Option<Arc<Document>> {
        match self.lock().get(&address.thing)?.get(&address.name)? {
            Kept::Alive(document) => Some(document.clone()),
            Kept::Deleted { .. } => None,
        }
    }

    fn cloud(&self) -> Result<Arc<Cloud>, Error> {
        self.cloud.upgrade().ok_or(Error::Internal)
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl ShadowPort for Shadows {
    fn shadow(&self, thing: &str, name: Option<&str>) -> Option<Arc<Value>> {
        let address = Address { thing: thing.into(), name: name.unwrap_or("").into() };
        self.document(&address).map(|document| Arc::new(document.whole()))
    }
}

impl Address {
    /// An address, if both names are valid.
    pub fn new(thing: &str, name: Option<&str>) -> Result<Address, Error> {
        check("thing name", thing, 128, |c| c.is_ascii_alphanumeric() || ":_-".contains(c))?;
        if let Some(name) = name {
            check("shadow name", name, 64, |c| c.is_ascii_alphanumeric() || "$:_-".contains(c))?;
        }
        Ok(Address { thing: thing.into(), name: name.unwrap_or("").into() })
    }

    /// What policies call the shadow, without the beginning of the ARN.
    pub fn resource(&self) -> String {
        match &*self.name {
            "" => format!("thing/{}", self.thing),
            name => format!("thing/{}/{name}", self.thing),
        }
    }

    /// The topic of an operation or an answer.
    pub fn topic(&self, tail: &str) -> String {
        match &*self.name {
            "" => format!("$aws/things/{}/shadow/{tail}", self.thing),
            name => format!("$aws/things/{}/shadow/name/{name}/{tail}", self.thing),
        }
    }

    fn title(&self) -> String {
        match &*self.name {
            "" => self.thing.to_string(),
            name => format!("{}~{name}", self.thing),
        }
    }

    fn publish(&self, cloud: &Cloud, tail: &str, document: &Value) {
        match cloud.ports.messages() {
            Ok(messages) => messages.publish(Message::new(
                self.topic(tail),
                document.to_string(),
                cloud.clock.now(),
            )),
            Err(fault) => tracing::debug!(%fault, "nobody hears of a shadow"),
        }
    }

    fn tell(&self, cloud: &Cloud, document: Option<Arc<Value>>) {
        cloud.bus.tell(&CloudEvent::ShadowChanged {
            thing: self.thing.clone(),
            name: (!self.name.is_empty()).then(|| self.name.clone()),
            document,
        });
    }

    /// Keeps the shadow, and hands it to the store while all shadows are locked, so
    /// that the last of two changes is also the last that is stored.
    fn keep(&self, cloud: &Cloud, all: &mut All, kept: Kept) -> Commit {
        let mut batch = cloud.store.batch();
        batch.put(TABLE, format!("{}/{}", self.thing, self.name), &kept);
        all.entry(self.thing.clone()).or_default().insert(self.name.clone(), kept);
        cloud.store.commit(batch)
    }
}

fn check(what: &str, name: &str, most: usize, good: impl Fn(char) -> bool) -> Result<(), Error> {
    if (1..=most).contains(&name.len()) && name.chars().all(good) {
        return Ok(());
    }
    Err(Error::Name(format!(
        "Invalid {what} '{name}': expected 1 to {most} letters, digits, colons, underscores and hyphens"
    )))
}

fn remembered(deleted_at: i64, now: Timestamp) -> bool {
    now.seconds() - deleted_at < MEMORY
}

const TABLE: &str = "shadows";
/// For how many seconds the version of a deleted shadow is remembered.
const MEMORY: i64 = 48 * 60 * 60;

#[cfg(test)]
mod properties;
