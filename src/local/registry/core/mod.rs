//! The registry as the rest of the crate uses it: read the state, change it in
//! one step, and let others know.
//!
//! [`Registry::change`] runs a closure with the state locked. What the closure
//! changed is handed to the store before the lock is released, so that batches
//! are stored in the order of the changes; events, messages and the re-judging
//! of connections follow after it. A closure checks everything before it changes
//! anything: there is no undo.

pub mod background;
mod tx;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock, Weak};
use std::time::Duration;

use iotstack_local_kernel::{
    Account, Clock, Cloud, CloudEvent, Commit, Fault, Message, Store, StoreError, Timestamp,
};
use serde_json::Value;
use tokio::sync::Notify;

pub use tx::Tx;

use crate::authority::Live;
use crate::ca::LocalCa;
use crate::state::State;

/// The IoT control plane of an account.
pub struct Registry {
    pub account: Account,
    pub clock: Clock,
    pub store: Store,
    pub ca: Arc<LocalCa>,
    /// The connections whose rights may change.
    pub live: Live,
    /// Wakes the task that follows dynamic groups.
    pub dirty: Arc<Notify>,
    /// Wakes the task that reports fleet metrics and deletes what nobody claimed.
    pub timers: Arc<Notify>,
    /// Whether the shadows of restored things were asked for.
    pub shadows_known: AtomicBool,
    /// Provisioning roles that IoT could take.
    pub roles: Roles,
    /// How long it takes until a change of a policy holds for devices.
    pub policy_delay: Duration,
    cloud: Weak<Cloud>,
    this: Weak<Registry>,
    state: RwLock<State>,
}

/// Roles that IoT could take not long ago, so that a fleet that provisions does
/// not ask for each device.
#[derive(Default)]
pub struct Roles(Mutex<BTreeMap<String, Timestamp>>);

impl Roles {
    /// Whether the role could be taken within the last minute.
    pub fn holds(&self, role: &str, now: Timestamp) -> bool {
        let roles = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        roles.get(role).is_some_and(|at| now.since(*at) < Duration::from_secs(60) && *at <= now)
    }

    /// Takes note that the role could be taken now.
    pub fn remember(&self, role: &str, now: Timestamp) {
        let mut roles = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if roles.len() > 100 {
            roles.clear();
        }
        roles.insert(role.to_owned(), now);
    }
}

/// What happened beside the change itself.
#[derive(Default)]
pub struct Effects {
    /// For the bus.
    pub events: Vec<CloudEvent>,
    /// For the broker.
    pub messages: Vec<Message>,
    /// Whether things must be judged by the queries of dynamic groups.
    pub dirty: bool,
    /// Whether timers must be set anew.
    pub timers: bool,
    /// Whether rights of every connection must be judged again.
    pub rights: bool,
    /// When they must be judged once more.
    pub rights_at: Option<Timestamp>,
    /// Principals whose rights must be judged again if they are connected.
    pub principals: Vec<Arc<str>>,
}

/// The outcome of an operation that changes something: the members of the
/// answer, and the promise that the change is stored.
pub type Changed = Result<(Value, Commit), Fault>;

impl Registry {
    /// Restores the registry of a cloud.
    ///
    /// # Errors
    /// [`StoreError`] if stored records cannot be read.
    pub fn restore(cloud: &Arc<Cloud>, policy_delay: Duration) -> Result<Arc<Self>, StoreError> {
        let state = State::restore(&cloud.store)?;
        let ca = Arc::new(LocalCa::restore(&cloud.store, cloud.clock.now())?);
        // Nothing needs to be loaded for a registry that begins empty.
        let shadows_known = AtomicBool::new(state.things.is_empty());
        Ok(Arc::new_cyclic(|this| Registry {
            account: cloud.account.clone(),
            clock: cloud.clock.clone(),
            store: cloud.store.clone(),
            ca,
            live: Live::default(),
            dirty: Arc::default(),
            timers: Arc::default(),
            shadows_known,
            roles: Roles::default(),
            policy_delay,
            cloud: Arc::downgrade(cloud),
            this: this.clone(),
            state: RwLock::new(state),
        }))
    }

    /// The cloud, while it lives.
    ///
    /// # Errors
    /// A fault if the cloud is shutting down.
    pub fn cloud(&self) -> Result<Arc<Cloud>, Fault> {
        self.cloud.upgrade().ok_or_else(|| {
            Fault::new("ServiceUnavailableException", 503, "the local cloud is shutting down")
        })
    }

    /// The registry as those hold it who outlive a call.
    pub fn shared(&self) -> Option<Arc<Self>> {
        self.this.upgrade()
    }

    /// Reads the state.
    pub fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.read().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    /// Changes the state, stores the change, and lets others know.
    ///
    /// # Errors
    /// What the closure refuses; then nothing was changed.
    pub fn change<T>(
        &self,
        change: impl FnOnce(&mut Tx<'_>) -> Result<T, Fault>,
    ) -> Result<(T, Commit), Fault> {
        let mut state = self.state.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut tx = Tx::new(&mut state, self);
        let value = change(&mut tx)?;
        let (batch, effects) = tx.finish();
        let commit = self.store.commit(batch);
        drop(state);
        self.settle(effects);
        Ok((value, commit))
    }

    /// Changes what is never stored.
    pub fn note<T>(&self, note: impl FnOnce(&mut State) -> T) -> T {
        note(&mut self.state.write().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    /// Loads the shadows of things that were restored, once, before they are
    /// first looked at.
    pub fn know_shadows(&self) {
        if self.shadows_known.load(Ordering::Acquire) {
            return;
        }
        let Ok(cloud) = self.cloud() else { return };
        let Ok(shadows) = cloud.ports.shadows().cloned() else { return };
        self.shadows_known.store(true, Ordering::Release);
        let (things, classic, named) = self.read(|state| {
            let things: Vec<_> = state.things.keys().cloned().collect();
            let indexing = &state.settings.indexing;
            (things, indexing.classic_indexed(), indexing.named_shadows())
        });
        let mut found = Vec::new();
        for thing in things {
            if classic && let Some(document) = shadows.shadow(&thing, None) {
                found.push((thing.clone(), None, document));
            }
            for name in &named {
                if let Some(document) = shadows.shadow(&thing, Some(name)) {
                    found.push((thing.clone(), Some(Arc::from(name.as_str())), document));
                }
            }
        }
        self.note(|state| {
            for (thing, name, document) in found {
                state.indexed.entry(thing).or_default().learn(name, document);
            }
        });
    }

    /// What must happen after a change, with no lock held.
    fn settle(&self, effects: Effects) {
        if effects.timers {
            self.timers.notify_one();
        }
        if let Some(at) = effects.rights_at {
            background::judge_at(self, at);
        }
        let mut rights = effects.rights;
        if effects.rights {
            self.live.all_changed();
        }
        for principal in &effects.principals {
            // Whoever is not connected is judged when it connects.
            rights |= self.live.changed(principal);
        }
        if let Ok(cloud) = self.cloud() {
            for event in &effects.events {
                cloud.bus.tell(event);
            }
            if rights {
                cloud.bus.tell(&CloudEvent::RightsChanged);
            }
            if let Ok(messages) = cloud.ports.messages() {
                for message in effects.messages {
                    messages.publish(message);
                }
            }
        }
        if effects.dirty {
            self.dirty.notify_one();
        }
    }
}
